"""Scores: of vessel maps, probabilities and detections, by place, and how far they would vary."""

from retina_course.evaluation import (
    binary_maps,
    calibration,
    comparisons,
    detection_metrics,
    error_analysis,
    leaderboard,
    metrics,
    streaming,
    surface,
    topology,
)
from retina_course.evaluation.agreement import Agreement, bland_altman, icc, icc_interval
from retina_course.evaluation.estimates import Estimate, Interval, estimate
from retina_course.evaluation.intervals import bootstrap, student
from retina_course.evaluation.metrics import evaluate
from retina_course.evaluation.streaming import PixelCounts, evaluate_stream
from retina_course.evaluation.surface import nsd, observer_tolerance
from retina_course.evaluation.topology import betti_errors, betti_numbers

__all__ = [
    "Agreement",
    "Estimate",
    "Interval",
    "PixelCounts",
    "betti_errors",
    "betti_numbers",
    "binary_maps",
    "bland_altman",
    "bootstrap",
    "calibration",
    "comparisons",
    "detection_metrics",
    "error_analysis",
    "estimate",
    "evaluate",
    "evaluate_stream",
    "icc",
    "icc_interval",
    "leaderboard",
    "metrics",
    "nsd",
    "observer_tolerance",
    "streaming",
    "student",
    "surface",
    "topology",
]
