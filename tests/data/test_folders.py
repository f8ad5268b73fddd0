"""Folders of one's own: every photograph is used, or named."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published_layouts import SIZE, disc, photograph, save, vessels
from torch.utils.data import DataLoader

from retina_course.data.datasets import DatasetError, ImageFolder
from retina_course.data.idrid import IDRiDBoxes
from retina_course.data.image_files import ImageWarning
from retina_course.data.images import read_image
from retina_course.data.reading import read_rgb


@pytest.fixture
def root(tmp_path):
    """One photograph with its mask."""
    save(tmp_path / "images/eye1.png", photograph())
    save(tmp_path / "masks/eye1.png", vessels())
    return tmp_path


def add(root, image, mask):
    """Another photograph, under names that say nothing of the format."""
    for path, pixels in (
        (root / "images" / image, photograph()),
        (root / "masks" / mask, vessels()),
    ):
        Image.fromarray(pixels).save(path, "PNG")


def test_every_kind_of_file_that_pillow_reads_is_used(root):
    for ending in ("webp", "jp2", "tga", "jfif"):
        save(root / f"images/{ending}.{ending}", photograph())
        save(root / f"masks/{ending}.png", vessels())
    add(root, "bare", "bare")
    add(root, "visit.2", "visit.2.png")  # what looks like an ending is none
    save(root / "images/packed.ppm.gz", photograph())
    save(root / "masks/packed_mask.png", vessels())
    names = ["bare", "eye1", "jfif", "jp2", "packed", "tga", "visit.2", "webp"]
    assert [photo.name for photo in ImageFolder(root)] == names


def test_names_pair_in_any_case_and_in_both_forms_of_an_accent(root):
    add(root, "EYE2.PNG", "eye2.png")
    add(root, unicodedata.normalize("NFD", "Gr\u00fcn.png"), "gr\u00fcn_MASK.png")
    assert len(ImageFolder(root)) == 3


def test_a_photograph_whose_name_ends_in_mask_keeps_its_own(root):
    add(root, "eye1_mask.png", "eye1_mask.png")
    pairs = {record.name: record.ground_truth.name for record in ImageFolder(root).records}
    assert pairs == {"eye1": "eye1.png", "eye1_mask": "eye1_mask.png"}


def test_one_error_lists_all_that_lack_their_counterpart(root):
    (root / "masks/eye1.png").unlink()
    save(root / "masks/lonely_mask.png", vessels())
    save(root / "fov/other.png", disc())
    with pytest.raises(DatasetError) as caught:
        ImageFolder(root)
    lines = str(caught.value).splitlines()[1:-1]
    assert [line.strip() for line in lines] == [
        "masks/eye1.* or masks/eye1_mask.*, for eye1.png",
        "fov/eye1.* or fov/eye1_mask.*, for eye1.png",
        "images/lonely_mask.*, for masks/lonely_mask.png",
        "images/other.*, for fov/other.png",
    ]


def test_two_masks_for_one_photograph_are_both_named(root):
    save(root / "masks/eye1_mask.png", vessels())
    with pytest.raises(DatasetError, match=r"eye1\.png and .*eye1_mask\.png could both belong"):
        ImageFolder(root)
    (root / "masks/eye1_mask.png").rename(root / "masks/EYE1.tif")
    with pytest.raises(DatasetError, match=r"EYE1\.tif and .*eye1\.png have the same name"):
        ImageFolder(root)


def test_what_is_no_image_is_named_and_does_not_stop(root):
    (root / "images/notes.txt").write_text("mine")
    (root / "images/table").write_text("a,b")
    (root / "images/left").mkdir()
    (root / "images/.DS_Store").write_text("the system's")
    (root / "images/._eye1.png").write_text("macOS's")
    (root / "masks/.cache").mkdir()
    save(root / "images/.hidden.png", photograph())
    with pytest.warns(ImageWarning) as warned:
        assert len(ImageFolder(root)) == 1
    (text,) = [str(one.message) for one in warned]
    assert "notes.txt (not an image)" in text and "table (not an image)" in text
    assert "left/ (a folder; move its files into images/)" in text
    assert ".hidden.png (hidden)" in text and "DS_Store" not in text and "._eye1" not in text


def test_a_damaged_photograph_is_an_error_and_not_left_out(root):
    save(root / "masks/eye2.png", vessels())
    (root / "images/eye2.png").write_text("no picture")
    data = ImageFolder(root)
    with pytest.raises(DatasetError, match=r"eye2\.png is not an image"):
        data[1]


def test_a_folder_that_is_not_there_is_named(root):
    with pytest.raises(DatasetError, match="There is no folder .*nowhere"):
        ImageFolder(root / "nowhere")
    (root / "masks").rename(root / "Masken")
    with pytest.raises(DatasetError, match=r"has no folder masks/ \(its folders: .*Masken/"):
        ImageFolder(root)


def test_photographs_in_nested_folders_alone_are_named(root):
    (root / "images/left").mkdir()
    (root / "images/eye1.png").rename(root / "images/left/eye1.png")
    with (
        pytest.warns(ImageWarning, match="left/ .a folder"),
        pytest.raises(DatasetError, match="There are no images in .*images"),
    ):
        ImageFolder(root)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has names that are not UTF-8")
def test_names_that_are_not_utf8_work(root):
    name = os.fsdecode(b"Gr\xfcn.png")
    try:
        add(root, name, name)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    data = ImageFolder(root)
    assert [photo.name for photo in data] == ["Gr\\xfcn", "eye1"]
    assert len(data.digest()) == 64 and list(data.image_digests()) == ["Gr\\xfcn", "eye1"]


@pytest.mark.parametrize("level", [1, 7, 128, 254])
def test_any_one_bright_value_is_vessel(level, root):
    save(root / "masks/eye1.png", vessels() // 255 * np.uint8(level))
    assert np.array_equal(ImageFolder(root)[0].ground_truth, vessels() > 0)


def test_an_empty_mask_is_a_photograph_without_a_vessel(root):
    save(root / "masks/eye1.png", np.zeros(SIZE, np.uint8))
    assert not ImageFolder(root)[0].ground_truth.any()
    save(root / "fov/eye1.png", np.zeros(SIZE, np.uint8))
    with pytest.raises(DatasetError, match=r"field of view .*fov.eye1\.png is empty"):
        ImageFolder(root)[0]


def test_inverted_masks_are_asked_for(root):
    save(root / "masks/eye1.png", 255 - vessels())
    with pytest.raises(DatasetError, match=r"eye1\.png labels 9\d% of .*vessels='black'"):
        ImageFolder(root)[0]
    photo = ImageFolder(root, vessels="black")[0]
    assert np.array_equal(photo.ground_truth, (vessels() > 0) & photo.fov)
    assert ImageFolder(root, vessels="white")[0].ground_truth.mean() > 0.9
    save(root / "masks/eye1.png", vessels())
    with pytest.raises(DatasetError, match="All masks of a folder must be alike"):
        ImageFolder(root, vessels="black")[0]
    with pytest.raises(ValueError, match="'white' or 'black', got 'red'"):
        ImageFolder(root, vessels="red")


def test_a_float_tiff_is_the_same_for_segment_and_for_evaluate(tmp_path):
    grey = np.linspace(0, 1, 480, dtype=np.float32).reshape(SIZE)
    save(tmp_path / "grey.tif", grey)
    expected = read_image(tmp_path / "grey.tif").permute(1, 2, 0) * 255
    assert np.abs(read_rgb(tmp_path / "grey.tif") - expected.numpy()).max() <= 0.5001
    save(tmp_path / "grey.tif", grey * 300)
    messages = []
    for read in (read_image, read_rgb):
        with pytest.raises(ValueError) as caught:
            read(tmp_path / "grey.tif")
        messages.append(str(caught.value).removeprefix(f"{tmp_path / 'grey.tif'}: "))
    assert messages[0] == messages[1]


def test_a_data_loader_gives_lists(root):
    add(root, "eye2.png", "eye2.png")
    (batch,) = DataLoader(ImageFolder(root), batch_size=2)
    assert [photo.name for photo in batch] == ["eye1", "eye2"]
    assert batch[0].image.shape == (*SIZE, 3)


@pytest.fixture
def boxes(tmp_path):
    """Two photographs with boxes, as nobody has published them."""
    save(tmp_path / "a.png", photograph())
    save(tmp_path / "b.webp", photograph())
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    (tmp_path / "B.TXT").write_text("")
    return tmp_path


def test_a_folder_of_boxes_takes_any_format_and_names_the_rest(boxes):
    (boxes / "README.txt").write_text("How these were made.")
    with pytest.warns(ImageWarning, match=r"Left out of .*: README\.txt"):
        data = IDRiDBoxes(boxes, split="all")
    assert [(photo.name, len(photo.boxes)) for photo in data] == [("a", 1), ("b", 0)]
    assert len(data.digest()) == 64 and list(data.image_digests()) == ["a", "b"]
    (batch,) = DataLoader(data, batch_size=2)
    assert [photo.name for photo in batch] == ["a", "b"]


def test_boxes_without_a_photograph_are_an_error(boxes):
    (boxes / "c.txt").write_text("1 0.5 0.5 0.25 0.25\n")
    Path(boxes, "a.txt").unlink()
    with pytest.raises(DatasetError, match=r"(?s)2 file\(s\).*a\.txt.*c\.jpg, for c\.txt"):
        IDRiDBoxes(boxes, split="all")
