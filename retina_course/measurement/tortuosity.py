"""How tortuous a vessel is: by its length and chord, and by its curvature (Hart et al. 1999)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from retina_course.measurement.centreline import Centreline, parabolas

BEND = 21  # points of the parabola whose curvature is taken


@dataclass(frozen=True)
class Tortuosity:
    """The tortuosity of one vessel, from one branch point to the next.

    Parameters
    ----------
    arc : float
        Arc length in pixels.
    chord : float
        Distance of the ends in pixels.
    total : float
        Total curvature: the integral of the absolute curvature over the length, in radians.
    total_squared : float
        Total squared curvature: the integral of the squared curvature, in 1/pixel.
    """

    arc: float
    chord: float
    total: float
    total_squared: float

    @property
    def arc_chord(self) -> float:
        """Length of the arc divided by that of the chord, 1 for a straight vessel; without unit."""
        return self.arc / self.chord if self.chord > 0 else float("inf")

    @property
    def seven(self) -> dict[str, float]:
        """The seven measures that Hart et al. 1999 compare.

        Arc by chord less 1, the two integrals, and each of them by arc and by chord.
        """
        integrals = {"total": self.total, "total_squared": self.total_squared}
        return {
            "arc_chord_less_1": self.arc_chord - 1,
            **integrals,
            **{f"{name}_by_arc": value / self.arc for name, value in integrals.items()},
            **{f"{name}_by_chord": value / self.chord for name, value in integrals.items()},
        }


def curvature(line: Centreline, window: int = BEND) -> NDArray[np.float64]:
    """The curvature along a line, with its sign, in 1/pixel.

    It is that of the local parabola at each point. A centreline wavers by a fraction of a pixel,
    and a second derivative makes much of it: of a straight vessel, a parabola of 11 points sees
    curvature of about 0.01 per pixel, one of 21 points of about 0.001. The waves that a vessel
    makes have to be longer than the window, or they are flattened.

    Parameters
    ----------
    line : Centreline
        N points, about one pixel apart.
    window : int, default 21
        Points of each parabola, odd; about one degree of the field suits vessels.

    Returns
    -------
    ndarray
        `(N,)`; a circle of radius r has 1/r.

    Examples
    --------
    >>> from retina_course.measurement.centreline import smooth
    >>> angle = np.linspace(0, 3, 121)
    >>> circle = smooth(40 * np.column_stack([np.cos(angle), np.sin(angle)]))
    >>> round(1 / float(np.median(curvature(circle))))
    40
    """
    ahead, bend = (parabolas(line.points, window, deriv) for deriv in (1, 2))
    crossed = ahead[:, 0] * bend[:, 1] - ahead[:, 1] * bend[:, 0]
    return crossed / np.maximum(np.hypot(*ahead.T), 1e-9) ** 3


def tortuosity(line: Centreline, window: int = BEND) -> Tortuosity:
    """The tortuosity of a vessel.

    Parameters
    ----------
    line : Centreline
        At least 2 points.
    window : int, default 21
        See `curvature`.

    Returns
    -------
    Tortuosity
        Arc by chord and the seven measures of Hart et al. 1999 follow from it.

    Examples
    --------
    A half circle is longer than its chord by pi / 2:

    >>> from retina_course.measurement.centreline import smooth
    >>> angle = np.linspace(0, np.pi, 200)
    >>> found = tortuosity(smooth(60 * np.column_stack([np.cos(angle), np.sin(angle)])))
    >>> round(found.arc_chord, 2), round(found.total, 1)
    (1.57, 3.1)
    """
    bend, place = curvature(line, window), line.place
    return Tortuosity(
        line.length,
        line.chord,
        float(trapezoid(np.abs(bend), place)),
        float(trapezoid(bend**2, place)),
    )
