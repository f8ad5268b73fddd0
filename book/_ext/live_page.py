"""Write the scripts of the page book/live.md that come from the package: networks and settings."""

import base64
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from retina_course import weights
from retina_course.data import reading
from retina_course.data.field_angles import WIDEST
from retina_course.inference import DEFAULT_FIELD_ANGLE, colours, doubt, quality
from retina_course.inference.disc_angle import DISC_DEGREES, PLAUSIBLE
from retina_course.inference.scale import SCALE_KEYS
from retina_course.inference.tiles import tiling

# The first is the one that the page begins with.
GROUPS = {
    "for any camera": [
        "unet_small_any_camera",
        "w_net_any_camera",
        "retina_segmentor_any_camera",
    ],
    "for one camera": ["unet_small", "unet_large", "retina_segmentor"],
}
NETWORKS = [name for names in GROUPS.values() for name in names]
CARD_KEYS = (*SCALE_KEYS, "fov_diameter", "colours", "threshold", "expected_f1")
EXAMPLES = {"example_chase.jpg": 30, "example_idrid.jpg": 50}  # field angles in degrees


def bounds() -> dict[str, float]:
    """The numbers by which the package finds a field of view and judges a photograph."""
    return {
        "dark": reading.DARK,
        "white": reading.WHITE,
        "whiteEdge": reading.WHITE_EDGE,
        "corner": reading.CORNER,
        "step": reading.STEP,
        "steady": reading.STEADY,
        "blank": colours.BLANK,
        "grey": colours.GREY,
        "fillsFrame": reading.FILLS_FRAME,
        "smallField": reading.SMALL_FIELD,
        "narrow": reading.NARROW,
        "disc": reading.DISC,
        "fewVessels": quality.FEW_VESSELS,
        "manyVessels": quality.MANY_VESSELS,
        "enlarged": quality.ENLARGED,
        "reduced": quality.REDUCED,
        "doubt": doubt.MARGIN,
    }


def model(name: str) -> dict[str, Any]:
    """What the page needs of a network: its steps, its card, its weights file in base64."""
    network, card = weights.load(name)
    multiple = network.size_multiple
    file = Path(weights.__file__).parent / f"{name}.safetensors"
    return {
        "plan": weights.layer_plan(network),
        "card": {key: card.get(key) for key in CARD_KEYS},
        "multiple": multiple,
        # Rows above and below a band that are computed and not kept, as in `predict`.
        "reach": tiling((10**4, 10**4), multiple, tile=None, overlap=None)[1],
        "weights": base64.b64encode(file.read_bytes()).decode(),
    }


def about(name: str) -> dict[str, Any]:
    """What a reader is told of a network, from its card and its file."""
    network, card = weights.load(name)
    size = (Path(weights.__file__).parent / f"{name}.safetensors").stat().st_size
    inside = getattr(network, "network", network)
    tested = [card[key] for key in ("metrics", "metrics_chase_db1") if key in card]
    return {
        "title": type(inside).__name__,
        "megabytes": size * 4 / 3 / 1e6,  # as base64
        "threshold": card["threshold"],
        "trained": card["training_data"],
        "scores": [f"{one['f1']:.2f} on {one['set']}" for one in tested],
    }


def settings(folder: Path) -> dict[str, Any]:
    """What the page needs before a network is chosen."""
    return {
        "bounds": bounds(),
        "angle": DEFAULT_FIELD_ANGLE,
        "widest": WIDEST,
        "disc": {"degrees": DISC_DEGREES, "angles": PLAUSIBLE},
        "groups": GROUPS,
        "networks": {name: about(name) for name in NETWORKS},
        "examples": [
            {
                "name": file,
                "angle": angle,
                "jpeg": base64.b64encode((folder / file).read_bytes()).decode(),
            }
            for file, angle in EXAMPLES.items()
        ],
    }


def scripts(folder: Path) -> dict[str, Callable[[], str]]:
    """The files that are made, and what makes their text."""

    def script(variable: str, make: Callable[[], dict[str, Any]]) -> str:
        return f"{variable} = {json.dumps(make(), separators=(',', ':'))};\n"

    made = {"settings.js": partial(script, "window.retinaSettings", partial(settings, folder))}
    for name in NETWORKS:
        variable = f"(window.retinaModels ??= {{}}).{name}"
        made[f"{name}.js"] = partial(script, variable, partial(model, name))
    return made


def write(app, error):
    """Write the scripts into the built book."""
    if error or app.builder.format != "html":
        return
    target = Path(app.outdir, "_static", "live")
    for name, text in scripts(Path(app.srcdir, "book", "_static", "live")).items():
        (target / name).write_text(text(), encoding="utf-8")


def setup(app):
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
