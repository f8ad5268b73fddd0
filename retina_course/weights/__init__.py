"""Trained weights that come with the package; saving, loading and exporting of your own."""

from retina_course.weights.cards import main_scores, scale_text
from retina_course.weights.export import ONNX_MARK, to_onnx
from retina_course.weights.plan import layer_plan
from retina_course.weights.storage import INTENDED_USE, available, load, save

__all__ = [
    "INTENDED_USE",
    "ONNX_MARK",
    "available",
    "layer_plan",
    "load",
    "main_scores",
    "save",
    "scale_text",
    "to_onnx",
]
