"""Trained networks as ONNX files, for programs without PyTorch."""

import json
import logging
import warnings
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from retina_course.models import DETECTORS
from retina_course.models.detection import RetinaUNetDetector
from retina_course.models.detection.boxes import decode

OF_CARD = (
    *("intended_use", "model", "fov_diameter", "pixels_per_degree", "pixels_per_degree_range"),
    *("threshold", "classes", "sha256", "licence"),
)
ONNX_MARK = "retina_course."  # how the names of the metadata begin
LARGEST = 8192  # height and width of the images, in pixels
USE = {
    "images": "RGB (N, 3, H, W), float32 in [0, 1]; height and width multiples of size_multiple "
    "(repeat edge pixels), resampled so that each degree of the field of view has "
    "pixels_per_degree pixels; where the angle is not known, the field of view fov_diameter pixels",
    "logits": "(N, 1, H, W); the sigmoid is the probability of a vessel",
    "boxes": "(N, A, 4): x1, y1, x2, y2 in pixels of the image, one box for each anchor",
    "scores": "(N, A, classes): probabilities. For each class keep the boxes of at least "
    "score_threshold, best first, and drop a box whose IoU with a better one of its class is "
    "above nms_iou",
}


def to_onnx(model: nn.Module, card: Mapping[str, Any]) -> bytes:
    """Turn a network into an ONNX model, for images of any number and size.

    The input is `images`. A vessel network has the output `logits`. A detector has the outputs
    `boxes`, decoded from the anchors, and `scores`; what is left to do is to drop duplicates. The
    model's metadata say so, and hold what of the card its user needs, each as JSON.

    Parameters
    ----------
    model : nn.Module
        A network as `weights.load` returns it.
    card : mapping
        Its card.

    Returns
    -------
    bytes
        The content of an `.onnx` file.

    Raises
    ------
    ImportError
        If the packages onnx and onnxscript are missing.

    Examples
    --------
    >>> from retina_course import weights
    >>> content = to_onnx(*weights.load("unet_small"))  # doctest: +SKIP
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise ImportError(
            f"Export needs the package {error.name}: pip install onnx onnxscript."
        ) from error
    is_detector = card["model"] in DETECTORS
    outputs = ["boxes", "scores"] if is_detector else ["logits"]
    multiple = cast(int, model.size_multiple)
    smallest = cast(int, getattr(model, "total_stride", multiple))  # of one pixel, for SegNet
    network = _Decoded(cast(RetinaUNetDetector, model)) if is_detector else model
    sides = {
        axis: torch.export.Dim(name, min=smallest, max=LARGEST)
        if multiple == 1
        else multiple * torch.export.Dim(name, min=1, max=LARGEST // multiple)
        for axis, name in ((2, "h"), (3, "w"))
    }
    # Not 1 and not equal, else the exporter takes the example's sizes for fixed ones.
    example = torch.rand(2, 3, 4 * max(multiple, 16), 6 * max(multiple, 16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        logging.disable(logging.WARNING)
        try:
            program = torch.onnx.export(
                network.eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("n", min=1, max=1024), **sides},),
                input_names=["images"],
                output_names=outputs,
                verbose=False,
            )
        finally:
            logging.disable(logging.NOTSET)
    assert program is not None  # with `dynamo=True` it is returned
    about = {key: card[key] for key in OF_CARD if key in card}
    about |= {key: USE[key] for key in ("images", *outputs)} | {"size_multiple": multiple}
    if is_detector:
        about |= {key: getattr(model, key) for key in ("score_threshold", "nms_iou", "max_boxes")}
    content = program.model_proto
    onnx.helper.set_model_props(
        content, {f"{ONNX_MARK}{key}": json.dumps(value) for key, value in about.items()}
    )
    return content.SerializeToString()


class _Decoded(nn.Module):
    """The boxes and scores of a detector for all anchors, before any is dropped."""

    def __init__(self, detector: RetinaUNetDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.detector.network(images, segment=False)
        height, width = images.shape[2:]
        logits = raw.classes
        focal = self.detector.class_loss == "focal"
        scores = logits.sigmoid() if focal else logits.softmax(dim=-1)[..., 1:]
        return decode(self.detector.anchors((height, width)), raw.offsets), scores
