"""Trained weights: a safetensors file with the tensors, and a JSON card that describes them.

No pickle is read or written. A weights file from elsewhere can therefore contain wrong numbers,
but not code.
"""

import hashlib
import json
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from retina_course.data.files import write_together
from retina_course.models import create_model

_SHIPPED = Path(__file__).parent
INTENDED_USE = "Teaching and research. Not a medical device."


def available() -> list[str]:
    """List the weights that come with the package.

    Returns
    -------
    list of str
        Names that `load` accepts, sorted.

    Examples
    --------
    >>> from retina_course import weights
    >>> "unet_small" in weights.available()
    True
    """
    return sorted(path.stem for path in _SHIPPED.glob("*.safetensors"))


def save(
    path: str | PathLike[str], model: nn.Module, card: dict[str, Any], *, half: bool = False
) -> None:
    """Save the weights of a model as `NAME.safetensors`, with their card `NAME.json`.

    The two files appear whole or not at all. The names of the weights are those of the network
    itself, also where `torch.compile` or `DataParallel` has put another around it.

    Parameters
    ----------
    path : str or PathLike
        A file name that ends in `.safetensors`; missing folders are created.
    model : nn.Module
        The model, on any device.
    card : dict
        At least `model` and `options`, from which `create_model` builds this network. Common
        further keys are `size`, `fov_diameter` (pixels), `pixels_per_degree` (the scale at which
        photographs are seen), `pixels_per_degree_range` (of the training), `largest_enlargement`
        (see `inference.scale`), `threshold`, `training_data`, `metrics` and `licence`.
        `intended_use` and the file's `sha256` are added.
    half : bool, default False
        Store float16, which halves the file; `load` returns float32 all the same. Scores in the
        card must then be those of the rounded weights.

    Raises
    ------
    ValueError
        If the file name has another ending, the card is incomplete, does not describe `model` or
        has a number that `load` refuses, or a weight is too large for float16.
    OSError
        If a file cannot be written; it is named.

    Examples
    --------
    >>> import tempfile
    >>> from retina_course import create_model, weights
    >>> model = create_model("unet_small")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "mine.safetensors")
    ...     weights.save(path, model, {"model": "unet_small", "options": {}})
    ...     loaded, card = weights.load(path)
    >>> all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters()))
    True
    """
    path = _checked_suffix(path)
    described = _build(card, path, device="meta")
    _check_numbers(card, path.with_suffix(".json"))
    own = _without_prefixes(model.state_dict(), described)
    tensors = {name: t.detach().cpu().contiguous() for name, t in own.items()}
    _compare(tensors, described, path)
    if half:
        tensors = {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}
        large = [name for name, t in tensors.items() if not t.isfinite().all()]
        if large:
            raise ValueError(f"{large[0]} is not finite in float16. Save it with half=False.")
        card = {**card, "stored_as": "float16"}
    data = save_tensors(tensors)
    card = {"intended_use": INTENDED_USE, **card, "sha256": hashlib.sha256(data).hexdigest()}
    text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_together({path: data, path.with_suffix(".json"): text.encode()})


def load(path_or_name: str | PathLike[str]) -> tuple[nn.Module, dict[str, Any]]:
    """Load a model with trained weights, and their card.

    Names in the file may begin with `module.`, `_orig_mod.` or the like, as wrappers such as
    `DataParallel` and `torch.compile` write them.

    Parameters
    ----------
    path_or_name : str or PathLike
        A `.safetensors` file with its card beside it, or one of `available()`.

    Returns
    -------
    model : nn.Module
        The model in eval mode, float32, on the CPU.
    card : dict
        The card, with the file's `sha256`.

    Raises
    ------
    FileNotFoundError
        If the file or its card is missing.
    ValueError
        If the name is unknown, the file is damaged or not a safetensors file, or the card is not
        valid JSON or does not describe these tensors.

    Examples
    --------
    >>> from retina_course import weights
    >>> model, card = weights.load("unet_small")
    >>> type(model).__name__, card["intended_use"]
    ('UNetSmall', 'Teaching and research. Not a medical device.')
    """
    path = _find(path_or_name)
    card = _read_card(path.with_suffix(".json"))
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if card.setdefault("sha256", digest) != digest:
        raise ValueError(
            f"{path} is not the file that its card {path.with_suffix('.json').name} describes "
            "(sha256 differs): it is damaged, or one of the two was replaced. Fetch both again."
        )
    try:
        tensors = load_tensors(data)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file, or damaged: {error}.") from error
    # On the meta device first: it allocates nothing, whatever sizes the card claims.
    described = _build(card, path, device="meta")
    tensors = _without_prefixes(tensors, described)
    _compare(tensors, described, path)
    broken = [name for name, t in tensors.items() if not t.isfinite().all()]
    if broken:
        raise ValueError(f"{path} holds values that are not finite, first in {broken[0]}.")
    model = _build(card, path)
    model.load_state_dict(tensors)
    return model.eval(), card


