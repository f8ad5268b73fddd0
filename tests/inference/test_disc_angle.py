"""The field angle that the size of the optic disc suggests."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from benchmarks.analysis.disc_angle import disc_degrees, summary
from benchmarks.common.files import RESULTS, ROOT, read_json
from retina_course import weights
from retina_course.inference import disc_angle, find_fov
from retina_course.inference.disc_angle import angle_from_disc, angle_warnings, disc_box

CARD = {"classes": ["optic disc", "haemorrhages"]}
PHOTO, FIELD = torch.zeros(3, 400, 400), torch.ones(400, 400, dtype=torch.bool)


def finds(monkeypatch, *boxes):
    """The detector finds these: (side, score, label)."""

    def detect(model, image, card, **options):
        found.append(options)
        return {
            "boxes": torch.tensor([[0.0, 0.0, side, side] for side, _, _ in boxes]).view(-1, 4),
            "scores": torch.tensor([score for _, score, _ in boxes]),
            "labels": torch.tensor([label for _, _, label in boxes], dtype=torch.int64),
        }

    found = []
    monkeypatch.setattr(disc_angle, "detect", detect)
    return found


def test_a_field_of_five_discs_has_five_times_the_degrees_of_one(monkeypatch):
    looks = finds(monkeypatch, (80.0, 0.95, 1))
    angle = angle_from_disc(None, CARD, PHOTO, FIELD)
    assert angle == pytest.approx(5 * disc_angle.DISC_DEGREES)
    assert looks[0]["field_angle"] == disc_angle.LOOK_AT and not looks[0]["flips"]
    whole = angle_from_disc(None, CARD, PHOTO, FIELD, fov_diameter=640)
    assert whole == pytest.approx(8 * disc_angle.DISC_DEGREES)
    assert looks[1]["fov_diameter"] == 640


@pytest.mark.parametrize("side", [0.0, 2.0, 30.0, 160.0, 400.0])
def test_a_box_that_no_camera_would_show_is_not_a_disc(monkeypatch, side):
    """A tiny box would mean hundreds of degrees, which `--field-angle` itself refuses."""
    finds(monkeypatch, (side, 0.99, 1))
    assert angle_from_disc(None, CARD, PHOTO, FIELD) is None


def test_the_set_up_page_says_what_the_free_photograph_gives():
    photograph = torch.from_numpy(data.retina()).permute(2, 0, 1) / 255
    detector, card = weights.load("retina_net")
    angle = angle_from_disc(detector, card, photograph, find_fov(photograph))
    page = " ".join((ROOT / "book" / "setup.md").read_text(encoding="utf-8").split())
    assert f"from the optic disc, {angle:.0f} degrees, and says so" in page


@pytest.mark.parametrize("boxes", [(), ((80.0, 0.79, 1),), ((80.0, 0.99, 2),)])
def test_without_a_sure_disc_nothing_is_suggested(monkeypatch, boxes):
    finds(monkeypatch, *boxes)
    assert angle_from_disc(None, CARD, PHOTO, FIELD) is None


def test_the_best_box_of_the_disc_counts_not_that_of_another_class(monkeypatch):
    finds(monkeypatch, (10.0, 0.99, 2), (80.0, 0.95, 1), (40.0, 0.9, 1))
    assert disc_box(None, CARD, PHOTO, FIELD, least_score=0.8) == (0, 0, 80, 80)


def test_in_a_small_picture_no_disc_is_looked_for(monkeypatch):
    looks = finds(monkeypatch, (40.0, 0.95, 1))
    assert angle_from_disc(None, CARD, PHOTO[:, :299, :299], FIELD[:299, :299]) is None
    assert not looks


@given(st.floats(10, 100), st.floats(10, 100))
def test_only_a_gross_difference_is_named_with_both_angles(said, suggested):
    gross = max(said / suggested, suggested / said) > disc_angle.DIFFERS
    warnings = angle_warnings(said, suggested)
    assert len(warnings) == gross
    if gross:
        assert f"about {suggested:.0f} degrees, not {said:g}" in warnings[0]


def test_the_set_up_page_says_how_often_a_wrong_angle_is_doubted():
    tested = read_json(RESULTS / "disc_angle.json")["summary"]["test"]

    def said(factor, names=tuple(tested)):
        shares = ((tested[name]["said_of_wrong_angle"][factor], name) for name in names)
        return sum(round(share * tested[name]["photographs"]) for share, name in shares)

    page = " ".join((ROOT / "book" / "setup.md").read_text(encoding="utf-8").split())
    photographs = {name: one["photographs"] for name, one in tested.items()}
    assert said("2") == sum(one["discs"] for one in tested.values())  # all but those without a disc
    assert f"Of {sum(photographs.values())} test photographs by three cameras" in page
    assert f"it came in {said('2')} where twice the right angle was said" in page
    others = ("IDRiD", "HRF")
    assert (
        f"it came in {said('1.5', ['CHASE_DB1'])} of {photographs['CHASE_DB1']} photographs of "
        f"CHASE_DB1, and in {said('1.5', others)} of {sum(photographs[n] for n in others)} of "
        "IDRiD and HRF."
    ) in page
    doubted = sum(one["said_of_right_angle"] * one["photographs"] for one in tested.values())
    assert f"Of the right angles {doubted:.0f} was doubted" in page


def test_the_constants_are_those_that_were_measured():
    stored = read_json(RESULTS / "disc_angle.json")
    assert stored["used"] == {
        "disc_degrees": disc_angle.DISC_DEGREES,
        "differs": disc_angle.DIFFERS,
    }
    assert round(stored["disc_degrees"], 1) == disc_angle.DISC_DEGREES
    assert disc_degrees(stored["halves"]["train"]) == pytest.approx(stored["disc_degrees"])
    for name, one in stored["halves"]["test"].items():
        said = summary(one)
        assert said == stored["summary"]["test"][name]
        assert 0.75 < said["ratio"]["p5"] and said["ratio"]["p95"] < 1.25  # as the docstring says
        assert said["said_of_right_angle"] < 0.05
        assert min(said["said_of_wrong_angle"][f] for f in ("0.5", "2")) > 0.7
