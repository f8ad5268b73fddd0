"""Synthetic fundus images with an exact ground truth; nothing has to be downloaded."""

from retina_course.data.synthetic.detection import (
    TOY_CLASSES,
    synthetic_detection,
    synthetic_toys,
)
from retina_course.data.synthetic.fundus import (
    BACKGROUND,
    DISC,
    LESION,
    MIN_SIZE,
    VESSEL,
    Fundus,
    make_fundus,
    make_fundus_images,
    synthetic_batch,
    synthetic_classes,
)
from retina_course.data.synthetic.geometry import Branch, VesselGeometry, vessel_geometry
from retina_course.data.synthetic.tubes import draw_tubes

__all__ = [
    "BACKGROUND",
    "DISC",
    "LESION",
    "MIN_SIZE",
    "TOY_CLASSES",
    "VESSEL",
    "Branch",
    "Fundus",
    "VesselGeometry",
    "draw_tubes",
    "make_fundus",
    "make_fundus_images",
    "synthetic_batch",
    "synthetic_classes",
    "synthetic_detection",
    "synthetic_toys",
    "vessel_geometry",
]
