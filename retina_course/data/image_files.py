"""Reading image files: the stored numbers as an array, upright and without transparency."""

import gzip
import io
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from retina_course.data.dicom import UnusableImage, is_dicom, read_dicom
from retina_course.data.pil_images import apply_orientation, to_pixels

MAX_PIXELS = 150_000_000  # 1.8 GB as float32 RGB; `segment` takes about five times as much
PHOTO_ENDINGS = frozenset(
    ".png .jpg .jpeg .jpe .jfif .tif .tiff .bmp .gif .webp .avif .jp2 .j2k .jpx .ppm .pgm .pnm "
    ".tga .pcx .dcm .dicom".split()
)
NO_PHOTOGRAPHS = ("EPS", "MPEG")  # Pillow opens these files, but they are no stored pixels
BITS_PER_SAMPLE, PLANES = 258, 284  # TIFF tags


class ImageWarning(UserWarning):
    """What the reader of an image should know; the image was read all the same."""


def read_pixels(path: str | PathLike[str]) -> np.ndarray:
    """Read the stored pixels of an image file, upright and without transparency.

    Of a TIFF file with several pages the largest is read, of an animation the first picture; an
    `ImageWarning` says so. DICOM files are read where `pydicom` is installed.

    Parameters
    ----------
    path : str or PathLike
        A file of any kind that Pillow reads, or a DICOM file, also compressed as `.gz`.

    Returns
    -------
    ndarray
        `(H, W)` or `(H, W, 3)`, uint8, uint16 or, for grey images only, float32, as stored.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the path is a folder, the file cannot be read as an image, or it has more than
        `MAX_PIXELS` pixels.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (4, 3), "red").save(Path(folder, "photo.png"))
    ...     pixels = read_pixels(Path(folder, "photo.png"))
    >>> pixels.shape, pixels.dtype
    ((3, 4, 3), dtype('uint8'))
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
        pixels, note = (
            read_dicom(content) if is_dicom(path, content) else _read_with_pillow(content)
        )
    except FileNotFoundError:
        raise FileNotFoundError(f"No image file {path}.") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; give an image file in it.") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not an image, or not of a kind that Pillow reads.") from None
    except (UnusableImage, Image.DecompressionBombError) as error:
        reason = str(error) if isinstance(error, UnusableImage) else _too_large("pixels")
        raise ValueError(f"{path} {reason}") from None
    except (MemoryError, PermissionError):
        raise
    # Damaged bytes make the decoders raise errors of a dozen types.
    except Exception as error:
        problem = str(error) or type(error).__name__
        raise ValueError(
            f"Cannot read the image {path} ({problem}). It may be damaged or cut off: replace it "
            "by a new copy."
        ) from error
    if note:
        warnings.warn(f"{path}: {note}", ImageWarning, stacklevel=3)
    return pixels


def is_photograph(path: str | PathLike[str]) -> bool:
    """Whether a file is meant as a picture: by the ending of its name, else by its first bytes.

    Parameters
    ----------
    path : str or PathLike
        A file that exists. It is not decoded, so it may be damaged all the same.

    Returns
    -------
    bool
        False for texts, tables, films and the like; True for a file that cannot be opened.

    Examples
    --------
    >>> is_photograph("eye.JPG"), is_photograph("im0001.ppm.gz"), is_photograph(__file__)
    (True, True, False)
    """
    path = Path(path)
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    if name.suffix.lower() in PHOTO_ENDINGS:
        return True
    try:
        with path.open("rb") as file:
            if is_dicom(path, file.read(132)):
                return True
            file.seek(0)
            with quietly(), Image.open(file) as image:
                is_stub = isinstance(image, ImageFile.StubImageFile)
                return not is_stub and image.format not in NO_PHOTOGRAPHS
    except (OSError, Image.DecompressionBombError) as error:
        return not isinstance(error, UnidentifiedImageError)
    except Exception:  # see `read_pixels`
        return False


@contextmanager
def quietly() -> Iterator[None]:
    """No warnings of Pillow's own: of large images, which `MAX_PIXELS` limits, and of odd tags.

    Yields
    ------
    None
        Nothing; warnings of the block are not shown.

    Examples
    --------
    >>> with quietly():
    ...     warnings.warn("An odd tag.")
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _too_large(size: str) -> str:
    return (
        f"has more than {MAX_PIXELS // 10**6} million {size}, the most that is read. Reduce it "
        "to a smaller size first."
    )


def _read_with_pillow(content: bytes) -> tuple[np.ndarray, str]:
    """The pixels of a file that Pillow reads, and what its reader should know."""
    with quietly(), Image.open(io.BytesIO(content)) as image:
        page, note = _choose_page(image)
        if image.width * image.height > MAX_PIXELS:
            raise UnusableImage(_too_large(f"pixels ({image.width}x{image.height})"))
        raw = image.tile[0].args if image.tile else ""
        raw = raw[0] if isinstance(raw, tuple) else raw
        deep = re.fullmatch(r"(RGB[AX]?;16)([LBN])", str(raw))
        in_planes = image.format == "TIFF" and image.getexif().get(PLANES) == 2
        if deep and not in_planes and "transparency" not in image.info:
            return _read_16_bit_colours(content, image, page, deep), note
        if in_planes and raw == "R" and image.tag_v2[BITS_PER_SAMPLE][0] == 16:  # type: ignore[attr-defined]
            raise UnusableImage(
                "has colours of 16 bits in separate planes, which Pillow misreads. Save it with "
                "8 bits, or as PNG."
            )
        return to_pixels(image), note


def _choose_page(image: Image.Image) -> tuple[int, str]:
    """Go to the picture that is meant, and say which where there are several."""
    count = getattr(image, "n_frames", 1)
    if count == 1 or image.format in ("MPO", "PSD"):  # with previews or layers: the first is meant
        return 0, ""
    if image.format != "TIFF":
        image.seek(0)
        return 0, f"the first of its {count} pictures is used."
    sizes = []
    for page in range(count):
        image.seek(page)
        sizes.append(image.width * image.height)
    page = int(np.argmax(sizes))
    image.seek(page)
    return page, f"page {page + 1} of {count} is used, the largest ({image.width}x{image.height})."


def _read_16_bit_colours(
    content: bytes, image: Image.Image, page: int, raw: re.Match[str]
) -> np.ndarray:
    """Colours of 16 bits. Pillow keeps the upper byte of each, so the lower one is read as well.

    With the other order of bytes it takes the lower byte for the upper one.
    """
    other = f"{raw[1]}{'L' if raw[2] == 'B' or (raw[2] == 'N' and sys.byteorder == 'big') else 'B'}"
    with Image.open(io.BytesIO(content)) as again:
        again.seek(page)
        again.tile = [
            part._replace(args=(other, *part.args[1:]) if isinstance(part.args, tuple) else other)
            for part in again.tile
        ]
        upper, lower = (np.asarray(apply_orientation(part)) for part in (image, again))
    values = upper.astype(np.uint16) << 8 | lower
    if values.shape[2] == 4:
        return np.round(values[..., :3] * (values[..., 3:] / 65535)).astype(np.uint16)
    return values
