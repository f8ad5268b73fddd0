"""Photographs in DICOM files, which clinics' systems store; `pydicom` reads them."""

import io
from importlib import import_module
from pathlib import Path

import numpy as np

PHOTOMETRIC = ("MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


class UnusableImage(ValueError):
    """An image that is not damaged, but cannot be used; the message goes on after its path."""


def is_dicom(path: Path, content: bytes) -> bool:
    """Whether a file is a DICOM file, by its name or its first bytes.

    Parameters
    ----------
    path : Path
        The file.
    content : bytes
        At least its first 132 bytes.

    Returns
    -------
    bool
        True for a DICOM file.

    Examples
    --------
    >>> is_dicom(Path("eye.DCM"), b""), is_dicom(Path("eye"), bytes(128) + b"DICM")
    (True, True)
    """
    return path.suffix.lower() in (".dcm", ".dicom") or content[128:132] == b"DICM"


def read_dicom(content: bytes) -> tuple[np.ndarray, str]:
    """The pixels of a DICOM file.

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    pixels : ndarray
        `(H, W)` or `(H, W, 3)`, uint8, or uint16 with white at 65535.
    note : str
        What the reader should know; empty where there is nothing.

    Raises
    ------
    UnusableImage
        If `pydicom` is not installed, the colours are stored in a way that is not read, or the
        numbers are signed.
    """
    try:
        pydicom = import_module("pydicom")
    except ImportError:
        raise UnusableImage(
            "is a DICOM file. To read it: pip install pydicom. Or export it as PNG or TIFF."
        ) from None
    data = pydicom.dcmread(io.BytesIO(content))
    photometric = str(data.PhotometricInterpretation)
    if photometric not in PHOTOMETRIC:
        raise UnusableImage(
            f"is a DICOM file with colours as {photometric}; {', '.join(PHOTOMETRIC)} are read. "
            "Export it as PNG or TIFF."
        )
    pixels = np.asarray(data.pixel_array)  # pydicom turns YBR to RGB
    frames = int(getattr(data, "NumberOfFrames", None) or 1)
    if frames > 1:
        pixels = pixels[0]
    if pixels.dtype.kind not in "u" and (pixels.min() < 0 or pixels.dtype.kind != "i"):
        raise UnusableImage(
            f"is a DICOM file with numbers of the type {pixels.dtype}, from {pixels.min()}; a "
            "photograph has none below 0. Export it as PNG or TIFF."
        )
    bits = int(getattr(data, "BitsStored", 0) or 8 * pixels.dtype.itemsize)
    if bits > 8:
        white = 2**bits - 1
        pixels = np.minimum(pixels, white).astype(np.uint32) * 65535 // white
    pixels = pixels.astype(np.uint16 if bits > 8 else np.uint8)
    return pixels, f"the first of its {frames} pictures is used." if frames > 1 else ""
