"""The exact geometry of the vessels of a synthetic fundus image: ground truth for measurements.

A mask says which pixels are vessel; the geometry says where each centreline runs, how wide the
vessel is there, where it branches, and whether it is an artery or a vein. Nothing of it is read
from pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retina_course.data.synthetic.fundus import make_fundus
from retina_course.data.synthetic.scene import Scene
from retina_course.data.synthetic.vessel_tree import Tree, painted


@dataclass(frozen=True)
class Branch:
    """A vessel from one branch point, or its beginning, to the next branch point, or its end.

    Parameters
    ----------
    points : ndarray of float
        `(N, 2)`, the centreline, (x, y) in pixels; the first pixel's centre is (0, 0), y down.
    width : ndarray of float
        `(N,)`, pixels, as it is painted.
    kind : {"artery", "vein"}
        Which tree it belongs to.
    """

    points: NDArray[np.float64]
    width: NDArray[np.float64]
    kind: str

    @property
    def length(self) -> float:
        """Arc length in pixels."""
        return float(np.hypot(*np.diff(self.points, axis=0).T).sum())

    @property
    def chord(self) -> float:
        """Distance of the two ends in pixels."""
        return float(np.hypot(*(self.points[-1] - self.points[0])))


@dataclass(frozen=True)
class VesselGeometry:
    """All vessels of one synthetic eye.

    Parameters
    ----------
    branches : list of Branch
        Those that are painted at this size, also where they leave the field of view.
    branch_points : ndarray of float
        `(B, 2)`, (x, y) in pixels: where one vessel leaves another one of its tree.
    disc_centre : ndarray of float
        `(2,)`, the optic disc, in pixels.
    disc_diameter : float
        Pixels.
    fov_diameter : float
        Pixels.
    """

    branches: list[Branch]
    branch_points: NDArray[np.float64]
    disc_centre: NDArray[np.float64]
    disc_diameter: float
    fov_diameter: float


def vessel_geometry(size: int | tuple[int, int] = 512, seed: int = 0) -> VesselGeometry:
    """The vessels of `make_fundus(size, seed)` as geometry.

    Parameters
    ----------
    size : int or tuple of int, default 512
        As for `make_fundus`.
    seed : int, default 0
        As for `make_fundus`.

    Returns
    -------
    VesselGeometry
        Centrelines, widths, branch points and the disc.

    Raises
    ------
    TypeError
        See `make_fundus`.
    ValueError
        See `make_fundus`.

    Examples
    --------
    >>> from retina_course import make_fundus
    >>> eye, vessels = make_fundus(256, seed=0), vessel_geometry(256, seed=0)
    >>> widest = max(vessels.branches, key=lambda branch: branch.width.mean())
    >>> x, y = widest.points[len(widest.points) // 2].round().astype(int)
    >>> widest.kind, bool(eye.vein[y, x])
    ('vein', True)
    """
    height, width = make_fundus(size, seed).fov.shape  # it checks both
    scene, side = Scene(int(seed)), min(height, width)
    scale = scene.fill * side / 2
    corner = np.array([(width - side) // 2, (height - side) // 2]) + side / 2 - 0.5
    branches: list[Branch] = []
    forks = []
    for kind in ("artery", "vein"):
        tree: Tree = getattr(scene, kind)
        found, points = _branches(tree, scale, kind, corner)
        branches += found
        forks.append(points)
    return VesselGeometry(
        branches,
        np.concatenate(forks),
        scene.disc * scale + corner,
        2 * scene.disc_radius * scale,
        2 * scale,
    )


def _branches(
    tree: Tree, scale: float, kind: str, corner: NDArray[np.float64]
) -> tuple[list[Branch], NDArray[np.float64]]:
    """The painted part of a tree, cut at its forks, in pixels; and the forks."""
    points = tree.points * scale + corner
    width = 2 * np.maximum(tree.radius * scale, 0.5)  # as `vessel_tree.paint` draws it
    keep = np.flatnonzero(painted(tree, scale))
    children = np.bincount(tree.parent[keep], minlength=len(points))
    after = np.full(len(points), -1)
    after[tree.parent[keep]] = keep  # the one child, where there is one
    branches = []
    for first in keep.tolist():
        parent = int(tree.parent[first])
        if children[parent] == 1 and tree.parent[parent] >= 0:
            continue  # in the middle of a branch
        path = [parent, first]
        while children[path[-1]] == 1:
            path.append(int(after[path[-1]]))
        # A segment has the radius of its far node: the parent's belongs to the vessel before.
        widths = np.concatenate([width[path[1:2]], width[path[1:]]])
        branches.append(Branch(points[path], widths, kind))
    return branches, points[children > 1]
