"""A photograph with what was measured in it: centrelines by width, nodes, disc and zones."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

WIDTHS = "viridis"  # in rising lightness, also for those who see no red or green
NOT_KNOWN = (150, 150, 150)  # a stretch whose width is not measured, near a branch point
BRANCH, END, RING = "#FF8AD8", "#F0E442", "#56E4FF"


def measured_image(
    rgb: NDArray[np.uint8],
    lines: Sequence[NDArray[np.float64]],
    widths: Sequence[NDArray[np.float64]],
    branch_points: NDArray[np.float64],
    end_points: NDArray[np.float64],
    circles: Sequence[tuple[float, float, float]],
    caption: str,
) -> NDArray[np.uint8]:
    """A photograph with its measured vessels, and a line of text below it.

    Parameters
    ----------
    rgb : ndarray of uint8
        `(H, W, 3)`.
    lines : sequence of ndarray
        `(N, 2)` each, centrelines, (x, y) in pixels.
    widths : sequence of ndarray
        `(N,)` each, in pixels; not a number where none is measured.
    branch_points, end_points : ndarray
        `(B, 2)` and `(E, 2)`, in pixels.
    circles : sequence of tuple
        x, y and radius in pixels: the disc and its zones.
    caption : str
        What stands below, lines separated by a line break.

    Returns
    -------
    ndarray of uint8
        `(H + text, W, 3)`.

    Examples
    --------
    >>> line = np.array([[2.0, 10], [30, 10]])
    >>> picture = measured_image(
    ...     np.zeros((20, 40, 3), np.uint8), [line], [np.array([3.0, 3.0])], line[:1], line[1:], [],
    ...     "one vessel",
    ... )
    >>> picture.shape[0] > 20, picture.shape[1]
    (True, 40)
    """
    height, across = rgb.shape[:2]
    # Darker, so that the lines stand out.
    image = Image.fromarray((rgb * 0.6).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    every = np.concatenate([np.empty(0), *widths])
    every = every[np.isfinite(every)]
    low, high = np.quantile(every, (0.02, 0.98)) if len(every) else (0.0, 1.0)
    stroke = max(1, across // 400)
    for line, wide in zip(lines, widths, strict=True):
        share = np.clip((np.nan_to_num(wide, nan=low) - low) / max(high - low, 1e-9), 0, 1)
        colours = (255 * colormaps[WIDTHS](share)[:, :3]).astype(int)
        for k in range(len(line) - 1):
            known = np.isfinite(wide[k]) and np.isfinite(wide[k + 1])
            fill = tuple(colours[k].tolist()) if known else NOT_KNOWN
            draw.line([*line[k], *line[k + 1]], fill=fill, width=stroke)
    dot = 1.5 * stroke
    for points, colour in ((branch_points, BRANCH), (end_points, END)):
        for x, y in points.tolist():
            draw.ellipse((x - dot, y - dot, x + dot, y + dot), outline=colour)
    for x, y, radius in circles:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=RING, width=stroke)
    return _with_text(image, caption.splitlines(), (float(low), float(high)))


def _with_text(
    photograph: Image.Image, text: Sequence[str], limits: tuple[float, float]
) -> NDArray[np.uint8]:
    """The picture with a bar of the widths' colours and the caption below it."""
    across, height = photograph.size
    low, high = limits
    size = max(11, across // 55)
    image = Image.new("RGB", (across, height + round(1.5 * size * (len(text) + 1))), "black")
    image.paste(photograph)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size)
    bar = (255 * colormaps[WIDTHS](np.linspace(0, 1, 100))[:, :3]).astype(np.uint8)
    top = height + size // 2
    left = round(draw.textlength(f"{low:.1f} ", font=font)) + size // 2
    draw.text((size // 2, top), f"{low:.1f}", fill="white", font=font)
    image.paste(Image.fromarray(bar[None]).resize((8 * size, size)), (left, top))
    legend = f" {high:.1f} pixels wide;  rings: pink branch points, yellow ends"
    draw.text((left + 8 * size, top), legend, fill="white", font=font)
    for number, part in enumerate(text, start=1):
        draw.text((size // 2, top + 1.4 * size * number), part, fill="white", font=font)
    return np.asarray(image)
