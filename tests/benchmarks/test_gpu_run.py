"""The program for minutes of GPU, rehearsed on a CPU with few and small photographs."""

import io
import json
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from benchmarks.common import calibrated, folds, scales
from benchmarks.common.files import read_json
from benchmarks.gpu import data, jobs, plan, run, take_up
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.data.synthetic import make_fundus
from retina_course.evaluation.calibration import fit_temperature
from retina_course.models import create_model


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    """The two sets as they are carried, made of synthetic eyes."""
    root = tmp_path_factory.mktemp("carried")
    eye = make_fundus(96, 1)
    image = (255 * eye.image).byte().permute(1, 2, 0).numpy()
    masks = {"vessels": eye.vessel.numpy(), "fov": eye.fov.numpy()}
    (root / "CHASE_DB1").mkdir()
    for child in range(1, 15):
        for side in "LR":
            name = root / "CHASE_DB1" / f"Image_{child:02d}{side}"
            Image.fromarray(image).save(f"{name}.jpg", quality=95)
            for observer in ("1stHO", "2ndHO"):
                Image.fromarray(masks["vessels"]).save(f"{name}_{observer}.png")
    (root / data.HALVED).mkdir()
    for number in range(1, 6):
        name = root / data.HALVED / f"{number:02d}_h"
        Image.fromarray(image).save(f"{name}.jpg")
        for ending, mask in masks.items():
            Image.fromarray(np.uint8(255 * mask)).save(f"{name}_{ending}.png")
    return root


@pytest.fixture
def rehearse(carried, tmp_path, monkeypatch):
    monkeypatch.setenv("RETINA_COURSE_DATA", str(carried))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(plan, "RATES", (1e-3, 1e-2))
    monkeypatch.setattr(run, "EYES", 16)
    monkeypatch.setattr(run, "EYE_SCALE", 2.0)
    monkeypatch.setattr(data, "SOURCE_SCALES", {"chase": 3.0, "hrf": 2.0})
    for place in ((plan, "FOLD_SCALES"), (plan, "VARIANT_SCALES"), (jobs, "SCALES")):
        monkeypatch.setattr(*place, (2.0,))

    def start(*arguments):
        few = [
            "--tiny",
            "--workers",
            "1",
            "--networks",
            "unet_small",
            "--seeds",
            "0",
            "--steps",
            "2",
        ]
        few += ["--search-steps", "1", "--camera-steps", "1", "--variant-steps", "1"]
        output = tmp_path / "out"
        monkeypatch.setattr(sys, "argv", ["run", "--output", str(output), *few, *arguments])
        run.main()
        return output, tmp_path / "out_work"

    return start


def fold_pixels(rows):
    return sum(np.array(rows[f"fold_unet_small_{fold}"]["histogram"]) for fold in folds.FOLDS)


def check_what_the_book_takes_up(output, work, folder, monkeypatch):
    """Rows, report and seconds to an F1, from the archives and what a GPU would have measured."""
    report = {"race": {"steps": 10, "captured": True, "points": [{"step": 10, "seconds": 2.0}]}}
    report |= {"matrix TFLOP/s": 1.0, "provenance": {"device": "Some GPU", "commit": "c0ffee"}}
    race = {"kind": "race", "f1": [0.5], "name": "race_unet_small_f1"}
    with tarfile.open(output / "gpu_9.tar", "w") as archive:
        for name, content in (("report.json", report), ("race.json", race)):
            text = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    results = folder / "results"
    monkeypatch.setattr(take_up, "RESULTS", results)
    monkeypatch.setattr(take_up, "EQUAL", results / "equal_budget")
    monkeypatch.setattr(take_up, "KEPT", folder / "kept")
    monkeypatch.setattr(take_up, "RUNS", folder / "runs")
    take_up.take_up([output])
    row = json.loads((results / "equal_budget" / "unet_small_seed0_some-gpu.json").read_text())
    assert len(row["shapes"]) == 4 and {"cldice", "nsd", "components"} <= row["shapes"][0].keys()
    assert row["provenance"]["data"].keys() == {"CHASE_DB1"}  # its own, not the report's
    held_out = fold_pixels(
        {path.stem: json.loads(path.read_text()) for path in work.glob("*.json")}
    )
    p, vessel = calibrated.pixels(held_out)
    calibration = row["calibration"]
    assert calibration["temperature"] == pytest.approx(fit_temperature(p, vessel))
    photographs = data.chase("test", limit=4)
    inside = sum(int(photo.fov.sum()) for photo in photographs)
    assert sum(calibration["as_it_is"]["count"]) == inside == sum(calibration["scaled"]["count"])
    assert calibration["scaled"]["probability"] != calibration["as_it_is"]["probability"]
    assert "histogram" not in str(row)
    stored = json.loads((results / "gpu" / "some-gpu.json").read_text())
    assert len(stored["search"]) == len(plan.RATES) and len(stored["fold"]) == 2
    assert "histogram" not in str(stored)
    (run_,) = json.loads((results / "time_to_f1" / "some-gpu.json").read_text())["runs"]
    assert run_["points"] == [{"step": 10, "seconds": 2.0, "f1": 0.5}]
    person = json.loads((results / "equal_budget_observer.json").read_text())
    assert person["shapes"][0]["f1"] == 1  # both observers are the same drawing here
    assert (folder / "runs" / "gpu_weights" / "equal_unet_small_seed0.safetensors").exists()
    kept = load_file(folder / "kept" / "equal_budget" / "unet_small_seed0_some-gpu.safetensors")
    assert kept.keys() == create_model("unet_small").state_dict().keys()
    (output / "gpu_9.tar").unlink()


