"""What differs between the training of a network for vessels and that of a detector."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from retina_course.cli.inputs import open_boxes, open_data
from retina_course.data.augment import RandomCrops
from retina_course.data.detection import LESION_CLASSES
from retina_course.data.idrid import BoxedPhotograph, IDRiDBoxes
from retina_course.data.photographs import Photograph, Photographs
from retina_course.evaluation import detection_metrics
from retina_course.evaluation.metrics import pool
from retina_course.evaluation.streaming import PixelCounts
from retina_course.inference.detection import detect
from retina_course.inference.field_of_view import find_fov
from retina_course.inference.segmentation import segment
from retina_course.training.checkpoints import History
from retina_course.training.detector_recipe import (
    DETECTOR_OPTIONS,
    SCALE,
    DetectorRecipe,
    train_detector,
)
from retina_course.training.recipe import Recipe, train_vessels
from retina_course.training.start import learning_rate

IOU = 0.5  # of a hit, for the threshold and the average precision of a detector


class Vessels:
    """A network with one output, from photographs with masks."""

    recipe = Recipe
    options: Mapping[str, Any] = {"num_classes": 1}
    object = "vessel"
    magnification = RandomCrops.scale

    def learning_rate(self, name: str) -> float:
        """The highest learning rate that suits a network."""
        return learning_rate(name)

    def open(self, data: str, vessels: str | None) -> Photographs:
        """The dataset; no photograph has been read yet."""
        return open_data(data, "train", vessels)

    def fov(self, photo: Photograph, rgb: Tensor) -> Tensor:
        """The field of view of a photograph."""
        return torch.from_numpy(photo.fov)

    def has_object(self, photo: Photograph) -> bool:
        """Whether there is something to learn."""
        return bool(photo.ground_truth[photo.fov].any())

    def train(self, *arguments: Any, **options: Any) -> tuple[nn.Module, History]:
        """The training; see `train_vessels`."""
        return train_vessels(*arguments, **options)

    def about(self, recipe: Recipe) -> dict[str, Any]:
        """What the card says of this kind only."""
        return {"size": recipe.crop}

    def score(
        self, model: nn.Module, card: Mapping[str, Any], dataset: Photographs
    ) -> dict[str, Any]:
        """The best threshold on the training photographs, and the scores there."""
        counts = PixelCounts()
        for photo in tqdm(dataset, "scoring", len(dataset), unit="photograph"):
            found = segment(model, photo.image, card, fov=photo.fov, field_angle=photo.field_angle)
            p = found.probability.numpy()
            counts.add(*pool([p], [photo.ground_truth], [photo.fov]))
        threshold = counts.best_threshold()
        about = {"set": "the training images themselves"}
        return {"threshold": threshold, "metrics": about | counts.scores(threshold)}

    def summary(self, metrics: Mapping[str, Any]) -> str:
        """The scores in one line."""
        return f"F1 on the training images {metrics['f1']:.3f}; for others: retina-course evaluate"


class Boxes:
    """A detector, from photographs with boxes."""

    recipe = DetectorRecipe
    options: Mapping[str, Any] = DETECTOR_OPTIONS
    object = "box"
    magnification = SCALE

    def learning_rate(self, name: str) -> float:
        """The highest learning rate that suits a network."""
        return DetectorRecipe.lr

    def open(self, data: str, vessels: str | None) -> IDRiDBoxes:
        """The dataset; no photograph has been read yet."""
        if vessels:
            raise ValueError("A detector learns boxes, not masks: leave out --vessels.")
        return open_boxes(data)

    def fov(self, photo: BoxedPhotograph, rgb: Tensor) -> Tensor:
        """The field of view of a photograph."""
        return find_fov(rgb)

    def has_object(self, photo: BoxedPhotograph) -> bool:
        """Whether there is something to learn."""
        return len(photo.boxes) > 0

    def train(self, *arguments: Any, **options: Any) -> tuple[nn.Module, History]:
        """The training; see `train_detector`."""
        return train_detector(*arguments, **options)

    def about(self, recipe: DetectorRecipe) -> dict[str, Any]:
        """What the card says of this kind only."""
        return {"classes": list(LESION_CLASSES)}

    def score(
        self, model: nn.Module, card: Mapping[str, Any], dataset: IDRiDBoxes
    ) -> dict[str, Any]:
        """The best threshold on the training photographs, and the scores there."""
        found, truth = [], []
        for photo in tqdm(dataset, "scoring", len(dataset), unit="photograph"):
            found.append(detect(model, photo.image, card, field_angle=photo.field_angle))
            truth.append({"boxes": photo.boxes, "labels": photo.labels})
        labels = sorted({label for one in truth for label in one["labels"].tolist()})
        any_found = any(len(one["boxes"]) for one in found)
        best = detection_metrics.best_threshold(found, truth, labels, IOU) if any_found else 0.5
        about = {"set": f"the training images themselves; AP at IoU {IOU}"}
        return {
            "threshold": best,
            "metrics": about
            | {
                LESION_CLASSES[label - 1]: detection_metrics.average_precision(
                    found, truth, label, IOU
                )
                for label in labels
            },
        }

    def summary(self, metrics: Mapping[str, Any]) -> str:
        """The scores in one line."""
        scores = ", ".join(f"{name} {metrics[name]:.3f}" for name in metrics if name != "set")
        return f"Average precision at IoU {IOU} on the training images: {scores}"


Kind = Vessels | Boxes
