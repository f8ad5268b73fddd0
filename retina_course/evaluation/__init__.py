"""Scores: of vessel maps, of detections, by place, and how far they would vary."""

from retina_course.evaluation import (
    binary_maps,
    detection_metrics,
    error_analysis,
    leaderboard,
    metrics,
)
from retina_course.evaluation.intervals import Interval, bootstrap, paired_difference
from retina_course.evaluation.metrics import evaluate

__all__ = [
    "Interval",
    "binary_maps",
    "bootstrap",
    "detection_metrics",
    "error_analysis",
    "evaluate",
    "leaderboard",
    "metrics",
    "paired_difference",
]
