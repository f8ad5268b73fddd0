"""How masks show vessels, and what a data set makes of masks of all kinds."""

import numpy as np
import pytest
from published_layouts import SIZE, disc, make_chase, make_folder, photograph, save, vessels
from torch.utils.data import DataLoader

from retina_course.data.datasets import ChaseDB1, DatasetError, ImageFolder

FIELD = photograph().max(axis=2) > 20


def folder(root, mask, **options):
    """A folder of one photograph with this mask."""
    save(root / "images/a.png", photograph())
    save(root / "masks/a.png", mask.astype(np.uint8) * 255)
    return ImageFolder(root, **options)


def covering(share):
    """A mask that covers a share of the field of view, and nothing outside it."""
    mask = np.zeros(SIZE, bool)
    pixels = np.argwhere(FIELD)
    for y, x in pixels[: round(share * len(pixels))]:
        mask[y, x] = True
    return mask


@pytest.mark.parametrize(
    "share, vessels, told",
    [
        (0.49, None, None),
        (0.52, None, "labels 52% of the field of view as vessel. If the masks show vessels in bla"),
        (0.95, None, "say vessels='black'"),
        (0.95, "white", None),
        (0.51, "black", None),
        (0.48, "black", "read as black vessels on white, labels 52% of the field"),
        (0.05, "black", "All masks of a folder must be alike"),
    ],
)
def test_a_mask_that_covers_more_than_half_is_asked_about(share, vessels, told, tmp_path):
    data = folder(tmp_path, covering(share), vessels=vessels)
    if told is None:
        assert data[0].ground_truth.any()
    else:
        with pytest.raises(DatasetError, match=told) as raised:
            data[0]
        assert str(tmp_path / "masks" / "a.png") in str(raised.value)


def test_black_vessels_are_turned_inside_the_field_alone(tmp_path):
    white = ~(vessels() > 0) & FIELD  # black outside the field, too
    photo = folder(tmp_path / "black", white, vessels="black")[0]
    assert np.array_equal(photo.ground_truth, (vessels() > 0) & FIELD)


def test_the_second_observer_is_judged_as_the_first_is(tmp_path):
    data = ChaseDB1(make_chase(tmp_path))
    save(tmp_path / "Image_01L_2ndHO.png", ~(vessels() > 0))
    with pytest.raises(DatasetError, match="Image_01L_2ndHO.png labels"):
        data[0]
    data.vessels = "white"
    assert data[0].second_observer.mean() > 0.5


def test_an_empty_field_of_view_is_refused_and_a_full_one_is_not(tmp_path):
    make_folder(tmp_path)
    for name, field in (("a", disc() * 0 + 255), ("b", disc())):
        save(tmp_path / f"fov/{name}.png", field)
    data = ImageFolder(tmp_path)
    assert data[0].fov.all() and np.array_equal(data[1].fov, disc() > 0)
    save(tmp_path / "fov/b.png", disc() * 0)
    with pytest.raises(DatasetError, match=r"field of view .*b\.png is empty"):
        data[1]


def test_a_loader_gives_lists_of_photographs(tmp_path):
    batches = list(DataLoader(ImageFolder(make_folder(tmp_path)), batch_size=2))
    assert [[photo.name for photo in batch] for batch in batches] == [["a", "b"]]
