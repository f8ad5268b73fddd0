"""From a photograph to a result in its own pixels: vessel maps, boxes, any network's output."""

from retina_course.inference.boxed_images import stack_boxed_images
from retina_course.inference.detection import (
    detect,
    detect_all,
    detect_in_crop,
    detect_photographs,
    ellipses,
)
from retina_course.inference.disc_angle import angle_from_disc, angle_warnings
from retina_course.inference.doubt import doubt_warnings, expected_f1
from retina_course.inference.field_of_view import crop_to_fov, find_fov, fov_window, resize
from retina_course.inference.prediction import FLIPS, evaluating, pad, predict
from retina_course.inference.quality import photograph_warnings, vessel_warnings
from retina_course.inference.scale import DEFAULT_FIELD_ANGLE, working_diameter
from retina_course.inference.segmentation import Seen, Segmentation, segment, segment_all

__all__ = [
    "DEFAULT_FIELD_ANGLE",
    "FLIPS",
    "Seen",
    "Segmentation",
    "angle_from_disc",
    "angle_warnings",
    "crop_to_fov",
    "detect",
    "detect_all",
    "detect_in_crop",
    "detect_photographs",
    "doubt_warnings",
    "ellipses",
    "evaluating",
    "expected_f1",
    "find_fov",
    "fov_window",
    "pad",
    "photograph_warnings",
    "predict",
    "resize",
    "segment",
    "segment_all",
    "stack_boxed_images",
    "vessel_warnings",
    "working_diameter",
]
