"""The results that `benchmarks/` measured: JSON with provenance, images, and their tables."""

from retina_course.results.budgets import budget_scores, equal_budget, equal_compute
from retina_course.results.stored import by_device, image, read
from retina_course.results.tables import Table, comparison, facts, scores, speed

__all__ = [
    "Table",
    "budget_scores",
    "by_device",
    "comparison",
    "equal_budget",
    "equal_compute",
    "facts",
    "image",
    "read",
    "scores",
    "speed",
]
