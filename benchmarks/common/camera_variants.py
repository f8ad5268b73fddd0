"""What can be changed of the recipe for any camera, one thing at a time."""

from typing import Any

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "appearance_half": {"recipe": {"strength": 0.5}},
    "appearance_unchanged": {"recipe": {"strength": 0.0}},
    "scale_narrow": {"recipe": {"pixels_per_degree": (18.1, 25.6)}},
    "synthetic_added": {"synthetic": 0.4},  # the share of the crops
    "average": {"recipe": {"average": 0.998}},
}
EYES, EYE_SCALE = 192, 17.0  # synthetic images, and their pixels per degree
