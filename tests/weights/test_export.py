"""ONNX files of detectors, and what any file says; those of vessel networks: tests/models."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from retina_course import weights
from retina_course.models import DETECTORS, create_model
from retina_course.models.detection.boxes import nms
from retina_course.weights import export

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
SMALL = {"num_classes": 3, "width": 4, "pyramid_channels": 8, "head_channels": 8}


def network(name):
    torch.manual_seed(0)
    options = SMALL if name in DETECTORS else {}
    model = create_model(name, **options).eval()
    return model, {"model": name, "options": options, "fov_diameter": 64, "threshold": 0.4}


@pytest.mark.parametrize("class_loss", ["focal", "hard_negatives"])
def test_a_detector_gives_boxes_that_suppression_turns_into_its_detections(class_loss):
    torch.manual_seed(0)
    options = SMALL | {"class_loss": class_loss, "score_threshold": 0.0}
    model = create_model("retina_net", **options).eval()
    torch.nn.init.normal_(model.network.class_head[-1].weight, std=0.5)
    card = {"model": "retina_net", "options": options, "fov_diameter": 64}
    x = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        boxes, scores = export._Decoded(model)(x)
        (expected, _) = model(x)
    if class_loss == "focal":
        session = onnxruntime.InferenceSession(weights.to_onnx(model, card))
        outputs = map(torch.from_numpy, session.run(None, {"images": x.numpy()}))
        for found, known in zip(outputs, (boxes, scores), strict=True):
            torch.testing.assert_close(found, known, atol=1e-3, rtol=1e-4)
    # What the metadata say: per class the best first, without those that overlap a better one.
    best, index = scores[0].flatten().topk(1000)
    kept = torch.minimum(boxes[0][index // 3].clamp(min=0), torch.tensor([96, 64, 96, 64]))
    wide = ((kept[:, 2:] - kept[:, :2]) >= 1).all(dim=1)
    kept, best, labels = kept[wide], best[wide], (index % 3 + 1)[wide]
    chosen = nms(kept, best, labels, model.nms_iou)[: model.max_boxes]
    torch.testing.assert_close(best[chosen], expected["scores"])
    torch.testing.assert_close(kept[chosen], expected["boxes"])


def test_without_the_packages_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match="pip install onnx onnxscript"):
        weights.to_onnx(*network("unet_small"))


@pytest.mark.parametrize("name", ["unet_small", *DETECTORS])
def test_what_is_exported_and_what_the_file_says_of_it(name, monkeypatch):
    """With a stand-in for the exporter, which takes many seconds."""
    asked = {}

    def exported(model, example, **options):
        asked.update(options, model=type(model).__name__, training=model.training)
        return SimpleNamespace(model_proto=onnx.ModelProto())

    monkeypatch.setattr(torch.onnx, "export", exported)
    model, card = network(name)
    card |= {"classes": ["a", "b", "c"], "pixels_per_degree": 1.5, "licence": "CC", "seed": 3}
    content = onnx.load_model_from_string(weights.to_onnx(model.train(), card))
    is_detector = name in DETECTORS
    outputs = ["boxes", "scores"] if is_detector else ["logits"]
    assert asked["output_names"] == outputs and asked["input_names"] == ["images"]
    assert asked["model"] == ("_Decoded" if is_detector else "UNetSmall") and not asked["training"]
    (axes,) = asked["dynamic_shapes"]
    assert [*axes] == [0, 2, 3]
    known = {prop.key: json.loads(prop.value) for prop in content.metadata_props}
    about = {key.removeprefix(export.ONNX_MARK): value for key, value in known.items()}
    of_card = {"model", "fov_diameter", "pixels_per_degree", "threshold", "classes", "licence"}
    assert {key: about[key] for key in of_card} == {key: card[key] for key in of_card}
    assert about["size_multiple"] == model.size_multiple and "seed" not in about
    assert all(about[key] == export.USE[key] for key in ("images", *outputs))
    settings = ("score_threshold", "nms_iou", "max_boxes")
    expected = {key: getattr(model, key) for key in settings} if is_detector else {}
    assert {key: about[key] for key in settings if key in about} == expected
