"""The formulas for one side of a feature map and square kernels (arXiv 1603.07285)."""


def span(k: int, d: int = 1) -> int:
    """Pixels from the first to the last of `k` kernel taps that lie `d` apart."""
    return d * (k - 1) + 1


def conv_size(side: int, k: int, s: int = 1, p: int = 0, d: int = 1) -> int:
    """How many windows, `s` apart, fit on a side and its padding."""
    if min(k, s, d) < 1 or p < 0:
        raise ValueError(f"Expected positive k, s, d and p >= 0, got {k}, {s}, {d} and {p}.")
    if span(k, d) > side + 2 * p:
        raise ValueError(
            f"A window of {span(k, d)} pixels (k={k}, d={d}) does not fit on a side of {side} with "
            f"padding p={p}, {side + 2 * p} pixels."
        )
    return (side + 2 * p - span(k, d)) // s + 1


def pool_size(
    side: int, k: int, s: int | None = None, p: int = 0, d: int = 1, ceil: bool = False
) -> int:
    """As `conv_size` with s = k by default; `ceil` keeps a last window that sticks out."""
    s = s or k
    if p > k // 2:
        raise ValueError(f"p={p} is more than half of the window's k={k} pixels.")
    if not ceil or (side + 2 * p - span(k, d)) % s == 0:
        return conv_size(side, k, s, p, d)
    windows = conv_size(side + s, k, s, p, d)
    # A window that would begin in the padding on the right is left out.
    return windows - 1 if (windows - 1) * s >= side + p else windows


def transposed_size(side: int, k: int, s: int = 1, p: int = 0, o: int = 0, d: int = 1) -> int:
    """Pixels that copies of the kernel, `s` apart, cover, less `2p`, plus the output padding."""
    if not 0 <= o < max(s, d):
        raise ValueError(f"o must be less than s or d, got o={o}, s={s}, d={d}.")
    pixels = (side - 1) * s + span(k, d) - 2 * p + o
    if pixels < 1:
        raise ValueError(f"A side of {side} leaves {pixels} pixels (k={k}, s={s}, p={p}, o={o}).")
    return pixels


def conv_parameters(k: int, c_in: int, c_out: int, bias: bool = True, groups: int = 1) -> int:
    """Weights and biases of a convolution, transposed or not; a group sees `c_in / groups`."""
    if min(c_in, c_out, groups) < 1 or c_in % groups or c_out % groups:
        raise ValueError(f"groups={groups} must divide both channel counts, {c_in} and {c_out}.")
    return k * k * (c_in // groups) * c_out + (c_out if bias else 0)
