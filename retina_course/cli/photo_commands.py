"""The commands that look at photographs: `segment` writes vessel maps, `detect` writes boxes.

Both go on with the next photograph where one cannot be used.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from retina_course import weights as trained_weights
from retina_course.cli.batch import SHOWN, Batch
from retina_course.cli.field_angles import Angle, scale_facts
from retina_course.cli.found import Found
from retina_course.cli.inputs import choose_threshold, refuse_detector, refuse_segmentor
from retina_course.data.reading import printable
from retina_course.figures.plotting import BOX_COLOURS, overlay_image
from retina_course.inference.detection import detect
from retina_course.inference.doubt import doubt_warnings, expected_f1
from retina_course.inference.field_of_view import measured_diameter
from retina_course.inference.quality import vessel_warnings
from retina_course.inference.segmentation import segment


def segment_photographs(
    photos: Sequence[Path],
    *,
    weights: str,
    threshold: float | None,
    flips: bool,
    device: torch.device,
    fov_diameter: float | None = None,
    **where: Any,
) -> int:
    """Find the vessels in photographs; write three images for each, and a table.

    Parameters
    ----------
    photos : sequence of Path
        Image files, folders and patterns.
    weights : str
        See `weights.load`.
    threshold : float or None
        Vessel where the probability is at least this. None: as the card says.
    flips : bool
        Test-time augmentation: average over flips of the image.
    device : torch.device
        Where the network computes.
    fov_diameter : float, optional
        See `Batch`.
    **where
        `output`, `recursive`, `again`, `field_of_view` and `field_angle`: see `Batch`.

    Returns
    -------
    int
        Exit code: 0, or 1 where a photograph failed.

    Raises
    ------
    ValueError
        The weights cannot be used, or see `Batch.run`.
    """
    model, card = trained_weights.load(weights)
    refuse_detector(card, weights)
    cut = choose_threshold(threshold, card)
    model.to(device)

    def look(path: Path, image: Tensor, fov: Tensor, angle: Angle) -> Found:
        of_field: dict[str, Any] = {"fov": fov, "fov_diameter": fov_diameter}
        of_field["field_angle"] = angle.degrees
        result = segment(model, image, card, flips=flips, **of_field)
        vessels = ((result.probability >= cut) & fov).numpy()
        grey = (result.probability.numpy() * 65535).round().astype(np.uint16)
        share = float(vessels.sum() / int(fov.sum()))
        expected = expected_f1(*result.seen, cut)
        return Found(
            f"{_size(fov)}, vessels {share:.1%} of the field of view",
            {"vessel_fraction": f"{share:.4f}", "expected_f1": f"{expected:.3f}"},
            {
                "vessels.png": vessels.astype(np.uint8) * 255,
                "probability.png": grey,
                "overlay.jpg": overlay_image(image, vessels),
            },
            vessel_warnings(share) + doubt_warnings(expected, card),
        )

    batch = Batch(
        command="segment",
        endings=("vessels.png", "probability.png", "overlay.jpg"),
        columns=("vessel_fraction", "expected_f1"),
        look=look,
        card=card,
        settings=network_settings(weights, model, card, cut, flips),
        fov_diameter=fov_diameter,
        **where,
    )
    return batch.run(photos)


def detect_photographs(
    photos: Sequence[Path],
    *,
    weights: str,
    threshold: float | None,
    flips: bool,
    device: torch.device,
    fov_diameter: float | None = None,
    **where: Any,
) -> int:
    """Find lesions and the optic disc; write an image with boxes, and the boxes as JSON, for each.

    Parameters
    ----------
    photos : sequence of Path
        Image files, folders and patterns.
    weights : str
        See `weights.load`.
    threshold : float or None
        Smallest score of a box. None: as the card says.
    flips : bool
        Test-time augmentation: combine the boxes of the flipped images.
    device : torch.device
        Where the network computes.
    fov_diameter : float, optional
        See `Batch`.
    **where
        `output`, `recursive`, `again`, `field_of_view` and `field_angle`: see `Batch`.

    Returns
    -------
    int
        Exit code: 0, or 1 where a photograph failed.

    Raises
    ------
    ValueError
        The weights cannot be used, or see `Batch.run`.
    """
    model, card = trained_weights.load(weights)
    refuse_segmentor(card, weights)
    cut = choose_threshold(threshold, card)
    model.to(device)
    # The stubs of torch call every attribute of a module a tensor or a module.
    names = card.get("classes") or [f"class {i + 1}" for i in range(cast(int, model.num_classes))]

    def look(path: Path, image: Tensor, fov: Tensor, angle: Angle) -> Found:
        of_field: dict[str, Any] = {"fov": fov, "fov_diameter": fov_diameter}
        of_field["field_angle"] = angle.degrees
        found = detect(model, image, card, flips=flips, **of_field)
        boxes, scores, labels = (found[key].tolist() for key in ("boxes", "scores", "labels"))
        rows = [
            {
                "label": names[label - 1],
                "score": round(score, 4),
                "box": [round(side, 1) for side in box],
            }
            for box, score, label in zip(boxes, scores, labels, strict=True)
            if score >= cut
        ]
        content = {
            "photograph": printable(path.name),
            "width": image.shape[2],
            "height": image.shape[1],
            "box": "x1, y1, x2, y2 in pixels of the photograph",
            **scale_facts(fov_diameter or measured_diameter(fov), angle, card),
            "threshold": cut,
            "intended_use": trained_weights.INTENDED_USE,
            "detections": rows,
        }
        pixels = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        counts = {name: sum(row["label"] == name for row in rows) for name in names}
        return Found(
            f"{_size(fov)}, " + ", ".join(f"{count} {name}" for name, count in counts.items()),
            {f"count {name}": count for name, count in counts.items()},
            {"boxes.json": content, "boxes.jpg": _with_boxes(pixels, rows, names)},
            [],
        )

    batch = Batch(
        command="detect",
        endings=("boxes.jpg", "boxes.json"),
        columns=[f"count {name}" for name in names],
        look=look,
        card=card,
        settings=network_settings(weights, model, card, cut, flips),
        fov_diameter=fov_diameter,
        **where,
    )
    return batch.run(photos)


def network_settings(
    weights: str, model: nn.Module, card: Mapping[str, Any], cut: float, flips: bool
) -> dict[str, object]:
    """What the rows of all photographs have in common.

    Parameters
    ----------
    weights : str
        Their name or path.
    model : nn.Module
        The network.
    card : mapping
        Its card.
    cut : float
        The threshold.
    flips : bool
        Whether predictions are averaged over flips of the image.

    Returns
    -------
    dict of str to object
        By column of the table.
    """
    tensors = (tensor.cpu().numpy().tobytes() for tensor in model.state_dict().values())
    digest = card.get("sha256") or hashlib.sha256(b"".join(tensors)).hexdigest()
    return {
        "weights": printable(Path(weights).name),
        "weights_sha256": digest[:SHOWN],
        "threshold": cut,
        "flips": flips,
    }


def _size(fov: Tensor) -> str:
    """The size of a photograph and of its field of view, for the terminal."""
    height, width = fov.shape
    share = f"{float(fov.float().mean()):.0%} of the picture"
    return f"{width}x{height}, field of view {measured_diameter(fov)} across, {share}"


def _with_boxes(
    pixels: NDArray[np.uint8], rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> NDArray[np.uint8]:
    """The photograph with its boxes, each with its name and score."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    line = max(2, max(image.size) // 400)
    text_height = max(12, max(image.size) // 60)
    font = ImageFont.load_default(text_height)
    for row in reversed(rows):  # the best on top
        colour = BOX_COLOURS[names.index(row["label"]) % len(BOX_COLOURS)]
        x1, y1, x2, y2 = row["box"]
        draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=line)
        text, place = f"{row['label']} {row['score']:.2f}", (x1, max(0, y1 - 1.3 * text_height))
        draw.rectangle(draw.textbbox(place, text, font=font), fill="black")
        draw.text(place, text, fill=colour, font=font)
    return np.asarray(image)
