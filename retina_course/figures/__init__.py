"""Figures: plots and overlays (`plotting`), drawings of architectures (`diagrams`)."""

from retina_course.figures import diagrams, plotting

__all__ = ["diagrams", "plotting"]