def check_more_seeds(rehearse, monkeypatch):
    """Recipe and threshold are those of the stored row; what has a row is not trained again."""
    rehearse("more-seeds", "--seeds", "0", "1")
    rows = [read_json(path) for path in take_up.EQUAL.glob("*.json")]
    first, second = sorted(rows, key=lambda row: row["seed"])
    same = ("lr", "steps", "crop", "batch_size", "threshold", "network", "tolerance")
    assert [first[key] for key in same] == [second[key] for key in same]
    assert (first["seed"], second["seed"]) == (0, 1) and first["loss"] != second["loss"]
    assert second["precision"] in ("float32", "bfloat16") and len(second["shapes"]) == 4
    temperatures = [row["calibration"]["temperature"] for row in (first, second)]
    assert temperatures[0] == temperatures[1]
    kept = [load_file(path) for path in sorted((take_up.KEPT / "equal_budget").iterdir())]
    assert len(kept) == 2 and any((kept[0][key] != kept[1][key]).any() for key in kept[0])
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "run", None)
        rehearse("more-seeds", "--seeds", "0", "1")


def test_all_parts_on_a_cpu_and_a_second_call_goes_on(rehearse, tmp_path, monkeypatch):
    output, work = rehearse("--parts", "search", "folds", "equal", "--minutes", "5")
    rows = {path.stem: json.loads(path.read_text()) for path in work.glob("*_unet_small_*.json")}
    assert {row["kind"] for row in rows.values()} == {"search", "fold", "equal"}
    assert sum(row["kind"] == "search" for row in rows.values()) == len(plan.RATES)
    best = max(
        (r for r in rows.values() if r["kind"] == "search"), key=lambda r: r["held_out"]["auc"]
    )
    equal = rows["equal_unet_small_seed0"]
    assert equal["lr"] == best["lr"] and len(equal["flips"]["per_image"]) == 4
    assert equal["threshold"] == scales.best_threshold(fold_pixels(rows))
    assert equal["provenance"]["data"].keys() == {"CHASE_DB1"}
    with tarfile.open(output / "gpu_0.tar") as archive:
        packed = set(archive.getnames())
    assert {"equal_unet_small_seed0.json", "equal_unet_small_seed0.safetensors"} <= packed
    assert sum(name.endswith(".png") for name in packed) == 4
    check_what_the_book_takes_up(output, work, tmp_path, monkeypatch)
    check_more_seeds(rehearse, monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in work.glob("*.json")}
    _, work = rehearse("--parts", "search", "folds", "equal", "cameras", "--changes")
    kept = [path for path in before if path.stem.startswith(("search", "fold", "equal"))]
    assert all(path.stat().st_mtime_ns == before[path] for path in kept)
    cameras = {path.stem for path in work.glob("camera_*.json")}
    assert "camera_unet_small_both_not_a_seed0" in cameras
    assert (work / "camera_unet_small_both_seed0.safetensors").exists()
    alone = json.loads((work / "camera_unet_small_chase_alone_seed0.json").read_text())
    assert set(alone["hrf"]) == {"2"} and "chase" not in alone
    assert not list(work.glob("*.error.txt"))


