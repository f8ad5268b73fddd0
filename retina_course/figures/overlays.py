"""Vessel maps over photographs, and maps of their errors."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from retina_course.data.images import ImageSource, read_image
from retina_course.figures.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    panel_row,
    rgb_bytes,
    show_image,
)


def overlay(image: ImageSource, mask: ArrayLike, title: str = "") -> Figure:
    """A photograph beside the same photograph with a mask over it.

    Parameters
    ----------
    image : str, PathLike, PIL image, ndarray or Tensor
        See `read_image`.
    mask : array_like of bool
        `(H, W)`, the image's size, such as `segment(...).probability >= threshold`.
    title : str, optional
        Title over both panels.

    Returns
    -------
    Figure
        Two panels.

    Raises
    ------
    ValueError
        The mask has another size, or values other than 0 and 1.
    """
    rgb = read_image(image).permute(1, 2, 0).numpy()
    figure, panels = panel_row(2, width=5, height=5.2 * rgb.shape[0] / rgb.shape[1])
    for axes, shown in zip(panels, (rgb, overlay_image(image, mask)), strict=True):
        show_image(axes, shown)
    figure.suptitle(title)
    return figure


def overlay_image(image: ImageSource, mask: ArrayLike) -> NDArray[np.uint8]:
    """A photograph with the pixels of a mask in light blue.

    Light blue is not a colour of the retina, and it is lighter than vessels are.

    Parameters
    ----------
    image : str, PathLike, PIL image, ndarray or Tensor
        See `read_image`.
    mask : array_like of bool
        `(H, W)`, the image's size.

    Returns
    -------
    ndarray of uint8
        RGB, `(H, W, 3)`.

    Raises
    ------
    ValueError
        The mask has another size, or values other than 0 and 1.

    Examples
    --------
    >>> grey = np.full((1, 2, 3), 103, dtype=np.uint8)
    >>> overlay_image(grey, [[False, True]])
    array([[[103, 103, 103],
            [ 90, 197, 217]]], dtype=uint8)
    """
    rgb = read_image(image).permute(1, 2, 0).numpy()
    mask = _binary(mask, "mask", rgb.shape[:2])
    rgb[mask] = 0.25 * rgb[mask] + 0.75 * np.array(to_rgb("#56E4FF"), dtype=np.float32)
    return (rgb * 255).round().astype(np.uint8)


def error_map(
    prediction: ArrayLike, target: ArrayLike, fov: ArrayLike | None = None, title: str = ""
) -> Figure:
    """The image of `error_image` with a legend that counts the pixels.

    Parameters
    ----------
    prediction : array_like of bool
        The vessel map, `(H, W)`.
    target : array_like of bool
        The ground truth, `(H, W)`.
    fov : array_like of bool, optional
        The field of view, `(H, W)`. Default: every pixel counts.
    title : str, optional
        Title over the image.

    Returns
    -------
    Figure
        One panel.

    Raises
    ------
    ValueError
        The arrays have different shapes, or values other than 0 and 1.
    """
    image = error_image(prediction, target, fov)
    figure, (axes,) = panel_row(1, width=6, height=6.5 * image.shape[0] / image.shape[1])
    show_image(axes, image)
    axes.set_title(title)
    axes.legend(
        handles=error_legend(image),
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=3,
        frameon=False,
    )
    return figure


def error_image(
    prediction: ArrayLike, target: ArrayLike, fov: ArrayLike | None = None
) -> NDArray[np.uint8]:
    """Where a vessel map is right and wrong, pixel by pixel.

    Black: vessel found; orange: found, but not vessel in the ground truth (false positive); blue:
    missed (false negative); white: background; grey: outside the field of view.

    Parameters
    ----------
    prediction : array_like of bool
        The vessel map, `(H, W)`.
    target : array_like of bool
        The ground truth, `(H, W)`.
    fov : array_like of bool, optional
        The field of view, `(H, W)`. Default: every pixel counts.

    Returns
    -------
    ndarray of uint8
        RGB, `(H, W, 3)`.

    Raises
    ------
    ValueError
        The arrays have different shapes, or values other than 0 and 1.

    Examples
    --------
    Found, false positive, missed:

    >>> error_image([[True, True, False]], [[True, False, True]])
    array([[[  0,   0,   0],
            [230, 159,   0],
            [  0, 114, 178]]], dtype=uint8)
    """
    target = _binary(target, "target")
    prediction = _binary(prediction, "prediction", target.shape)
    fov = np.ones_like(target) if fov is None else _binary(fov, "fov", target.shape)
    image = np.full((*target.shape, 3), 255, dtype=np.uint8)
    image[prediction & target] = rgb_bytes(BLACK)
    image[prediction & ~target] = rgb_bytes(ORANGE)
    image[~prediction & target] = rgb_bytes(BLUE)
    image[~fov] = rgb_bytes(GREY)
    return image


def error_legend(image: NDArray[np.uint8]) -> list[Patch]:
    """The entries of a legend for an image of `error_image`, with its numbers of pixels.

    Parameters
    ----------
    image : ndarray of uint8
        What `error_image` returned, `(H, W, 3)`.

    Returns
    -------
    list of Patch
        Handles for `Axes.legend`.

    Examples
    --------
    >>> image = error_image([[True, True, False]], [[True, False, False]])
    >>> [patch.get_label() for patch in error_legend(image)]
    ['found: 1', 'false positive: 1', 'missed: 0']
    """
    names = {"found": BLACK, "false positive": ORANGE, "missed": BLUE}
    counts = {name: (image == rgb_bytes(c)).all(axis=2).sum() for name, c in names.items()}
    return [Patch(facecolor=c, label=f"{name}: {counts[name]:,}") for name, c in names.items()]


def _binary(mask: ArrayLike, name: str, shape: tuple[int, ...] | None = None) -> NDArray[np.bool_]:
    """A mask as an array of bool, after a check of its shape and values."""
    array = np.asarray(mask)
    if array.ndim != 2 or array.shape != (shape or array.shape):
        raise ValueError(f"Expected {name} of shape {shape or '(H, W)'}, got {array.shape}.")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"Expected {name} to be bool or 0 and 1, got {array.dtype} values from {array.min()} "
            f"to {array.max()}. Probabilities need a threshold first."
        )
    return array.astype(bool)
