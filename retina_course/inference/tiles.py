"""Large images in tiles: of each tile only the centre is kept."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

WHOLE_PIXELS = 2**21  # larger images go through the network in tiles
TILE = 1536


def tiling(
    size: tuple[int, int], multiple: int, tile: int | None, overlap: int | None
) -> tuple[int, int]:
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
    """The output of `network` for a padded image `(C, H, W)`, computed tile by tile."""
    height, width = image.shape[1:]
    result = None
    for top, bottom, y in _spans(height, tile, overlap):
        for left, right, x in _spans(width, tile, overlap):
            part = network(image[None, :, top:bottom, left:right])
            if result is None:
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
    return -(-value // multiple) * multiple
