"""What PHOTO may be: files, folders, patterns; with a mask of the field of view for each."""

import csv
import json

import numpy as np
import pytest
from command_line import photograph, run
from PIL import Image


@pytest.fixture
def folder(tmp_path, photo):
    """Photographs of several kinds, a text, and a folder with another photograph."""
    here = tmp_path / "photos"
    (here / "left").mkdir(parents=True)
    Image.open(photo).save(here / "one.png")
    Image.open(photo).save(here / "two.webp", lossless=True)
    (here / "three").write_bytes(photo.read_bytes())  # no ending
    (here / "notes.txt").write_text("not an image")
    (here / ".DS_Store").write_bytes(b"\0\1")
    Image.open(photo).save(here / "left" / "one.png")
    return here


@pytest.fixture
def segment(weights_file, tmp_path):
    def call(*arguments):
        return run("segment", *arguments, "-o", tmp_path / "out", "--weights", weights_file)

    return call


def made(tmp_path):
    out = tmp_path / "out"
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*_vessels.png"))


def test_every_file_of_a_folder_is_used_or_named(folder, segment, tmp_path, capsys):
    assert segment(folder) == 0
    assert made(tmp_path) == ["one_vessels.png", "three_vessels.png", "two_vessels.png"]
    err = capsys.readouterr().err
    assert f"not images, skipped: {folder / '.DS_Store'}, {folder / 'notes.txt'}" in err
    assert f"not looked into without --recursive: {folder / 'left'}" in err


def test_recursive_mirrors_the_folders(folder, segment, tmp_path):
    assert segment(folder, "--recursive") == 0
    assert "left/one_vessels.png" in made(tmp_path) and len(made(tmp_path)) == 4


def test_links_to_folders_are_named_and_not_followed(folder, segment, tmp_path, capsys):
    try:
        (folder / "again").symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("no links here")
    assert segment(folder, "--recursive") == 0
    assert len(made(tmp_path)) == 4
    assert f"not looked into without --recursive: {folder / 'again'}" in capsys.readouterr().err


def test_a_damaged_image_in_a_folder_is_an_error_and_a_text_is_not(folder, segment, capsys):
    (folder / "bad.jpg").write_text("no picture")
    assert segment(folder) == 1
    err = capsys.readouterr().err
    assert f"error: {folder / 'bad.jpg'} is not an image" in err
    assert f"1 of 4 photographs failed: {folder / 'bad.jpg'}\n" in err


def test_a_folder_without_photographs_is_an_error_that_names_what_it_has(segment, tmp_path, capsys):
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    (tmp_path / "empty" / "notes.txt").write_text("")
    assert segment(tmp_path / "empty") == 1
    err = capsys.readouterr().err
    assert "No photograph in" in err and "notes.txt" in err and "deeper" in err
    assert not (tmp_path / "out").exists()


def test_a_pattern_that_the_shell_did_not_expand(folder, segment, tmp_path, capsys):
    assert segment(folder / "*.png", folder / "*.bmp") == 1
    assert made(tmp_path) == ["one_vessels.png"]
    assert f"No file matches {folder / '*.bmp'}." in capsys.readouterr().err


def test_a_file_with_brackets_in_its_name_is_no_pattern(photo, segment, tmp_path):
    photo.rename(tmp_path / "eye[1].png")
    assert segment(tmp_path / "eye[1].png") == 0
    assert made(tmp_path) == ["eye[1]_vessels.png"]


def test_names_of_numbers_are_not_cut_off(photo, segment, tmp_path):
    for name in ("1.2.840.1", "1.2.840.2"):
        (tmp_path / name).write_bytes(photo.read_bytes())
    assert segment(tmp_path / "1.2.840.1", tmp_path / "1.2.840.2") == 0
    assert made(tmp_path) == ["1.2.840.1_vessels.png", "1.2.840.2_vessels.png"]


