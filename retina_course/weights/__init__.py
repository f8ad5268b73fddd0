"""Trained weights that come with the package, and saving and loading of your own."""

from retina_course.weights.storage import INTENDED_USE, available, load, save

__all__ = ["INTENDED_USE", "available", "load", "save"]
