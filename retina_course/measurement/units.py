"""Pixels in other units: degrees and minutes of arc of the field, micrometres on the retina."""


def in_units(
    values: dict[str, float], pixels_per_degree: float, microns_per_pixel: float | None = None
) -> dict[str, float]:
    """The same numbers in degrees, minutes of arc and, where the scale is known, micrometres.

    Parameters
    ----------
    values : dict of str to float
        Of a `Measurement`.
    pixels_per_degree : float
        The photograph's own: pixels across the field of view by its angle in degrees.
    microns_per_pixel : float, optional
        On the retina; it depends on the length of the eye.

    Returns
    -------
    dict of str to float
        Further columns.

    Examples
    --------
    >>> found = in_units({"calibre_mean_px": 6.0, "length_density_per_px": 0.01}, 30, 10)
    >>> found["calibre_mean_arcmin"], found["calibre_mean_um"]
    (12.0, 60.0)
    """
    found = {}
    for name, value in values.items():
        if name.endswith("_px") and ("calibre" in name or name.startswith("cr")):
            stem = name.removesuffix("_px")
            found[f"{stem}_arcmin"] = 60 * value / pixels_per_degree
            if microns_per_pixel:
                found[f"{stem}_um"] = value * microns_per_pixel
        elif name.endswith("_per_px"):
            stem = name.removesuffix("_per_px")
            found[f"{stem}_per_degree"] = value * pixels_per_degree
            if microns_per_pixel:
                found[f"{stem}_per_mm"] = 1000 * value / microns_per_pixel
        elif name == "length_px":
            found["length_degrees"] = value / pixels_per_degree
            if microns_per_pixel:
                found["length_mm"] = value * microns_per_pixel / 1000
    return found
