"""Results never replace a photograph, nor a file that the command did not make."""

import csv
import os
from hashlib import sha256

import pytest
from command_line import run
from PIL import Image


def contents(folder):
    return {p: sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(params=["segment", "detect"])
def command(request, weights_file, detector_file):
    """A command, the ending of one of its results, and its weights."""
    kind = request.param
    ending = {"segment": "vessels.png", "detect": "boxes.jpg"}[kind]
    return kind, ending, {"segment": weights_file, "detect": detector_file}[kind]


def refused(command, photos, out, capsys, *names):
    kind, _, weights = command
    before = contents(out.parent)
    assert run(kind, *photos, "-o", out, "--weights", weights, "--no-flips") == 1
    assert contents(out.parent) == before
    message = capsys.readouterr().err
    assert all(str(name) in message for name in names), message
    assert "Nothing was written" in message and "(-o)" in message
    return True


def test_a_result_never_replaces_a_photograph(command, photo, capsys):
    second = photo.with_name(f"eye_{command[1]}")
    Image.open(photo).save(second)
    assert refused(command, (photo, second), photo.parent, capsys, photo, second)


def test_nor_through_a_link_or_another_folder(command, photo, tmp_path, capsys):
    second, out = tmp_path / "second.png", tmp_path / "out"
    second.write_bytes(photo.read_bytes())
    out.mkdir()
    for link in (os.symlink, os.link):
        result = out / f"eye_{command[1]}"
        link(second, result)
        assert refused(command, (photo, second), out, capsys, second)
        result.unlink()
    (tmp_path / "way").symlink_to(out)
    (out / f"eye_{command[1]}").write_bytes(photo.read_bytes())
    assert refused(command, (photo,), tmp_path / "way", capsys, f"eye_{command[1]}")


@pytest.mark.parametrize("place", ["result", "table", "folder", "link to nowhere"])
def test_a_foreign_file_is_never_replaced(command, place, photo, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    name = f"{command[0]}.csv" if place == "table" else f"eye_{command[1]}"
    if place == "folder":
        (out / name).mkdir()
    elif place == "link to nowhere":
        (out / name).symlink_to(tmp_path / "nowhere")
    else:
        (out / name).write_text("photograph,error\nmine,\n")
    assert refused(command, (photo,), out, capsys, out / name)


def test_results_of_one_command_are_foreign_to_the_other(weights_file, photo, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("segment", photo, "-o", out, "--weights", weights_file) == 0
    (out / "segment.csv").rename(out / "detect.csv")
    assert run("detect", photo, "-o", out, "--no-flips") == 1
    assert "detect.csv (not made by retina-course detect)" in capsys.readouterr().err


def test_into_the_same_folder_again(command, photo, capsys):
    kind, ending, weights = command
    here = photo.parent / "here"
    here.mkdir()
    photo = photo.rename(here / "eye.png")
    arguments = ("-o", here, "--weights", weights, "--no-flips")
    assert run(kind, photo, *arguments) == 0
    first = contents(here)
    capsys.readouterr()
    for given in (here, here / "*.*", photo):  # the results lie beside the photograph now
        assert run(kind, given, *arguments, "--threshold", "0.7") == 0
    out, err = capsys.readouterr()
    assert "made by retina-course, skipped" in err and f"eye_{ending}" in err
    assert set(contents(here)) == set(first)  # no results of results
    assert contents(here)[photo] == first[photo]


def test_results_alone_are_no_photographs(command, photo, tmp_path, capsys):
    kind, ending, weights = command
    out = tmp_path / "out"
    assert run(kind, photo, "-o", out, "--weights", weights, "--no-flips") == 0
    assert run(kind, out / f"eye_{ending}", "-o", out, "--weights", weights) == 1
    assert "No photograph in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "names", [("eye.png", "eye.tif"), ("eye.png", "EYE.png"), ("\u00e9.png", "e\u0301.png")]
)
def test_two_photographs_with_the_same_results(command, names, photo, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in names:
        Image.open(photo).save(folder / name)
    if len(list(folder.iterdir())) < 2:
        pytest.skip("this file system takes the two names for one")
    arguments = (folder, "-o", tmp_path / "out", "--weights", command[2], "--no-flips")
    assert run(command[0], *arguments) == 1
    told = "would write the same files. Rename one of them; none of them was looked at.\n"
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    Image.open(photo).save(folder / "other.png")  # is done all the same
    assert run(command[0], *arguments) == 1
    err = capsys.readouterr().err
    assert told in err and "2 of 3 photographs failed: " in err
    assert all(str(folder / name) in err.splitlines()[-1] for name in names)
    with (tmp_path / "out" / f"{command[0]}.csv").open(encoding="utf-8", newline="") as file:
        assert [row["output"] for row in csv.DictReader(file)] == ["other"]
    assert {path.name.split("_")[0] for path in (tmp_path / "out").glob("*_*")} == {"other"}


def test_another_photograph_of_the_same_name_later(command, photo, tmp_path, capsys):
    kind, _, weights = command
    other = tmp_path / "other" / "eye.png"
    other.parent.mkdir()
    Image.open(photo).rotate(90).save(other)
    arguments = ("-o", tmp_path / "out", "--weights", weights, "--no-flips")
    assert run(kind, photo, *arguments) == 0
    before = contents(tmp_path)
    assert run(kind, other, *arguments) == 1
    assert f"results of another photograph eye, {photo}" in capsys.readouterr().err
    assert contents(tmp_path) == before
    Image.open(other).save(photo)  # changed in its place: that is the same photograph
    assert run(kind, photo, *arguments) == 0


def test_a_name_that_would_be_too_long(command, photo, tmp_path, capsys):
    for name in ("x" * 245, "\u00fc" * 124):  # 124 letters of two bytes
        photo = photo.rename(tmp_path / f"{name}.png")
        assert run(command[0], photo, "-o", tmp_path / "out", "--weights", command[2]) == 1
        assert "would be too long" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_folder_of_the_results_that_is_a_file(command, photo, tmp_path, capsys):
    kind, _, weights = command
    for out in (photo, photo / "deeper"):
        assert run(kind, photo, "-o", out, "--weights", weights) == 1
        assert f"{photo} is a file; results need a folder of this name" in capsys.readouterr().err
    nested = tmp_path / "photos" / "sub"
    nested.mkdir(parents=True)
    photo.rename(nested / "eye.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").write_text("mine")
    arguments = (nested.parent, "--recursive", "-o", tmp_path / "out", "--weights", weights)
    assert run(kind, *arguments) == 1
    assert "sub (not a folder)" in capsys.readouterr().err
