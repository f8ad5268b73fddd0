"""From a vessel map to numbers: length, calibre, tortuosity, density, branching, with units."""

from retina_course.measurement.equivalents import Disc, central_equivalents, equivalent, zone
from retina_course.measurement.fractal import BoxCount, box_count
from retina_course.measurement.measure import Measurement, measure
from retina_course.measurement.skeleton import SkeletonGraph, skeleton_graph
from retina_course.measurement.tortuosity import Tortuosity, tortuosity
from retina_course.measurement.units import in_units
from retina_course.measurement.vessels import Vessels, find_vessels

__all__ = [
    "BoxCount",
    "Disc",
    "Measurement",
    "SkeletonGraph",
    "Tortuosity",
    "Vessels",
    "box_count",
    "central_equivalents",
    "equivalent",
    "find_vessels",
    "in_units",
    "measure",
    "skeleton_graph",
    "tortuosity",
    "zone",
]
