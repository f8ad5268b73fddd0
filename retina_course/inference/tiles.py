"""Large images in tiles: of each tile only the centre is kept."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

WHOLE_PIXELS = 2**21  # larger images go through the network in tiles
TILE = 1536


def tiling(
    size: tuple[int, int], multiple: int, tile: int | None, overlap: int | None
) -> tuple[int, int]:
    """Choose the side of the tiles and their overlap, or check those that are given.

    Parameters
    ----------
    size : tuple of int
        Height and width of the image in pixels.
    multiple : int
        Tiles begin and end at multiples of this number of pixels.
    tile : int or None
        Side of the tiles in pixels. None: one tile for up to `WHOLE_PIXELS` pixels, else tiles
        of at least `TILE` pixels.
    overlap : int or None
        Pixels around the centre of a tile that are computed and not kept. None: the larger of
        128 and 8 x `multiple`, at most `tile` / 4.

    Returns
    -------
    tile : int
        Side of the tiles in pixels.
    overlap : int
        Overlap in pixels; 0 where one tile covers the image.

    Raises
    ------
    ValueError
        Tile or overlap is not a multiple of `multiple`, or nothing is left of the tile's centre.

    Examples
    --------
    >>> tiling((605, 700), multiple=8, tile=None, overlap=None)
    (704, 0)
    >>> tiling((2336, 3504), multiple=8, tile=None, overlap=None)
    (1536, 128)
    """
    if tile is None and overlap is None and size[0] * size[1] <= WHOLE_PIXELS:
        whole = _round_up(max(size), multiple)
        return whole, 0
    reach = _round_up(max(128, 8 * multiple), multiple)
    if tile is None:
        tile = _round_up(max(TILE, 4 * (reach if overlap is None else overlap)), multiple)
    if overlap is None:
        overlap = min(reach, tile // 4 // multiple * multiple)
    if tile % multiple or overlap % multiple or overlap < 0 or tile <= 2 * overlap:
        raise ValueError(
            f"tile and overlap must be multiples of {multiple} with tile > 2 x overlap >= 0, "
            f"got tile={tile}, overlap={overlap}."
        )
    return tile, overlap


def in_tiles(network: Callable[[Tensor], Tensor], image: Tensor, tile: int, overlap: int) -> Tensor:
    """The output of `network` for a padded image, computed tile by tile.

    Parameters
    ----------
    network : callable
        Takes a tile `(1, C, h, w)` and returns its output `(K, h, w)`.
    image : Tensor
        `(C, H, W)`, height and width multiples of what the network asks for.
    tile : int
        Side of the tiles in pixels, see `tiling`.
    overlap : int
        Pixels around the centre of a tile that are computed and not kept.

    Returns
    -------
    Tensor
        `(K, H, W)` on the CPU.

    Examples
    --------
    >>> image = torch.arange(24.0).reshape(1, 4, 6)
    >>> doubled = in_tiles(lambda part: 2 * part[0], image, tile=4, overlap=1)
    >>> torch.equal(doubled, 2 * image)
    True
    """
    height, width = image.shape[1:]
    result = torch.empty(0)  # replaced when the first tile shows the number of channels
    for top, bottom, y in _spans(height, tile, overlap):
        for left, right, x in _spans(width, tile, overlap):
            part = network(image[None, :, top:bottom, left:right])
            if not len(result):
                result = torch.empty(part.shape[0], height, width)
            keep_y = slice(y.start - top, y.stop - top)
            keep_x = slice(x.start - left, x.stop - left)
            result[:, y, x] = part[:, keep_y, keep_x].cpu()
    return result


def _spans(length: int, tile: int, overlap: int) -> Iterator[tuple[int, int, slice]]:
    """Along one side: where each tile begins and ends, and the part of it that is kept."""
    if length <= tile:
        yield 0, length, slice(0, length)
        return
    core = tile - 2 * overlap
    for start in range(0, length, core):
        stop = min(start + core, length)
        yield max(0, start - overlap), min(length, stop + overlap), slice(start, stop)


def _round_up(value: int, multiple: int) -> int:
    """The smallest multiple that is not below `value`."""
    return -(-value // multiple) * multiple
