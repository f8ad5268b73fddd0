"""The scene of a synthetic fundus image: random geometry and optics, painted at any size.

Coordinates are (x, y) in units of the radius of the field of view, origin at its centre, y down.
Colours are RGB. `depth` is an optical density: it attenuates light by the factor exp(-depth).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import PCG64, Generator
from scipy import ndimage

from retina_course.data.synthetic import vessel_layout, vessel_tree

Outline = tuple[np.ndarray, np.ndarray]  # heights and phases of the waves along the edge
Blob = tuple[np.ndarray, float, Outline]  # centre, radius, outline

TEXTURES = {5: 1.0, 11: 0.7, 23: 0.6, 47: 0.5, 95: 0.4}  # side of the random grid: weight
# Optical densities for red, green and blue light: blood absorbs green most, red least.
VEIN_DEPTH = np.array([0.24, 0.72, 0.45], np.float32)
ARTERY_DEPTH = np.array([0.10, 0.52, 0.35], np.float32)
HAEMORRHAGE_DEPTH = np.array([0.45, 0.85, 0.50], np.float32)
MACULA_DEPTH = np.array([0.30, 0.55, 0.60], np.float32)
TEXTURE_DEPTH = np.array([0.10, 0.20, 0.25], np.float32)


class Scene:
    """All of a synthetic fundus image that does not depend on its size in pixels.

    Parameters
    ----------
    seed : int
        At least 0.

    Attributes
    ----------
    disc, fovea, cup : ndarray
        Centres of optic disc, fovea and cup, `(2,)`.
    disc_radius, cup_radius : float
        Their radii.
    fill : float
        Diameter of the field of view divided by the side of the image.
    crop : float
        The field of view ends at y = -crop and y = crop; 1 if it is a full disc.
    artery, vein : Tree
        The vessel trees.
    haemorrhages, exudates : list of tuple
        Centre, radius and outline of each lesion.

    Examples
    --------
    >>> scene = Scene(seed=0)
    >>> scene.artery.points.shape[1], scene.colour.shape
    (2, (3,))
    """

    def __init__(self, seed: int) -> None:
        rng = Generator(PCG64((seed, 0)))
        self.noise_seed = (seed, 1)
        self._view(rng)
        self._light(rng)
        self.disc_shape = _outline(rng, 0.03)
        self.cup = self.disc + 0.15 * self.disc_radius * rng.standard_normal(2)
        self.cup_radius = self.disc_radius * _between(rng, 0.3, 0.6)
        self.textures = [w * rng.standard_normal((n, n)) for n, w in TEXTURES.items()]
        self.choroid = [rng.standard_normal(shape) for shape in ((30, 9), (5, 5))]
        self.artery = self._tree(rng, twig_radius=0.0027)
        self.vein = self._tree(rng, twig_radius=0.0033)
        self.haemorrhages, self.exudates = self._lesions(rng)

    def _view(self, rng: Generator) -> None:
        """Left or right eye; macula in the middle, or between disc and macula and scaled up."""
        side = 1 if rng.random() < 0.5 else -1
        self.crop = _between(rng, 0.84, 0.96) if rng.random() < 0.4 else 1.0
        self.fill = _between(rng, 0.94, 0.985)  # diameter of the field of view / side
        macula_centred = rng.random() < 0.65
        reach = _between(rng, 0.62, 0.76) if macula_centred else _between(rng, 0.85, 1.0)
        middle = _between(rng, 0.75, 1.0) if macula_centred else _between(rng, -0.1, 0.3)
        rise = _between(rng, 0.02, 0.16)
        height = _between(rng, -0.1, 0.1)
        self.disc = np.array([side * middle * reach, height - rise * reach / 2])
        self.fovea = self.disc + reach * np.array([-side, rise])
        self.disc_radius = reach * _between(rng, 0.17, 0.22)

    def _light(self, rng: Generator) -> None:
        """Colour of the fundus, light, focus and sensor."""
        red = _between(rng, 0.45, 0.85)
        green = red * _between(rng, 0.34, 0.5)
        self.colour = np.array([red, green, green * _between(rng, 0.15, 0.45)], np.float32)
        self.vignette = _between(rng, 0.15, 0.5)
        self.tilt = 0.15 * rng.standard_normal(2)
        self.mottle = _between(rng, 0.3, 0.9)
        self.choroid_depth = 0.2 * rng.random() ** 2
        self.pigment = _between(rng, 0.6, 1.2)
        self.contrast = _between(rng, 0.55, 1.1)
        self.reflex = _between(rng, 0.1, 0.35)
        self.halo = _between(rng, 0.0, 0.25)
        self.blur = _between(rng, 0.0016, 0.0045)
        self.grain = _between(rng, 0.006, 0.02)

    def _tree(self, rng: Generator, twig_radius: float) -> vessel_tree.Tree:
        """Arteries or veins: trunks, then twigs to points all over the field of view."""
        spread = _between(rng, 0.75, 0.95)
        trunks = vessel_layout.arcades(rng, self.disc, self.fovea, spread)
        free = 0.8 * self.disc_radius
        ends = vessel_layout.end_points(rng, _between(rng, 0.16, 0.19), self.fovea, free)
        return vessel_tree.grow(rng, trunks, ends, 0.04, twig_radius)

    def _lesions(self, rng: Generator) -> tuple[list[Blob], list[Blob]]:
        """Haemorrhages anywhere, exudates in clusters; a quarter of the eyes have none."""
        haemorrhages: list[Blob] = []
        exudates: list[Blob] = []
        if rng.random() < 0.25:  # a healthy eye
            return haemorrhages, exudates
        for _ in range(int(_between(rng, 1, 26))):
            angle, far = 2 * np.pi * rng.random(), 0.95 * np.sqrt(rng.random())
            radius = 0.007 + 0.035 * rng.random() ** 3
            centre = far * np.array([np.cos(angle), np.sin(angle)])
            haemorrhages.append((centre, radius, _outline(rng, 4 * radius)))
        for _ in range(int(_between(rng, 0, 4))):
            middle = self.fovea + 0.3 * rng.standard_normal(2)
            width = _between(rng, 0.03, 0.1)
            for _ in range(int(_between(rng, 4, 22))):
                centre = middle + width * rng.standard_normal(2)
                exudates.append((centre, 0.006 + 0.016 * rng.random() ** 2, _outline(rng, 0.25)))
        return self._off_disc(haemorrhages), self._off_disc(exudates)

    def _off_disc(self, blobs: list[Blob]) -> list[Blob]:
        """The lesions that do not touch the optic disc."""
        return [b for b in blobs if np.hypot(*(b[0] - self.disc)) > 1.2 * self.disc_radius + b[1]]


def paint(scene: Scene, side: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Paint a scene as an image, together with the masks of its layers.

    Parameters
    ----------
    scene : Scene
        The scene.
    side : int
        Height and width of the image in pixels.

    Returns
    -------
    image : ndarray of float32
        `(3, side, side)`, RGB in [0, 1].
    layers : dict of ndarray of bool
        `(side, side)` each: artery, vein, disc, haemorrhage, exudate and fov.

    Examples
    --------
    >>> image, layers = paint(Scene(seed=0), side=32)
    >>> image.shape, sorted(layers)
    ((3, 32, 32), ['artery', 'disc', 'exudate', 'fov', 'haemorrhage', 'vein'])
    """
    scale = scene.fill * side / 2
    ticks = (np.arange(side) - (side - 1) / 2) / scale
    x, y = ticks[None, :], ticks[:, None]
    fov = (x**2 + y**2 <= 1) & (np.abs(y) <= scene.crop)
    artery = vessel_tree.paint(scene.artery, side, scale)
    vein = vessel_tree.paint(scene.vein, side, scale)
    disc = _blobs([(scene.disc, scene.disc_radius, scene.disc_shape)], side, scale, 0.08)
    haemorrhages = _blobs(scene.haemorrhages, side, scale, 0.2)
    exudates = _blobs(scene.exudates, side, scale, 0)
    layers = {
        "artery": (artery[0] >= 0.5) & fov,
        "vein": (vein[0] >= 0.5) & fov,
        "disc": (disc >= 0.5) & fov,
        "haemorrhage": (haemorrhages >= 0.5) & fov,
        "exudate": (exudates >= 0.5) & fov,
        "fov": fov,
    }
    x, y = x.astype(np.float32), y.astype(np.float32)
    light = _light(scene, x, y)
    image = _fundus(scene, x, y, side)
    image = _with_disc(scene, image, disc.astype(np.float32), x, y)
    image *= np.exp(-_blood(scene, artery, vein, haemorrhages))
    image += (0.6 * scene.reflex * artery[2] * artery[0]).astype(np.float32) * image
    yellow = np.array([1.0, 0.86, 0.42], np.float32)[:, None, None] * (0.6 + 0.5 * scene.colour[0])
    image += (0.85 * exudates).astype(np.float32) * (yellow - image)
    return _photograph(scene, image * light, scale) * fov, layers