def test_a_name_in_another_encoding(photo, segment, tmp_path, capsys):
    name = b"Gr\xfcn.png".decode("utf-8", "surrogateescape")
    try:
        (tmp_path / name).write_bytes(photo.read_bytes())
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes UTF-8 names only")
    assert segment(tmp_path / name) == 0 and len(made(tmp_path)) == 1
    with (tmp_path / "out" / "segment.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["photograph"].endswith(r"Gr\xfcn.png") and row["output"] == r"Gr\xfcn"
    capsys.readouterr()
    assert segment(tmp_path / name) == 0 and "done before" in capsys.readouterr().out


def test_a_photograph_given_twice_is_looked_at_once(folder, segment, capsys):
    assert segment(folder / "one.png", folder / "one.png", folder) == 0
    assert capsys.readouterr().out.count("one.png") == 1


# --- masks ---------------------------------------------------------------------------------------


@pytest.fixture
def masks(tmp_path, folder):
    """A mask that leaves out the upper half, for each photograph of the folder."""
    here = tmp_path / "fields"
    here.mkdir()
    mask = np.zeros((120, 120), np.uint8)
    mask[60:100, 20:100] = 255
    for name in ("one.png", "TWO_mask.tif", "three_fov.bmp"):
        Image.fromarray(mask).save(here / name)
    return here


@pytest.mark.parametrize("one_for_all", [True, False])
def test_a_mask_is_the_field_of_view(one_for_all, folder, masks, segment, tmp_path, capsys):
    assert segment(folder, "--field-of-view", masks / "one.png" if one_for_all else masks) == 0
    with Image.open(tmp_path / "out" / "three_probability.png") as result:
        assert np.asarray(result)[:60].max() == 0 < np.asarray(result)[60:100, 20:100].min()
    assert "field of view 80 across" in capsys.readouterr().out


def test_masks_that_are_missing_are_named_before_anything_is_written(
    folder, masks, segment, tmp_path, capsys
):
    (masks / "one.png").unlink()
    assert segment(folder, "--field-of-view", masks) == 1
    assert f"None or several for: {folder / 'one.png'}." in capsys.readouterr().err
    assert segment(folder, "--field-of-view", tmp_path / "nowhere") == 1
    assert "There is no mask" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_masks_beside_the_photographs_are_no_photographs(folder, masks, segment, tmp_path):
    for mask in masks.iterdir():
        mask.rename(folder / (mask.name if mask.stem != "one" else "one_mask.png"))
    assert segment(folder, "--field-of-view", folder) == 0 and len(made(tmp_path)) == 3


def test_a_mask_of_another_size_is_an_error(folder, masks, segment, capsys):
    Image.new("L", (60, 60), 255).save(masks / "one.png")
    assert segment(folder / "one.png", "--field-of-view", masks) == 1
    err = capsys.readouterr().err
    assert "one.png: the photograph is 120x120, its mask" in err and "60x60" in err


def test_the_diameter_of_a_patch_gives_its_scale(segment, detector_file, tmp_path, capsys):
    whole, _ = photograph(size=300)
    Image.fromarray(whole[100:200, 100:200]).save(tmp_path / "patch.png")
    assert segment(tmp_path / "patch.png") == 0
    assert "No dark border was found" in capsys.readouterr().err
    assert segment(tmp_path / "patch.png", "--fov-diameter", 252) == 0
    assert "No dark border" not in capsys.readouterr().err  # and it was not skipped
    assert segment(tmp_path / "patch.png", "--fov-diameter", 50) == 1
    assert "100 pixels of it are in the picture" in capsys.readouterr().err
    arguments = ("-o", tmp_path / "out", "--weights", detector_file, "--fov-diameter", 252)
    assert run("detect", tmp_path / "patch.png", *arguments) == 0
    boxes = json.loads((tmp_path / "out" / "patch_boxes.json").read_text())["detections"]
    assert boxes and all(max(row["box"]) <= 100 for row in boxes)
