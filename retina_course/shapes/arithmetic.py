"""The formulas for one side of a feature map and square kernels (arXiv 1603.07285)."""


def span(k: int, d: int = 1) -> int:
    """Pixels from the first to the last tap of a kernel: d (k - 1) + 1.

    Parameters
    ----------
    k : int
        Taps of the kernel along the side.
    d : int, default 1
        Dilation: pixels from one tap to the next.

    Returns
    -------
    int
        Pixels that the kernel covers.

    Examples
    --------
    >>> span(3), span(3, d=2)
    (3, 5)
    """
    return d * (k - 1) + 1


def conv_size(side: int, k: int, s: int = 1, p: int = 0, d: int = 1) -> int:
    """Side of a convolution's output: the windows that fit on a side and its padding.

    Parameters
    ----------
    side : int
        Height or width of the input, in pixels.
    k : int
        Kernel size.
    s, p, d : int
        Stride, by default 1, padding on each edge, by default 0, and dilation, by default 1.

    Returns
    -------
    int
        Height or width of the output, floor((side + 2p - span(k, d)) / s) + 1.

    Raises
    ------
    ValueError
        If k, s or d is not positive, p is negative, or no window fits.

    Examples
    --------
    >>> conv_size(128, k=3, p=1)
    128
    >>> conv_size(128, k=7, s=2, p=3)
    64
    >>> conv_size(3, k=5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: A window of 5 pixels (k=5, d=1) does not fit on a side of 3 with padding p=0, ...
    """
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
    """Side of a pooling's output: as `conv_size`, with s = k by default.

    Parameters
    ----------
    side : int
        Height or width of the input, in pixels.
    k : int
        Height and width of a window.
    s : int, optional
        Stride, by default `k`.
    p, d : int
        Padding on each edge, by default 0, and dilation, by default 1.
    ceil : bool, default False
        Whether a last window that sticks out is kept.

    Returns
    -------
    int
        Height or width of the output.

    Raises
    ------
    ValueError
        If the padding is more than half a window, or as for `conv_size`.

    Examples
    --------
    >>> pool_size(5, k=2), pool_size(5, k=2, ceil=True)
    (2, 3)
    """
    s = s or k
    if p > k // 2:
        raise ValueError(f"p={p} is more than half of the window's k={k} pixels.")
    if not ceil or (side + 2 * p - span(k, d)) % s == 0:
        return conv_size(side, k, s, p, d)
    windows = conv_size(side + s, k, s, p, d)
    # A window that would begin in the padding on the right is left out.
    return windows - 1 if (windows - 1) * s >= side + p else windows


def transposed_size(side: int, k: int, s: int = 1, p: int = 0, o: int = 0, d: int = 1) -> int:
    """Side of a transposed convolution's output: (side - 1) s + span(k, d) - 2p + o.

    Copies of the kernel, `s` pixels apart, cover the output; `p` pixels are cut from each edge.

    Parameters
    ----------
    side : int
        Height or width of the input, in pixels.
    k : int
        Kernel size.
    s, p, o, d : int
        Stride, by default 1, padding, by default 0, output padding, by default 0, and dilation,
        by default 1.

    Returns
    -------
    int
        Height or width of the output.

    Raises
    ------
    ValueError
        If k, s or d is not positive, p or `o` is negative, `o` is not less than s or d, or no pixel
        is left.

    Examples
    --------
    >>> transposed_size(64, k=2, s=2), transposed_size(64, k=3, s=2, p=1, o=1)
    (128, 128)
    """
    if min(k, s, d) < 1 or p < 0:
        raise ValueError(f"Expected positive k, s, d and p >= 0, got {k}, {s}, {d} and {p}.")
    if not 0 <= o < max(s, d):
        raise ValueError(f"o must be less than s or d, got o={o}, s={s}, d={d}.")
    pixels = (side - 1) * s + span(k, d) - 2 * p + o
    if pixels < 1:
        raise ValueError(f"A side of {side} leaves {pixels} pixels (k={k}, s={s}, p={p}, o={o}).")
    return pixels


def conv_parameters(k: int, c_in: int, c_out: int, bias: bool = True, groups: int = 1) -> int:
    """Weights and biases of a convolution, transposed or not.

    Parameters
    ----------
    k : int
        Kernel size.
    c_in, c_out : int
        Channels of the input and of the output.
    bias : bool, default True
        Whether it has a bias.
    groups : int, default 1
        Number of groups; each sees `c_in / groups` channels.

    Returns
    -------
    int
        Number of parameters.

    Raises
    ------
    ValueError
        If a channel count or `groups` is not positive, or `groups` does not divide both counts.

    Examples
    --------
    >>> conv_parameters(3, 3, 64)
    1792
    >>> conv_parameters(3, 64, 64, bias=False, groups=64)
    576
    """
    if min(c_in, c_out, groups) < 1 or c_in % groups or c_out % groups:
        raise ValueError(f"groups={groups} must divide both channel counts, {c_in} and {c_out}.")
    return k * k * (c_in // groups) * c_out + (c_out if bias else 0)
