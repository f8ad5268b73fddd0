"""What in a photograph or its result is unlike everything that the networks were tried on.

Plain rules, each with a bound that no photograph of CHASE_DB1 (28), HRF (45) and IDRiD_boxes (240)
crosses; their ranges stand beside the bounds. One rule follows from the network's card: the
photograph has fewer pixels per degree than all of the training. IDRiD_boxes has 12, which is coarse
for the vessel networks of the package. A rule refuses nothing: it returns a sentence.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from retina_course.data.reading import FILLS_FRAME, SMALL_FIELD, is_disc
from retina_course.inference.colours import BLANK, DARK, GREY, saturation, surround, trained_colours
from retina_course.inference.field_of_view import bounding_box, measured_diameter
from retina_course.inference.scale import working_diameter
from retina_course.models import DETECTORS

# On the 313 photographs (bounds for size and shape of the field of view: `data.reading`):
# BLANK, the standard deviation of the most varied channel in the field: 17 to 64, over 255.
SWAPPED = 0.7  # mean red by mean blue; blue by red is 0.00 to 0.47
ENLARGED, REDUCED = 2.0, 10.0  # network's by photograph's diameter: 0.14 (1 / 7.3) to 1.05
FEW_VESSELS, MANY_VESSELS = 0.01, 0.25  # UNetSmall's vessels in the field: 0.027 to 0.144

# Ten test photographs of CHASE_DB1 in grey, without flips: F1 0.82, UNetSmall 0.79, UNetLarge 0.77.
BEST_IN_GREY = "retina_segmentor"


def photograph_warnings(
    rgb: Tensor,
    fov: Tensor,
    card: Mapping[str, Any],
    *,
    fov_diameter: float | None = None,
    fov_is_given: bool = False,
    field_angle: float | None = None,
) -> list[str]:
    """What is unusual about a photograph, before a network sees it.

    Parameters
    ----------
    rgb : Tensor
        The photograph, `(3, H, W)` in [0, 1].
    fov : Tensor of bool
        The field of view, `(H, W)`, not empty.
    card : mapping
        The card of the network that is to see it.
    fov_diameter : float, optional
        The field's diameter in pixels, where the user gave it, see `segment`.
    fov_is_given : bool, default False
        The user gave the field of view: its shape is not judged.
    field_angle : float, optional
        Width of the field of view in degrees, see `segment`.

    Returns
    -------
    list of str
        Sentences; none for a usual photograph.

    Raises
    ------
    ValueError
        The card gives no scale, its `colours` are none, or the angle is none.

    Examples
    --------
    >>> from retina_course import make_fundus
    >>> from retina_course.inference import find_fov
    >>> photograph = make_fundus(600, seed=0).image
    >>> card = {"fov_diameter": 640}
    >>> photograph_warnings(photograph, find_fov(photograph), card)
    []
    >>> swapped = photograph.flip(0)
    >>> print(*photograph_warnings(swapped, find_fov(swapped), card))  # doctest: +ELLIPSIS
    The mean colours in the field of view are R ..., G ..., B ...: channels in the order BGR? ...
    """
    found = list(_of_colours(rgb, fov, card))
    if not fov_is_given and fov_diameter is None:
        found += _of_field(fov)
    if surround(rgb, fov) > DARK:
        found.append("Around the field of view it is bright, not black; it is taken as black.")
    own = fov_diameter or measured_diameter(fov)
    seen, _, coarse = working_diameter(own, field_angle, card)
    if coarse:
        found.append(coarse)
    elif seen / own > ENLARGED:
        found.append(
            f"The field of view is {own:.0f} pixels across, the network sees it in {seen:.0f}: "
            f"enlarged {seen / own:.1f} times, fine structures stay invisible."
        )
    elif own / seen > REDUCED:
        found.append(
            f"The field of view is {own:.0f} pixels across, the network sees it in {seen:.0f}: "
            f"reduced {own / seen:.0f} times, fine structures are lost."
        )
    return found


def vessel_warnings(fraction: float) -> list[str]:
    """What is unusual about a vessel map.

    Parameters
    ----------
    fraction : float
        The share of the field of view that is vessel.

    Returns
    -------
    list of str
        One sentence, or none.

    Examples
    --------
    >>> vessel_warnings(0.1)
    []
    >>> print(*vessel_warnings(0.3))
    Vessels fill 30.0% of the field of view; 3% to 14% are usual.
    """
    if FEW_VESSELS <= fraction <= MANY_VESSELS:
        return []
    return [f"Vessels fill {fraction:.1%} of the field of view; 3% to 14% are usual."]


def _of_colours(rgb: Tensor, fov: Tensor, card: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about blank, grey and wrongly ordered colours."""
    inside = rgb[:, fov]
    red, green, blue = inside.mean(dim=1).tolist()
    if inside.std(dim=1, correction=0).max() < BLANK:
        yield "The photograph is blank: its field of view has nearly one colour."
    elif saturation(rgb, fov) < GREY:
        if card.get("colours", "unknown") is None:  # the network learned from grey photographs
            return
        tinted = "the network sees it tinted as its training photographs."
        untinted = (
            "the card gives no colours to tint it, and without them next to nothing is found."
        )
        best = card.get("model") in (BEST_IN_GREY, *DETECTORS)
        yield (
            f"The photograph is grey; {untinted if trained_colours(card) is None else tinted}"
            f"{'' if best else f' Try --model {BEST_IN_GREY}.'}"
        )
    elif not red > green > blue:
        guess = "R > G > B is usual."
        if red < green < blue and red < SWAPPED * blue:
            bright = surround(rgb, fov) > DARK
            guess = f"{'inverted colours' if bright else 'channels in the order BGR'}? {guess}"
        shown = ", ".join(
            f"{name} {255 * mean:.0f}" for name, mean in zip("RGB", (red, green, blue), strict=True)
        )
        yield f"The mean colours in the field of view are {shown}: {guess}"


def _of_field(fov: Tensor) -> Iterator[str]:
    """Sentences about the size and shape of a field of view that was found."""
    rows, columns = bounding_box(fov)
    height, width = fov[rows, columns].shape
    share = float(fov.float().mean())
    if share > FILLS_FRAME:
        yield (
            f"No dark border was found: the field of view is the whole picture ({width}x{height}). "
            "If it shows a part of the field, give the field's diameter (--fov-diameter)."
        )
        return
    if share < SMALL_FIELD:
        yield f"The field of view is only {share:.0%} of the picture."
    if not is_disc(fov.numpy()):
        yield (
            f"The field of view ({width}x{height}) is not a disc. If it is wrong, give it as a "
            "mask (--field-of-view)."
        )
