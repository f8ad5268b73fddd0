"""Each option of each command where it has its effect, and the defaults where it is not given."""

import contextlib
import json

import numpy as np
import pytest
import torch
from command_line import TINY, photograph, run
from PIL import Image

from retina_course import weights
from retina_course.cli import inputs, options, photo_commands, train_command, training_kinds
from retina_course.cli import parser as cli
from retina_course.data.image_folder import ImageFolder
from retina_course.data.images import read_image
from retina_course.inference import segment
from retina_course.inference.segmentation import Seen, Segmentation
from retina_course.models import create_model
from retina_course.training import DetectorRecipe, History, Recipe


@pytest.fixture
def trained(monkeypatch):
    """What the training was called with, in place of a training."""
    calls = []

    def train(name, dataset, recipe, **more):
        calls.append({"name": name, "recipe": recipe, **more})
        return create_model(name, **more["options"]).eval(), History(loss=[0.5])

    for kind in ("train_vessels", "train_detector"):
        monkeypatch.setattr(training_kinds, kind, train)
    scores = {"threshold": 0.5, "metrics": {"set": "none", "f1": 0.5}}
    for kind in (training_kinds.Vessels, training_kinds.Boxes):
        monkeypatch.setattr(kind, "score", lambda *_: dict(scores))
    return calls


def test_train(data, tmp_path, trained):
    out = tmp_path / "run"
    more = "--steps 7 --batch-size 3 --crop 48 --lr 0.004 --fov-diameter 96 --rotation 12.5"
    more += " --jitter 0.15 --seed 9 --model unet_large --device cpu"
    assert run("train", "--data", data, "-o", out, *more.split()) == 0
    (call,) = trained
    assert call["recipe"] == Recipe(7, 3, 48, 0.004, 96, 12.5, 0.15)
    whole = ("steps", "batch_size", "crop", "fov_diameter")
    assert all(type(getattr(call["recipe"], name)) is int for name in whole)
    assert call["name"] == "unet_large" and call["seed"] == 9 and call["initial"] is None
    assert call["device"] == torch.device("cpu") and call["checkpoint"] == out / "checkpoint.pt"
    _, card = weights.load(out / "unet_large.safetensors")
    assert card["seed"] == 9 and card["size"] == 48 and card["fov_diameter"] == 96
    assert card["recipe"]["rotation"] == 12.5 and card["options"] == {"num_classes": 1}
    stored = json.loads((out / "settings.json").read_text())
    assert stored["seed"] == 9 and stored["digest"] == ImageFolder(data).digest()
    assert json.loads((out / "history.json").read_text())["loss"] == [0.5]


def test_train_by_default(data, tmp_path, trained):
    assert run("train", "--data", data, "-o", tmp_path / "a") == 0
    assert run("train", "--data", data, "-o", tmp_path / "b", "--model", "linknet") == 0
    small, large = trained
    assert small["name"] == "unet_small" and small["recipe"] == Recipe() and small["seed"] == 0
    assert large["recipe"] == Recipe(lr=1e-3)


def test_train_a_detector_by_default(tmp_path, trained):
    image = np.full((64, 64, 3), 90, np.uint8)
    image[10:20, 10:20] = 200
    Image.fromarray(image).save(tmp_path / "0001.png")
    (tmp_path / "0001.txt").write_text("0 0.25 0.25 0.2 0.2\n")
    arguments = ("train", "--data", tmp_path, "--model", "retina_net", "-o", tmp_path / "run")
    assert run(*arguments) == 0
    assert trained[0]["recipe"] == DetectorRecipe()


def test_the_options_of_the_weights_to_start_from_are_kept(data, tmp_path, trained):
    start = tmp_path / "start.safetensors"
    settings = {"num_classes": 1, "fold": 4}
    card = {"model": "unet_large", "options": settings, "fov_diameter": 88}
    weights.save(start, create_model("unet_large", **settings), card)
    assert run("train", "--data", data, "--from", start, "-o", tmp_path / "run", "--crop", 64) == 0
    assert trained[0]["options"] == settings and trained[0]["recipe"].lr == pytest.approx(1e-3)
    assert trained[0]["recipe"].fov_diameter == 88


def test_grey_photographs_are_learned_as_grey(data, tmp_path, trained):
    cards = []
    for name in ("colour", "grey"):
        assert run("train", "--data", data, "-o", tmp_path / name, *TINY) == 0
        cards.append(weights.load(tmp_path / name / "unet_small.safetensors")[1])
        path = data / "images" / "eye1.png"  # one of the two
        Image.open(path).convert("L").save(path)
    assert len(cards[0]["colours"]["mean"]) == 3 and cards[1]["colours"] is None


