"""The module paths of version 0.5, which can still be imported in this release, with a warning.

`retina_course.losses` is now `retina_course.training.losses`, and so on. The import of an old path
returns a module that contains the names of the new modules.
"""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "arithmetic": ("shapes.arithmetic", "shapes.steps"),
    "data._fundus_scene": ("data.synthetic.scene",),
    "data._vessel_tree": ("data.synthetic.vessel_tree", "data.synthetic.vessel_layout"),
    "detection": ("inference.detection", "inference.field_of_view"),
    "detection_metrics": ("evaluation.detection_metrics", "inference.detection"),
    "diagrams": ("figures.diagrams",),
    "error_analysis": ("evaluation.error_analysis", "evaluation.calibration"),
    "images": ("data.images", "data.image_files", "data.pil_images"),
    "leaderboard": ("evaluation.leaderboard",),
    "losses": ("training.losses",),
    "metrics": ("evaluation.metrics", "evaluation.intervals"),
    "models.anchors": ("models.detection.anchors",),
    "models.boxes": ("models.detection.boxes",),
    "models.detection_losses": ("models.detection.losses",),
    "models.pyramid": ("models.detection.pyramid",),
    "models.retina_unet_detector": (
        "models.detection.retina_unet_detector",
        "models.detection.retina_net",
    ),
    "plotting": ("figures.plotting",),
    "recipe": ("training.recipe",),
}


class _OldPaths(MetaPathFinder, Loader):
    """A finder and loader for the old paths."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec for an old path, else None."""
        if name.removeprefix("retina_course.") not in MOVED:
            return None
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> None:
        """None asks Python for its usual, empty module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Warn, and fill the module with the names of its new modules."""
        paths = [f"retina_course.{new}" for new in MOVED[module.__name__.split(".", 1)[1]]]
        warnings.warn(
            f"{module.__name__} is now {' and '.join(paths)}; the old path will be removed in "
            "version 0.7. Import from the new one.",
            DeprecationWarning,
            stacklevel=2,
        )
        for new in reversed([importlib.import_module(path) for path in paths]):
            # The first module comes last: its names win.
            public = {name: v for name, v in vars(new).items() if not name.startswith("__")}
            module.__dict__.update(public)


def install() -> None:
    """Let `import` find the old paths, after everything else."""
    sys.meta_path.append(_OldPaths())
