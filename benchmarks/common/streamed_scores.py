"""Scores of photographs that are too large to be held in memory together."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from retina_course.data.photographs import Photograph
from retina_course.evaluation import metrics
from retina_course.evaluation.streaming import PixelCounts
from retina_course.inference import segment


def scored_one_by_one(
    model: nn.Module, card: Mapping[str, Any], photographs: Iterable[Photograph]
) -> dict[str, Any]:
    """Pooled scores and those of each photograph, at the card's threshold, with four flips.

    At native size, inside the field of view; each is seen at the scale of its own camera.
    """
    counts, rows = PixelCounts(), []
    for photo in photographs:
        angle = photo.field_angle
        image = segment(model, photo.image, card, fov=photo.fov, field_angle=angle)
        p, vessel = metrics.pool([image.probability.numpy()], [photo.ground_truth], [photo.fov])
        counts.add(p, vessel)
        rows.append({"name": photo.name} | metrics.scores(p, vessel, card["threshold"]))
    return {"pooled": counts.scores(card["threshold"]), "per_image": rows}
