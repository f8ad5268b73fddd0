"""Scores: of vessel maps, of detections, by place, and how far they would vary."""

from retina_course.evaluation import (
    binary_maps,
    detection_metrics,
    error_analysis,
    leaderboard,
    metrics,
    streaming,
)
from retina_course.evaluation.intervals import Interval, bootstrap, paired_difference
from retina_course.evaluation.metrics import evaluate
from retina_course.evaluation.streaming import PixelCounts, evaluate_stream

__all__ = [
    "Interval",
    "PixelCounts",
    "binary_maps",
    "bootstrap",
    "detection_metrics",
    "error_analysis",
    "evaluate",
    "evaluate_stream",
    "leaderboard",
    "metrics",
    "paired_difference",
    "streaming",
]
