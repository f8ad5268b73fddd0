import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from retina_course import weights
from retina_course.data import files
from retina_course.data.augment import RandomCrops
from retina_course.data.synthetic import make_fundus
from retina_course.inference import segment
from retina_course.models import create_model
from retina_course.training.detector_recipe import SCALE

CARD = {"model": "unet_small", "options": {"num_classes": 2}, "fov_diameter": 900}


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = create_model("unet_small", num_classes=2).to(memory_format=torch.channels_last)
    weights.save(tmp_path / "mine.safetensors", model, CARD)
    return tmp_path / "mine.safetensors", model


def edit_card(path, **changes):
    card_path = path.with_suffix(".json")
    card = json.loads(card_path.read_text()) | changes
    card_path.write_text(json.dumps({k: v for k, v in card.items() if v is not None}))


def test_what_is_saved_is_loaded(saved):
    path, model = saved
    loaded, card = weights.load(str(path))
    assert not loaded.training
    expected = model.state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in loaded.state_dict().items())
    assert CARD.items() <= card.items()
    assert "Not a medical device" in card["intended_use"]


def test_nothing_but_the_two_files_is_left(saved):
    path, model = saved
    weights.save(path, model, CARD)  # again, over the old ones
    assert sorted(p.name for p in path.parent.iterdir()) == ["mine.json", "mine.safetensors"]


def test_a_failed_save_leaves_the_old_files(saved, monkeypatch):
    path, model = saved
    before = path.read_bytes()

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", no_space)
    with pytest.raises(OSError, match="No space"):
        weights.save(path, create_model("unet_small", num_classes=2), CARD)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.parametrize(
    "card, message",
    [
        ({"options": {}}, "lacks model"),
        ({"model": "unet_small", "options": {}}, r"conv.weight: \(2, 16, 1, 1\)"),
        ({"model": "unet_tiny", "options": {}}, "Unknown model 'unet_tiny'"),
        ({"model": "unet_small", "options": {"width": 3}}, "width"),
        (CARD | {"metrics": {"auc": float("nan")}}, "JSON"),
        (CARD | {"threshold": None}, "x.json says threshold None"),  # `load` would refuse it
        (CARD | {"pixels_per_degree": -1.0}, "x.json says pixels_per_degree -1.0"),
    ],
)
def test_a_card_that_does_not_fit_is_not_saved(tmp_path, card, message):
    model = create_model("unet_small", num_classes=2)
    with pytest.raises(ValueError, match=message):
        weights.save(tmp_path / "x.safetensors", model, card)
    assert not list(tmp_path.iterdir())


def test_pickle_checkpoints_are_refused_with_the_way_out(tmp_path):
    model = create_model("unet_small")
    torch.save(model.state_dict(), tmp_path / "old.pth")
    with pytest.raises(ValueError, match="weights_only=True"):
        weights.load(tmp_path / "old.pth")
    for ending in ("pt", "pth", "ckpt", "bin"):
        with pytest.raises(ValueError, match="weights_only=True"):
            weights.save(tmp_path / f"new.{ending}", model, CARD)
    with pytest.raises(ValueError, match="ends in .safetensors"):
        weights.load(tmp_path / "weights.h5")


def test_missing_files(saved):
    path, _ = saved
    with pytest.raises(FileNotFoundError, match="absent.safetensors"):
        weights.load(path.with_name("absent.safetensors"))
    path.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match="card .*mine.json is missing"):
        weights.load(path)


def test_unknown_names_list_what_there_is():
    with pytest.raises(ValueError, match="No weights named 'unet_smal' .* Available: "):
        weights.load("unet_smal")


def test_damaged_files(saved):
    path, _ = saved
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="sha256 differs"):
        weights.load(path)
    edit_card(path, sha256=None)
    path.write_bytes(data[:100])
    with pytest.raises(ValueError, match="not a safetensors file, or damaged"):
        weights.load(path)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(ValueError, match="mine.json is not valid JSON"):
        weights.load(path)
    path.with_suffix(".json").write_text("[]")
    with pytest.raises(ValueError, match="must be a JSON object"):
        weights.load(path)


def test_tensors_and_card_must_agree(saved):
    path, _ = saved
    edit_card(path, options={"num_classes": 5})
    with pytest.raises(ValueError, match=r"conv.weight: \(2, 16, 1, 1\), expected \(5, 16, 1, 1\)"):
        weights.load(path)
    edit_card(path, options={"depth": 5})
    with pytest.raises(ValueError, match="depth"):
        weights.load(path)
    edit_card(path, model=None)
    with pytest.raises(ValueError, match="lacks model"):
        weights.load(path)


def test_loading_reads_no_pickle(saved, monkeypatch):
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(f"pickle.{name}", None)
    weights.load(saved[0])


def test_the_shipped_weights():
    model, card = weights.load("unet_small")
    assert (card["model"], model.num_classes) == ("unet_small", 1)
    needed = {"size", "fov_diameter", "threshold", "training_data", "metrics", "licence"}
    assert needed <= card.keys()
    assert 0 < card["threshold"] < 1
    assert "not a medical device" in card["intended_use"].lower()