def test_only_the_first_process_of_several_writes(data, tmp_path, trained, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(train_command, "distributed", contextlib.nullcontext)
    assert run("train", "--data", data, "-o", tmp_path / "run", *TINY) == 0
    assert len(trained) == 1 and not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["stare", "STARE", "folder"])
def test_the_split_that_a_command_uses(name, tmp_path, monkeypatch, weights_file):
    asked = []

    def dataset(*root, split):
        asked.append((*root, split))
        raise ValueError("asked")

    monkeypatch.setitem(inputs.SETS, "stare", dataset)
    (tmp_path / "STARE").mkdir()
    data = str(tmp_path / "STARE") if name == "folder" else name
    run("train", "--data", data, "-o", tmp_path / "run")
    run("evaluate", "--data", data, "--weights", weights_file)
    for split in ("train", "test", "all"):
        run("evaluate", "--data", data, "--weights", weights_file, "--split", split)
    root = (data,) if name == "folder" else ()
    assert asked == [(*root, split) for split in ("train", "test", "train", "test", "all")]


def test_the_split_that_a_detector_learns_from(tmp_path, monkeypatch):
    asked = []

    def boxes(*root, split, **_):
        asked.append((*(str(one).rsplit("/", 1)[-1] for one in root), split))
        raise ValueError("asked")

    monkeypatch.setattr(inputs, "IDRiDBoxes", boxes)
    for name in ("IDRiD_boxes", "mine"):
        (tmp_path / name).mkdir()
    for data in ("idrid_boxes", "IDRID_BOXES", tmp_path / "IDRiD_boxes", tmp_path / "mine"):
        run("train", "--data", data, "--model", "retina_net", "-o", tmp_path / "run")
    assert asked == [("train",), ("train",), ("IDRiD_boxes", "train"), ("mine", "all")]


def test_a_folder_of_one_s_own_under_the_name_of_a_set(data, tmp_path):
    own = data.rename(tmp_path / "STARE")
    assert len(inputs.open_data(str(own), "test")) == 2


@pytest.mark.parametrize("name", ["stare", "FOLDER"])
def test_the_colour_of_the_vessels_reaches_the_data(name, data, monkeypatch):
    monkeypatch.setitem(inputs.SETS, "stare", lambda split: ImageFolder(data))
    name = str(data) if name == "FOLDER" else name
    assert inputs.open_data(name, "all", "black").vessels == "black"
    assert inputs.open_data(name, "all").vessels is None


@pytest.mark.parametrize(
    "command, expected",
    [
        (("segment", "eye.png", "-o", "out"), "unet_small_any_camera"),
        (("detect", "eye.png", "-o", "out"), "retina_net"),
        (("evaluate", "--data", "d"), "unet_small_any_camera"),
    ],
)
def test_the_weights_of_a_command(command, expected, monkeypatch):
    asked = []

    def load(name):
        asked.append(name)
        raise ValueError("asked")

    monkeypatch.setattr(weights, "load", load)
    for more in ((), ("--model", "a"), ("--weights", "b.safetensors")):
        run(*command, *more)
    assert asked == [expected, "a", "b.safetensors"]


def test_evaluate(data, weights_file, tmp_path, capsys):
    """Threshold, flips, and what the file says of them."""
    file = tmp_path / "scores.json"
    model, card = weights.load(weights_file)
    with torch.no_grad():
        model.conv.weight *= 20  # about half of the probabilities above 0.5
        model.conv.bias.zero_()
    weights.save(weights_file, model, card)
    arguments = ("evaluate", "--data", data, "--weights", weights_file, "--json", file)
    for flips in (True, False):
        assert run(*arguments, "--threshold", "0.4", *([] if flips else ["--no-flips"])) == 0
        stored = json.loads(file.read_text())
        assert stored["threshold"] == 0.4 and stored["flips"] is flips
        hits = {0.4: np.zeros(3), 0.5: np.zeros(3)}
        for photo in ImageFolder(data):
            found = segment(model, photo.image, card, flips=flips, fov=photo.fov).probability
            p, truth = found.numpy()[photo.fov], photo.ground_truth[photo.fov]
            for cut, counts in hits.items():
                one = p >= cut
                counts += [(one & truth).sum(), (one & ~truth).sum(), (~one & truth).sum()]
        f1 = {cut: 2 * tp / (2 * tp + fp + fn) for cut, (tp, fp, fn) in hits.items()}
        assert 0.01 < abs(f1[0.4] - f1[0.5])
        assert stored["pooled"]["f1"] == pytest.approx(f1[0.4])
        assert stored["f1_at_half"] == pytest.approx(f1[0.5])
        assert f"(F1 at 0.5: {f1[0.5]:.4f})" in capsys.readouterr().out
    assert stored["digest"] == ImageFolder(data).digest() and stored["data"] == str(data)


