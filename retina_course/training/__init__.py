"""Training: losses, the loop `fit`, the course's recipe, and the calls of the source document."""

from retina_course.training import losses
from retina_course.training.checkpoints import History
from retina_course.training.detector_recipe import (
    DETECTOR_OPTIONS,
    DetectorRecipe,
    train_detector,
)
from retina_course.training.devices import (
    default_device,
    default_precision,
    distributed,
    seed_everything,
)
from retina_course.training.documented import Evaluate, Train
from retina_course.training.loop import Sample, batch_generator, fit
from retina_course.training.recipe import (
    Recipe,
    stack_images,
    train_vessels,
)
from retina_course.training.sizes import check_sizes
from retina_course.training.start import learning_rate, set_head_bias

__all__ = [
    "DETECTOR_OPTIONS",
    "DetectorRecipe",
    "Evaluate",
    "History",
    "Recipe",
    "Sample",
    "Train",
    "batch_generator",
    "check_sizes",
    "default_device",
    "default_precision",
    "distributed",
    "fit",
    "learning_rate",
    "losses",
    "seed_everything",
    "set_head_bias",
    "stack_images",
    "train_detector",
    "train_vessels",
]