@pytest.mark.parametrize("name", [n for n in weights.available() if n.endswith("_any_camera")])
def test_weights_for_any_camera_name_both_sets_and_their_range(name):
    model, card = weights.load(name)
    assert name == f"{card['model']}_any_camera" and len(card["trained_on"]) == 8 + 15
    low, high = card["pixels_per_degree_range"]
    assert low <= 10 and high >= 28 and 0 < card["threshold"] < 1
    assert card["metrics"]["set"].startswith("HRF, last 30")
    eye = make_fundus(480, seed=4)
    seen = segment(model, eye.image, card, field_angle=22.5, flips=False)  # as it is
    found = seen.probability >= card["threshold"]
    inside, vessel = found[eye.fov], eye.vessel[eye.fov]
    assert 2 * (inside & vessel).sum() / (inside.sum() + vessel.sum()) > 0.5


def test_the_readme_says_the_detectors_scores():
    readme = " ".join(Path(__file__).parents[2].joinpath("README.md").read_text().split())
    scores = weights.load("retina_net")[1]["metrics"]
    disc, exudates, haemorrhages = (
        f"{scores[name]:.2f}" for name in ("optic disc", "hard exudates", "haemorrhages")
    )
    assert (
        f"average precision (IoU 0.5) is {disc} for the disc, {exudates} for exudates and "
        f"{haemorrhages} for haemorrhages" in readme
    )


@pytest.mark.parametrize(
    ("name", "angle"), [("unet_small", 30), ("unet_large", 30), ("retina_segmentor", 30),
                        ("retina_net", 50)]
)  # fmt: skip
def test_the_shipped_cards_have_the_scale_of_their_training(name, angle):
    card = weights.load(name)[1]
    low, high = card["pixels_per_degree_range"]
    scale = RandomCrops.scale if name != "retina_net" else SCALE
    assert card["fov_diameter"] == card["recipe"]["fov_diameter"]
    assert card["pixels_per_degree"] == pytest.approx(card["fov_diameter"] / angle, abs=1e-4)
    assert (low, high) == pytest.approx([card["pixels_per_degree"] * x for x in scale], abs=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 7},
        {"threshold": "0.4"},
        {"threshold": True},
        {"fov_diameter": float("nan")},
        {"pixels_per_degree": -21.3},
        {"largest_enlargement": "2"},
    ],
)
def test_a_card_with_wrong_numbers_is_named(saved, changes):
    path, _ = saved
    edit_card(path, **changes)
    with pytest.raises(ValueError, match=f"says {next(iter(changes))}"):
        weights.load(path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = create_model("unet_small")
    torch.nn.init.constant_(model.conv.bias, float("nan"))
    weights.save(tmp_path / "w.safetensors", model, {"model": "unet_small", "options": {}})
    with pytest.raises(ValueError, match="not finite, first in conv.bias"):
        weights.load(tmp_path / "w.safetensors")


def test_half_the_size_gives_the_same_model_to_three_digits(saved, tmp_path):
    path, model = saved
    half = tmp_path / "half.safetensors"
    weights.save(half, model, CARD, half=True)
    assert half.stat().st_size < 0.6 * path.stat().st_size
    loaded, card = weights.load(half)
    assert card["stored_as"] == "float16"
    assert {t.dtype for t in loaded.parameters()} == {torch.float32}
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded(x), model.eval()(x), atol=2e-3, rtol=0)
    with torch.no_grad():
        model.conv.weight.view(-1)[0] = 1e6
    with pytest.raises(ValueError, match="half=False"):
        weights.save(tmp_path / "large.safetensors", model, CARD, half=True)
    assert not (tmp_path / "large.safetensors").exists()


def test_half_of_a_network_keeps_its_whole_numbers(saved, tmp_path):
    """Batch normalisation counts its batches: float16 would lose them from 2048 on."""
    _, model = saved
    model.enc1[1].num_batches_tracked.fill_(4097)
    weights.save(tmp_path / "half.safetensors", model, CARD, half=True)
    loaded, _ = weights.load(tmp_path / "half.safetensors")
    assert loaded.enc1[1].num_batches_tracked == 4097


def test_missing_folders_are_made(saved, tmp_path):
    weights.save(tmp_path / "a" / "b" / "w.safetensors", saved[1], CARD)
    assert weights.load(tmp_path / "a" / "b" / "w.safetensors")


def test_of_many_tensors_that_do_not_fit_three_are_named(saved):
    path, model = saved
    edit_card(path, model="unet_large")
    with pytest.raises(ValueError, match="do not fit UNetLarge") as raised:
        weights.load(path)
    text = str(raised.value)
    small, large = (
        {(name, t.shape) for name, t in one.state_dict().items()}
        for one in (model, create_model("unet_large", num_classes=2))
    )
    wrong = {name for name, _ in small ^ large}
    assert text.count("expected ") == 3 and f"; and {len(wrong) - 3} more." in text


def test_a_tensor_too_many_and_one_too_few_are_named(saved):
    path, _ = saved
    tensors = load_file(path)
    tensors["conv.scale"] = tensors.pop("conv.bias")
    save_file(tensors, path)
    edit_card(path, sha256=None)
    with pytest.raises(ValueError) as raised:
        weights.load(path)
    assert "conv.bias: missing, expected (2,)" in str(raised.value)
    assert "conv.scale: (2,), expected no such tensor." in str(raised.value)
