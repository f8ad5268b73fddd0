import numpy as np
import pytest

from retina_course.evaluation.error_analysis import (
    centreline,
    detected,
    false_positives_by_place,
    sensitivity_by_place,
)


def line(width, size=60, column=30):
    mask = np.zeros((size, size), dtype=bool)
    mask[5:-5, column - width // 2 : column - width // 2 + width] = True
    return mask


@pytest.mark.parametrize("width", [1, 3, 5, 9])
def test_the_width_of_a_straight_vessel_is_its_width(width):
    found = centreline(line(width))
    assert np.median(found.width) == width
    assert not found.crossing.any()


def test_a_crossing_is_near_where_lines_meet_and_nowhere_else():
    vessels = line(1) | line(1).T
    found = centreline(vessels)
    rows, columns = np.nonzero(found.skeleton)
    away = np.hypot(rows - 30, columns - 30)
    assert found.crossing[away <= 4].all() and not found.crossing[away > 8].any()


def test_a_vessel_two_pixels_beside_is_detected_and_three_is_not():
    ground_truth = centreline(line(1, column=30))
    assert detected(line(1, column=32), ground_truth).mean() > 0.99
    assert detected(line(1, column=33), ground_truth).mean() < 0.01


def test_sensitivity_counts_length_by_width():
    thin, wide = line(1, column=10), line(9, column=40)
    only_wide = sensitivity_by_place([wide], [thin | wide])
    assert only_wide["below 4"]["sensitivity"] < 0.1 and only_wide["8 and more"]["sensitivity"] == 1
    assert only_wide["4 to 8"]["sensitivity"] is None or only_wide["4 to 8"]["pixels"] < 10
    hollow = wide.copy()
    hollow[:, 39:42] = False  # a central reflex
    assert sensitivity_by_place([hollow], [wide])["centre of wide vessels"]["sensitivity"] == 0
    assert sensitivity_by_place([hollow], [wide])["8 and more"]["sensitivity"] == 1


def test_false_positives_are_sorted_by_place():
    vessels, fov = line(3), np.zeros((60, 60), dtype=bool)
    fov[2:58, 2:58] = True
    found = vessels.copy()
    found[20, 32:34] = True  # beside: 2 pixels
    found[30, 4] = True  # at the rim: 1 pixel
    found[40, 20] = True  # elsewhere: 1 pixel
    found[0, 0] = True  # outside: does not count
    shares = false_positives_by_place([found], [vessels], [fov])
    assert shares == {"beside a vessel": 0.5, "at the rim": 0.25, "elsewhere": 0.25}
    assert set(false_positives_by_place([vessels], [vessels], [fov]).values()) == {0}


def test_no_image_at_all_is_an_error():
    with pytest.raises(ValueError, match="no image"):
        sensitivity_by_place([], [])
