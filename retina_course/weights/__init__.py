"""Trained weights that come with the package, and how one's own are saved and loaded."""

from retina_course.weights.storage import INTENDED_USE, available, load, save

__all__ = ["INTENDED_USE", "available", "load", "save"]
