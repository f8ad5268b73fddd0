"""What the commands models, download and export do; `parser` reads their options.

A command returns the exit code. It raises `ValueError` or `OSError` for what cannot be used and
`MemoryError` where memory runs out.
"""

import os
from pathlib import Path

from retina_course import weights as trained_weights
from retina_course.data import datasets
from retina_course.data.files import write_atomically
from retina_course.models import create_model, list_models

NOT_MEDICAL = (
    "Not a medical device: for teaching and research. The weights for vessels were trained on "
    "eight photographs of four children by one camera (those named any_camera also on 15 "
    "photographs by another), those for boxes on 160 photographs of one clinic."
)
DOWNLOADS = ("chase_db1",)  # the datasets whose licence allows it


def models() -> int:
    """Print the networks, and the trained weights that come with the package.

    Returns
    -------
    int
        Exit code 0.
    """
    print("Networks, three input channels and one output:")
    for name in list_models():
        network = create_model(name)
        count = sum(parameter.numel() for parameter in network.parameters())
        print(f"  {name:<22} {count:>12,} parameters")
    print(
        "\nWeights in the package:"
        if trained_weights.available()
        else "\nNo weights in the package."
    )
    for name in trained_weights.available():
        _, card = trained_weights.load(name)
        print(f"  {name:<22} {card.get('training_data', 'training data not stated')}")
        print(f"  {'':<22} {trained_weights.main_scores(card.get('metrics', {}))}")
        print(f"  {'':<22} {trained_weights.scale_text(card)}")
    print(f"\n{NOT_MEDICAL}")
    return 0


def download(name: str, output: Path | None) -> int:
    """Fetch a dataset whose licence allows it.

    Parameters
    ----------
    name : str
        One of `DOWNLOADS`.
    output : Path or None
        Folder for datasets. None: `$RETINA_COURSE_DATA` where it is set, else `data`.

    Returns
    -------
    int
        Exit code 0.

    Raises
    ------
    ValueError
        A dataset that cannot be downloaded.
    """
    if name not in DOWNLOADS:
        raise ValueError(f"Cannot download {name!r}. Choose one of: {', '.join(DOWNLOADS)}.")
    parent = output or Path(os.environ.get("RETINA_COURSE_DATA") or "data")
    folder = datasets.download_chase_db1(parent / "CHASE_DB1")
    print(f"{folder} is complete. Use it with: --data {folder}")
    print("CHASE_DB1: Fraz et al. 2012, doi:10.1109/TBME.2012.2205687, CC BY 4.0.")
    return 0


def export(weights: str, output: Path) -> int:
    """Write trained weights as an ONNX file.

    Parameters
    ----------
    weights : str
        See `weights.load`.
    output : Path
        The file; its folder must exist.

    Returns
    -------
    int
        Exit code 0.

    Raises
    ------
    ValueError
        The weights cannot be used, a package is missing, or `output` is not a file of this command.
    """
    if output.suffix.lower() != ".onnx" or output.is_dir() or not output.parent.is_dir():
        raise ValueError(f"Expected -o FILE.onnx in a folder that exists, got {output}.")
    if output.exists() and trained_weights.ONNX_MARK.encode() not in output.read_bytes():
        raise ValueError(
            f"{output} was not made by retina-course export and would be replaced. Give another "
            "name, or move it away."
        )
    network, card = trained_weights.load(weights)
    try:
        content = trained_weights.to_onnx(network, card)
    except ImportError as error:
        raise ValueError(str(error)) from error
    write_atomically(output, content)
    print(f"{output}: {len(content) / 1e6:.1f} MB. What goes in and what to make of what comes out")
    print(f"stands in its metadata, {trained_weights.ONNX_MARK}*.")
    return 0