def test_more_seeds_of_a_network_without_a_row_are_refused(rehearse, tmp_path, monkeypatch):
    monkeypatch.setattr(take_up, "EQUAL", tmp_path / "none")
    with pytest.raises(ValueError, match="No row of 'unet_small'"):
        rehearse("more-seeds")


def test_a_failing_job_is_written_down_and_the_others_go_on(rehearse, monkeypatch):
    monkeypatch.setattr(plan, "RATES", (1e-3, float("nan")))
    _, work = rehearse("--parts", "search")
    assert (work / "search_unet_small_0.001.json").exists()
    assert not (work / "search_unet_small_nan.json").exists()
    assert "Error" in (work / "search_unet_small_nan.error.txt").read_text()


def test_no_job_begins_that_would_not_be_done_in_time(rehearse):
    _, work = rehearse("--parts", "search", "--minutes", "0")
    assert not list(work.glob("search_*.json"))


@pytest.mark.parametrize("dataset, names", [("chase", range(1, 5)), ("hrf", range(1, 6))])
def test_folds_share_no_child_and_leave_none_out(carried, monkeypatch, dataset, names):
    monkeypatch.setenv("RETINA_COURSE_DATA", str(carried))
    load = (lambda part: data.chase("train", part)) if dataset == "chase" else data.hrf
    everyone = {photo.name for photo in load(None)}
    for fold in folds.FOLDS:
        held, rest = ({photo.name for photo in load(part)} for part in (fold, f"not {fold}"))
        assert held and rest and held | rest == everyone and not held & rest
    sides = {name: folds.fold_of(dataset, name) for name in everyone}
    if dataset == "chase":
        assert all(sides[f"Image_{c:02d}L"] == sides[f"Image_{c:02d}R"] for c in names)


def test_the_changes_of_the_variants_are_put_together():
    assert plan.together(["synthetic_added", "average"]) == {
        "recipe": {"average": 0.998},
        "synthetic": 0.4,
    }

    def row(name, auc):
        return {
            "name": f"camera_x_{name}_seed0",
            "sources": {"chase": 1},
            "hrf": {"14": {"auc": auc}},
        }

    rows = [row("chase_full", 0.9), row("chase_appearance_half", 0.91), row("chase_average", 0.8)]
    assert plan.best_change(rows)["recipe"] == {"strength": 0.5}


def test_the_plain_unet_has_the_parameters_that_its_text_says():
    from benchmarks.common.equal_budget import NAMES, PlainUNet, build

    assert sum(p.numel() for p in PlainUNet().parameters()) == 117_361
    assert {"w_net", "plain_unet", "linknet"} <= set(NAMES)
    assert type(build("w_net")) is type(create_model("w_net"))


def test_packing_halves_hrf_and_keeps_the_test_half_at_home(carried, tmp_path, monkeypatch):
    source = tmp_path / "data"
    hrf = source / "HRF"
    for folder in ("images", "manual1", "mask"):
        (hrf / folder).mkdir(parents=True)
    eye = make_fundus(64, 1)
    for number in range(1, 16):
        for group in ("dr", "g", "h"):
            name = f"{number:02d}_{group}"
            image = (255 * eye.image).byte().permute(1, 2, 0).numpy()
            Image.fromarray(image).save(hrf / "images" / f"{name}.jpg")
            for folder, ending, mask in (
                ("manual1", ".tif", eye.vessel),
                ("mask", "_mask.tif", eye.fov),
            ):
                Image.fromarray(np.uint8(255 * mask.numpy())).save(hrf / folder / f"{name}{ending}")
    (source / "CHASE_DB1").symlink_to(carried / "CHASE_DB1")
    monkeypatch.setenv("RETINA_COURSE_DATA", str(source))
    data.pack(tmp_path / "packed")
    assert len(HRF(split="train")) == 15 and len(ChaseDB1(tmp_path / "packed" / "CHASE_DB1")) == 8
    names = sorted(path.stem for path in (tmp_path / "packed" / data.HALVED).glob("*.jpg"))
    assert len(names) == 15 and names[-1] == "05_h"
    assert Image.open(tmp_path / "packed" / data.HALVED / "01_h.jpg").size == (32, 32)
