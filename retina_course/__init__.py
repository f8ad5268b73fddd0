"""Retinal image segmentation, architecture by architecture: the package under the course."""

from retina_course.models import create_model, list_models

__version__ = "0.5.0"
__all__ = ["create_model", "list_models"]