def test_a_field_of_view_that_is_given_is_not_judged(data, weights_file, capsys):
    def warnings():
        assert run("evaluate", "--data", data, "--weights", weights_file, "--no-flips") == 0
        return capsys.readouterr().err.count("not a disc")

    for name in ("eye0", "eye1"):
        path = data / "images" / f"{name}.png"
        image = np.asarray(Image.open(path)).copy()
        image[:, 60:] = 0
        Image.fromarray(image).save(path)
        mask = np.asarray(Image.open(data / "masks" / f"{name}.png")).copy()
        mask[:, 60:] = 0
        Image.fromarray(mask).save(data / "masks" / f"{name}.png")
    assert warnings() == 2
    (data / "fov").mkdir()
    for name in ("eye0", "eye1"):
        field = np.asarray(Image.open(data / "images" / f"{name}.png")).max(axis=2) > 20
        Image.fromarray(field).save(data / "fov" / f"{name}.png")
    assert warnings() == 0


def test_a_probability_at_the_threshold_is_vessel_and_numbers_are_rounded(
    photo, weights_file, tmp_path, monkeypatch
):
    def half(model, image, card, *, fov, **options):
        p = torch.full(fov.shape, 0.5)
        return Segmentation(p, fov, Seen(p, fov))

    monkeypatch.setattr(photo_commands, "segment", half)
    out = ("-o", tmp_path, "--weights", weights_file, "--threshold", "0.5")
    assert run("segment", photo, *out) == 0
    fov = read_image(photo).amax(dim=0).numpy() > 20 / 255
    vessels = np.asarray(Image.open(tmp_path / "eye_vessels.png"))
    assert np.array_equal(vessels, np.where(fov, 255, 0))
    assert set(np.unique(np.asarray(Image.open(tmp_path / "eye_probability.png")))) == {32768}


def test_detect(tmp_path, detector_file, monkeypatch):
    """Labels, scores, sizes and the threshold, at which a box counts."""
    asked = []

    def found(model, image, card, **more):
        asked.append(more)
        boxes = torch.tensor([[1.0, 2, 30, 40.26], [5, 6, 7, 8], [9, 9, 20, 20]])
        scores, labels = torch.tensor([0.87654, 0.25, 0.24]), torch.tensor([1, 3, 2])
        return {"boxes": boxes, "scores": scores, "labels": labels}

    monkeypatch.setattr(photo_commands, "detect", found)
    Image.fromarray(photograph()[0][:110]).save(tmp_path / "eye.png")
    out = ("-o", tmp_path / "out", "--weights", detector_file, "--threshold", "0.25")
    assert run("detect", tmp_path / "eye.png", *out, "--no-flips", "--fov-diameter", 150) == 0
    assert asked[0]["flips"] is False and asked[0]["fov_diameter"] == 150
    assert asked[0]["fov"].shape == (110, 120)
    stored = json.loads((tmp_path / "out" / "eye_boxes.json").read_text())
    assert (stored["width"], stored["height"], stored["threshold"]) == (120, 110, 0.25)
    assert stored["intended_use"] == weights.INTENDED_USE
    first, second = stored["detections"]
    assert first == {"label": "optic disc", "score": 0.8765, "box": [1, 2, 30, 40.3]}
    assert second["label"] == "haemorrhages" and second["score"] == 0.25


@pytest.mark.parametrize(
    "check, good, bad",
    [
        (options.probability, ["0.001", "0.999"], ["0", "1", "-1", "nan", "x"]),
        (options.pixels, ["1", "999999"], ["0.5", "0", "1000000", "nan", "x"]),
        (options.seed_number, ["0", "4294967295"], ["4294967296", "-1", "1.0", "x", ""]),
    ],
)
def test_the_ends_of_what_an_option_takes(check, good, bad):
    assert [check(text) for text in good] == [float(text) for text in good]
    for text in bad:
        with pytest.raises(cli.argparse.ArgumentTypeError):
            check(text)


def test_a_loss_that_is_not_finite_is_a_message(data, tmp_path, monkeypatch, capsys):
    def diverge(*_, **__):
        raise FloatingPointError("The loss is nan at step 3.")

    monkeypatch.setattr(training_kinds, "train_vessels", diverge)
    assert run("train", "--data", data, "-o", tmp_path / "run", *TINY) == 1
    assert "retina-course: error: The loss is nan at step 3." in capsys.readouterr().err
