"""Maps in fewer pieces: how settings are chosen, what is counted, and the keys that are stored."""

import sys
from functools import partial

import numpy as np
import pytest
import torch
from stored_keys import keys

from benchmarks.analysis import connectedness as program
from benchmarks.analysis.connectedness import Setting
from benchmarks.common.files import RESULTS, read_json
from retina_course.data.photographs import Photograph
from retina_course.training import Recipe


def test_the_first_setting_of_every_way_is_the_plain_threshold():
    for grid in program.WAYS.values():
        found = program.settings(0.4, grid)
        assert found[0] == Setting(0.4, 0.4, 0)
        assert all(s.low <= 0.4 <= s.high < 1 for s in found)
        assert set(found) <= set(program.settings(0.4, program.WAYS["both"]))


def test_fewest_wrong_pieces_among_those_that_cost_little():
    grid = ((1,), (0,), (0, 50, 100, 200))
    plain, mild, best, dear = program.settings(0.4, grid)
    tried = {plain: (0.80, 90.0), mild: (0.799, 20.0), best: (0.7951, 8.0), dear: (0.7949, 1.0)}
    assert program.choose(0.4, grid, tried) == best
    tried[mild] = (0.799, 8.0)
    assert program.choose(0.4, grid, tried) == mild  # of equal ones, the milder


def photograph():
    """A vessel through the middle, of which the second half is faint, and two false specks."""
    truth, fov = np.zeros((40, 60), dtype=bool), np.ones((40, 60), dtype=bool)
    truth[18:22] = True
    probability = np.where(truth, 0.9, 0.0).astype(np.float32)
    probability[18:22, 30:] = 0.3
    probability[5:7, 5:7] = 0.45
    probability[30:32, 50:52] = 0.3
    fov[:, 58:] = False
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    return probability, Photograph("Image_05L", "05", image, truth, fov)


@pytest.mark.parametrize(
    ("setting", "pieces", "f1"),
    [
        (Setting(0.4, 0.4, 0), 2, 2 * 120 / (124 + 232)),
        (Setting(0.4, 0.4, 5), 1, 2 * 120 / (120 + 232)),
        (Setting(0.2, 0.6, 0), 1, 1.0),
        (Setting(0.2, 0.2, 0), 3, 2 * 232 / (240 + 232)),
    ],
)
def test_one_map_made_in_several_ways(setting, pieces, f1):
    probability, photo = photograph()
    row = program.scored(program.made(probability, photo, setting), photo, 1)
    assert (row["components"], row["betti0_error"], row["patient"]) == (pieces, pieces - 1, "05")
    assert row["f1"] == pytest.approx(f1)
    found = program.judged([probability] * 2, [photo] * 2, setting)
    assert found == pytest.approx((f1, pieces - 1))


def guess_all(model, photographs, card, *, flips):
    """Vessels by chance, as `segment_all` returns them."""
    assert not flips
    rng = np.random.default_rng(0)
    maps = [rng.random(photo.fov.shape, dtype=np.float32) for photo in photographs]
    return maps, [photo.ground_truth for photo in photographs], [p.fov for p in photographs]


def test_the_program_writes_the_stored_keys_and_keeps_what_is_done(
    photographs, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("RETINA_COURSE_DATA", str(photographs))
    small = {
        "RESULTS": tmp_path,
        "FOLDER": tmp_path,
        "RUNS": tmp_path,
        "STEPS": 2,
        "CROP": 32,
        "Recipe": partial(Recipe, fov_diameter=64, batch_size=2),
        "segment_all": guess_all,
        "WAYS": program.WAYS | {"both": ((1, 0.5), (0, 0.5), (0, 50))},
    }
    small["WAYS"] |= {"hysteresis": ((1, 0.5), (0, 0.5), (0,)), "no specks": ((1,), (0,), (0, 50))}
    for name, value in small.items():
        monkeypatch.setattr(program, name, value)
    names = ["unet_small", "unet_small_cldice_loss", "second_observer"]
    monkeypatch.setattr(sys, "argv", ["connectedness", *names])
    program.main()
    shipped, tuned, person = (read_json(tmp_path / f"{name}.json") for name in names)
    for name, written in (("unet_small", shipped), ("second_observer", person)):
        assert keys(written) == keys(read_json(RESULTS / "connectedness" / f"{name}.json"))
    assert (shipped.pop("fine_tuning"), tuned.pop("fine_tuning")["steps"]) == (None, 2)
    assert keys(tuned) == keys(shipped)
    assert person["photographs"][0]["name"] == "Image_05L"
    assert (tmp_path / "connected_map.jpg").exists()
    assert torch.load(tmp_path / "connectedness" / "unet_small_cldice_loss.pt")
    capsys.readouterr()
    program.main()
    assert capsys.readouterr().out.split() == [w for name in names for w in ("kept", name)]


def test_the_losses_of_the_two_trainings_differ_in_one_term():
    logits, target = torch.randn(1, 1, 32, 32), (torch.rand(1, 1, 32, 32) > 0.5).float()
    plain, more = (float(loss(logits, target)) for loss in program.LOSSES.values())
    assert more - plain == pytest.approx(float(program.cldice(logits, target)), abs=1e-5)