def _find(path_or_name: str | PathLike[str]) -> Path:
    """The weights file, which exists."""
    if isinstance(path_or_name, str) and not Path(path_or_name).suffix:
        if path_or_name not in available():
            raise ValueError(
                f"No weights named {path_or_name!r} in the package. Available: "
                f"{', '.join(available()) or 'none'}. For a file, give its path with .safetensors."
            )
        return _SHIPPED / f"{path_or_name}.safetensors"
    path = _checked_suffix(path_or_name)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {path}.")
    return path


def _checked_suffix(path: str | PathLike[str]) -> Path:
    """A path that ends in `.safetensors`."""
    path = Path(path)
    if path.suffix in (".pth", ".pt", ".ckpt", ".bin"):
        raise ValueError(
            f"{path} is a pickle checkpoint, which can run code when it is opened; this function "
            "takes .safetensors. To convert one that you trust: model.load_state_dict(torch.load("
            "file, weights_only=True)), then weights.save('name.safetensors', model, card)."
        )
    if path.suffix != ".safetensors":
        raise ValueError(f"Expected a file name that ends in .safetensors, got {path}.")
    return path


def _read_card(path: Path) -> dict[str, Any]:
    """The card, whose numbers are in their range."""
    if not path.is_file():
        raise FileNotFoundError(
            f"The weights' card {path} is missing; it says which model the tensors belong to."
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"The card {path} is not valid JSON: {error}.") from error
    if not isinstance(card, dict):
        raise ValueError(f"The card {path} must be a JSON object, got {type(card).__name__}.")
    _check_numbers(card, path)
    return card


def _check_numbers(card: dict[str, Any], path: Path) -> None:
    """Refuse numbers out of their range."""
    numbers = {"threshold": 1, "fov_diameter": 100_000, "pixels_per_degree": 10_000}
    for key, largest in (numbers | {"largest_enlargement": 100}).items():
        value = card.get(key, 1)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and 0 <= value <= largest):  # NaN fails both comparisons
            raise ValueError(
                f"The card {path} says {key} {value!r}; expected a number from 0 to {largest}."
            )


def _build(card: dict[str, Any], path: Path, device: str = "cpu") -> nn.Module:
    """The model that a card describes, with random weights."""
    missing = [key for key in ("model", "options") if key not in card]
    if missing:
        raise ValueError(f"The card of {path} lacks {' and '.join(missing)}.")
    try:
        with torch.device(device):
            return create_model(card["model"], **card["options"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"The card of {path} fits no model of the package: {error}") from None


def _without_prefixes(tensors: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The tensors by the model's own names, where wrappers have put the same before each."""
    plain = {name.replace("_orig_mod.", ""): tensor for name, tensor in tensors.items()}
    first = next(iter(model.state_dict()))
    ends = [name for name in plain if name.endswith(f".{first}")]
    prefix = ends[0].removesuffix(first) if len(ends) == 1 and first not in plain else ""
    if not all(name.startswith(prefix) for name in plain):
        return plain
    return {name.removeprefix(prefix): tensor for name, tensor in plain.items()}


def _compare(tensors: dict[str, Tensor], model: nn.Module, path: Path) -> None:
    """Check that the tensors have the names and shapes of the model's."""
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    names = [*expected, *(name for name in found if name not in expected)]
    wrong = [
        f"{name}: {found.get(name, 'missing')}, expected {expected.get(name, 'no such tensor')}"
        for name in names
        if expected.get(name) != found.get(name)
    ]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(
            f"The tensors of {path} do not fit {type(model).__name__} with the card's options: "
            f"{'; '.join(wrong[:3])}{more}."
        )