def _fundus(scene: Scene, x: np.ndarray, y: np.ndarray, side: int) -> np.ndarray:
    """The fundus without disc and vessels: colour, mottling, choroidal vessels, macula."""
    mottle = sum(_spread(texture, side) for texture in scene.textures)
    depth = scene.mottle * 0.6 * TEXTURE_DEPTH[:, None, None] * mottle
    fine, coarse = (_spread(grid, side) for grid in scene.choroid)
    ridges = np.exp(-((fine / 0.4) ** 2)) * np.clip(0.6 + coarse, 0, 1.5)
    depth -= scene.choroid_depth * np.array([0.6, 1.0, 0.8], np.float32)[:, None, None] * ridges
    away = (x - scene.fovea[0]) ** 2 + (y - scene.fovea[1]) ** 2
    size = scene.disc_radius
    macula = 0.65 * np.exp(-away / (1.6 * size) ** 2) + 0.5 * np.exp(-away / (0.55 * size) ** 2)
    depth += scene.pigment * MACULA_DEPTH[:, None, None] * macula.astype(np.float32)
    return scene.colour[:, None, None] * np.exp(-depth)


def _light(scene: Scene, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Uneven illumination: darker towards the rim and towards one side."""
    far = x**2 + y**2
    light = 1.05 - scene.vignette * far**1.5 + scene.tilt[0] * x + scene.tilt[1] * y
    return np.clip(light, 0.3, 1.4).astype(np.float32)


def _with_disc(
    scene: Scene, image: np.ndarray, disc: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Blend in the disc: a yellow rim, a paler cup, and the brighter ring of fibres around it."""
    away = np.hypot(x - scene.disc[0], y - scene.disc[1]) / scene.disc_radius
    image *= 1 + scene.halo * np.exp(-((away / 1.7) ** 2)).astype(np.float32)
    from_cup = np.hypot(x - scene.cup[0], y - scene.cup[1]) / scene.cup_radius
    cup = (1 / (1 + np.exp(np.clip(8 * (from_cup - 1), -30, 30)))).astype(np.float32)
    bright = 0.65 + 0.45 * scene.colour[0]
    rim = bright * np.array([1.0, 0.68, 0.36], np.float32)[:, None, None]
    pale = bright * np.array([1.06, 0.90, 0.62], np.float32)[:, None, None]
    texture = 1 + 0.5 * (image[1:2] / image[1].mean() - 1)
    return image + 0.9 * disc * ((rim + cup * (pale - rim)) * texture - image)


def _blood(
    scene: Scene,
    artery: Sequence[np.ndarray],
    vein: Sequence[np.ndarray],
    haemorrhages: np.ndarray,
) -> np.ndarray:
    """Optical depth (3, side, side) of the blood; an artery hides what it crosses."""
    artery_depth, vein_depth, haemorrhages = (
        layer.astype(np.float32) for layer in (artery[1], vein[1], haemorrhages)
    )
    depth = scene.contrast * VEIN_DEPTH[:, None, None] * vein_depth * (1 - 0.6 * artery_depth)
    depth += scene.contrast * ARTERY_DEPTH[:, None, None] * artery_depth
    return np.maximum(depth, HAEMORRHAGE_DEPTH[:, None, None] * haemorrhages)


def _photograph(scene: Scene, image: np.ndarray, scale: float) -> np.ndarray:
    """Focus, sensor noise and 8 bits."""
    image = ndimage.gaussian_filter(image, (0, *[scene.blur * scale] * 2), truncate=3)
    rng = Generator(PCG64(scene.noise_seed))
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    image += scene.grain * noise * np.sqrt(np.clip(image, 0.05, 1))
    return np.round(255 * np.clip(image, 0, 1)).astype(np.float32) / np.float32(255)


def _spread(grid: np.ndarray, side: int) -> np.ndarray:
    """A random grid as a smooth float32 (side, side) field."""
    field = torch.from_numpy(grid.astype(np.float32))[None, None]
    smooth = torch.nn.functional.interpolate(field, (side, side), mode="bicubic")
    return smooth[0, 0].numpy()


def _outline(rng: Generator, roughness: float) -> Outline:
    """Heights and phases of the waves (2 to 5 round the circle) that make a blob irregular."""
    heights = min(roughness, 0.35) * rng.standard_normal(4) / np.arange(1, 5)
    return heights, 2 * np.pi * rng.random(4)


def _blobs(blobs: list[Blob], side: int, scale: float, softness: float) -> np.ndarray:
    """The coverage of each pixel (side, side) by blobs: 1 inside, 0.5 on the edge, 0 outside.

    The edge is one pixel wide or, if that is more, `softness` times the diameter.
    """
    cover = np.zeros((side, side))
    for centre, radius, (heights, phases) in blobs:
        middle = centre * scale + side / 2 - 0.5
        radius = max(radius * scale, 0.75)  # at least one pixel
        edge_width = max(1.0, 2 * softness * radius)
        reach = radius * (1 + np.abs(heights).sum()) + edge_width
        left, top = np.clip(np.floor(middle - reach), 0, side).astype(int)
        right, bottom = np.clip(np.ceil(middle + reach) + 1, 0, side).astype(int)
        if left >= right or top >= bottom:
            continue
        dx = np.arange(left, right) - middle[0]
        dy = (np.arange(top, bottom) - middle[1])[:, None]
        angle = np.arctan2(dy, dx)
        edge = 1 + sum(
            h * np.cos(k * angle + p)
            for k, (h, p) in enumerate(zip(heights, phases, strict=True), start=2)
        )
        inside = np.clip((radius * edge - np.hypot(dx, dy)) / edge_width + 0.5, 0, 1)
        window = cover[top:bottom, left:right]
        np.maximum(window, inside, out=window)
    return cover


def _between(rng: Generator, low: float, high: float) -> float:
    """A random number, uniform in [low, high)."""
    return low + (high - low) * rng.random()
