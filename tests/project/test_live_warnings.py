"""What the live page says of a photograph and its map, where the command warns as well."""

import numpy as np
import torch
from test_live_page import needs_node, run, segment_job, synthetic

from retina_course import weights
from retina_course.data.reading import field_of_view
from retina_course.inference import photograph_warnings


@needs_node
def test_what_is_no_fundus_photograph_is_said(tmp_path):
    eye = synthetic(160, 160, seed=4)
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    stripe = np.zeros((120, 160, 3), np.uint8)
    stripe[50:80] = eye[50:80]
    cases = {"": eye, "colours": eye[..., ::-1], "border": noise, "disc": stripe}
    jobs = [segment_job(tmp_path, "unet_small", rgb, angle=7) for rgb in cases.values()]
    card = weights.load("unet_small")[1]
    for job, log, (word, rgb) in zip(jobs, run(tmp_path, jobs), cases.items(), strict=True):
        assert bool(log["unusual"]) == bool(word)
        assert word in " ".join(log["unusual"])
        field = torch.from_numpy(np.fromfile(job["out"] + ".field", np.uint8)).bool()
        image = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1) / 255
        said = photograph_warnings(image, field.view(rgb.shape[:2]), card, field_angle=7)
        assert bool(said) == bool(word)


@needs_node
def test_the_field_on_a_bright_surround_is_that_of_the_package(tmp_path):
    eye = synthetic(160, 160, seed=4)
    inside = field_of_view(eye)[..., None]
    noise = np.random.default_rng(0).integers(0, 30, eye.shape, dtype=np.uint8)
    around = {"grey": np.uint8(40), "noise": noise, "too bright": np.uint8(160)}
    images = {name: np.where(inside, eye, value) for name, value in around.items()}
    images["no border"] = eye[30:130, 40:120]
    jobs = [segment_job(tmp_path, "unet_small", rgb, angle=7) for rgb in images.values()]
    run(tmp_path, jobs)
    for job, (name, rgb) in zip(jobs, images.items(), strict=True):
        field = np.fromfile(job["out"] + ".field", np.uint8).reshape(rgb.shape[:2])
        assert np.array_equal(field, field_of_view(rgb)), name
        assert field.all() == (name in ("too bright", "no border"))


@needs_node
def test_grey_is_unusual_for_networks_that_learned_from_colours(tmp_path):
    grey = (
        synthetic(160, 160, seed=4).mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, axis=2)
    )
    names = ["unet_small", "unet_small_any_camera"]
    jobs = [segment_job(tmp_path, name, grey, angle=7) for name in names]
    tinted, plain = run(tmp_path, jobs)
    assert "tinted" in " ".join(tinted["unusual"]) and plain["unusual"] == []


@needs_node
def test_much_enlarged_and_much_reduced_is_said(tmp_path):
    eye = synthetic(160, 160, seed=4)
    image, card = torch.from_numpy(eye).permute(2, 0, 1) / 255, weights.load("unet_small")[1]
    scale = {"pixels_per_degree": 5, "pixels_per_degree_range": [2, 100]}  # small maps: fast
    card |= scale
    angles = {30: "", 68: "enlarged", 2.5: "reduced", 90: "fewer than"}
    jobs = [segment_job(tmp_path, "unet_small", eye, angle=angle) for angle in angles]
    for job in jobs:
        job["network"]["card"] |= scale
    for job, log, (angle, word) in zip(jobs, run(tmp_path, jobs), angles.items(), strict=True):
        field = torch.from_numpy(np.fromfile(job["out"] + ".field", np.uint8)).bool()
        said = photograph_warnings(image, field.view(160, 160), card, field_angle=angle)
        assert bool(said) == bool(word), said
        of_scale = [one for one in log["said"] if "unsure" not in one]
        assert len(of_scale) == len(said) and word in " ".join(of_scale)


@needs_node
def test_a_map_is_doubted_below_the_range_on_the_card(tmp_path):
    ranges = [[0.95, 0.97], [0.2, 0.3], None]
    jobs = [
        segment_job(tmp_path, "unet_small", synthetic(160, 160, seed=4), angle=7) for _ in ranges
    ]
    for job, usual in zip(jobs, ranges, strict=True):
        job["network"]["card"]["expected_f1"] = usual
    doubted, sure, unknown = run(tmp_path, jobs)
    assert 0.3 < doubted["expected"] < 0.93
    told = f"its F1 would be {doubted['expected']:.2f}; 0.95 to 0.97 is usual"
    assert told in " ".join(doubted["said"])
    assert sure["said"] == [] and unknown["said"] == []
