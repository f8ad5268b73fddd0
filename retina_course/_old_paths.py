"""The module paths of version 0.5, importable for one more release, each with a warning.

`retina_course.losses` is now `retina_course.training.losses`, and so on. An import of an old path
gives a module that hands on the names of its new places.
"""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "arithmetic": ("shapes.arithmetic", "shapes.steps"),
    "data._fundus_scene": ("data.synthetic.scene",),
    "data._vessel_tree": ("data.synthetic.vessel_tree",),
    "detection": ("inference.detection", "inference.field_of_view"),
    "detection_metrics": ("evaluation.detection_metrics", "inference.detection"),
    "diagrams": ("figures.diagrams",),
    "error_analysis": ("evaluation.error_analysis",),
    "images": ("data.images",),
    "leaderboard": ("evaluation.leaderboard",),
    "losses": ("training.losses",),
    "metrics": ("evaluation.metrics", "evaluation.intervals"),
    "models.anchors": ("models.detection.anchors",),
    "models.boxes": ("models.detection.boxes",),
    "models.detection_losses": ("models.detection.losses",),
    "models.pyramid": ("models.detection.pyramid",),
    "models.retina_unet_detector": ("models.detection.retina_unet_detector",),
    "plotting": ("figures.plotting",),
    "recipe": ("training.recipe",),
}


class _OldPaths:
    """A finder and loader for the old paths."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.removeprefix("retina_course.") not in MOVED:
            return None
        return ModuleSpec(name, self)  # type: ignore[arg-type]  # a loader by its methods

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        paths = [f"retina_course.{new}" for new in MOVED[module.__name__.split(".", 1)[1]]]
        warnings.warn(
            f"{module.__name__} is now {' and '.join(paths)}; the old path goes in version 0.7.",
            DeprecationWarning,
            stacklevel=2,
        )
        places = [importlib.import_module(path) for path in paths]
        for place in reversed(places):  # the first has the last word
            module.__dict__.update({k: v for k, v in vars(place).items() if not k.startswith("__")})


def install() -> None:
    """Let `import` find the old paths, after everything else."""
    sys.meta_path.append(_OldPaths())  # type: ignore[arg-type]  # a finder by its method
