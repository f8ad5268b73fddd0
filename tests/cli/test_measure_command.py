"""`retina-course measure`: rows, errors, masks, scales, what is never overwritten."""

import csv

import numpy as np
import pytest
from command_line import photograph, run
from PIL import Image

from retina_course.cli import measured_errors
from retina_course.data.synthetic import draw_tubes

ERRORS = {"bias_percent": 1.5, "low_percent": -8.0, "high_percent": 11.0, "n": 20}
ERRORS |= {"mean_first": 1.1}
COLUMNS = ("area_density_percent", "calibre_mean_px", "tortuosity_arc_chord")


@pytest.fixture(autouse=True)
def stored(monkeypatch, weights_file):
    """A small validation, in which the weights of these tests are known."""
    from retina_course import weights

    known = {column: ERRORS for column in COLUMNS}
    network = {"agreement": known, "width_correction": {"offset_px": -0.5}}
    digest = weights.load(weights_file)[1].get("sha256")
    content = {
        "columns": list(COLUMNS),
        "pixels_per_degree": 10.0,
        "observers_all": known,
        "networks": {"mine": {"weights_sha256": digest, "mask": network}},
    }
    monkeypatch.setattr(measured_errors.results, "read", lambda name: content)


@pytest.fixture
def mask(tmp_path):
    path = tmp_path / "vessels.png"
    lines = [np.array([[-5.0, 60.5], [125, 60.5]]), np.array([[60.5, 60.5], [60.5, -5]])]
    Image.fromarray(draw_tubes(lines, [6, 4], (120, 120)) >= 0.5).save(path)
    return path


def rows(path):
    with path.open(newline="") as file:
        return {row["output"]: row for row in csv.DictReader(file)}


def measure(*arguments, weights, out):
    return run("measure", *arguments, "-o", out, "--weights", weights, "--disc", "none")


def test_a_photograph_has_a_row_a_picture_and_the_errors_of_its_network(
    photo, weights_file, tmp_path, capsys
):
    table = tmp_path / "out" / "eyes.csv"
    assert measure(photo, weights=weights_file, out=table) == 0
    assert sorted(p.name for p in table.parent.iterdir()) == ["eyes.csv", "eyes_pictures"]
    picture = Image.open(table.parent / "eyes_pictures" / "eye_measured.jpg")
    assert picture.size[0] == 120 and picture.size[1] > 120
    row = rows(table)["eye"]
    assert row["input"] == "photograph" and row["scale_is"] == "assumed"
    assert "Field angle of 45 degrees assumed" in row["flags"]
    assert row["calibre_mean_px_low_percent"] == "-8.0"
    assert row["validation"].startswith("mine against an observer")
    assert "Not a medical device" in capsys.readouterr().out


def test_arc_by_chord_has_the_error_of_what_is_above_1(mask, weights_file, tmp_path, capsys):
    """The ratio of a straight vessel is 1: 8 percent of 1.1 are 88 percent of 0.1."""
    table = tmp_path / "eyes.csv"
    assert measure(mask, weights=weights_file, out=table) == 0
    row = rows(table)["vessels"]
    ratio, above = (row[f"tortuosity_arc_chord{end}"] for end in ("", "_minus_1"))
    assert float(above) == pytest.approx(float(ratio) - 1, abs=1e-4)
    assert row["tortuosity_arc_chord_minus_1_low_percent"] == "-88.0"
    assert "tortuosity_arc_chord_low_percent" not in row
    assert f"arc/chord - 1 = {float(above):.3g} (-88 to +121 %)" in capsys.readouterr().out


def test_a_mask_is_known_as_one_and_measured_without_the_network(mask, weights_file, tmp_path):
    table = tmp_path / "eyes.csv"
    more = ("--field-angle", "30", "--microns-per-pixel", "9")
    assert measure(mask, *more, weights=weights_file, out=table) == 0
    row = rows(table)["vessels"]
    assert row["input"] == "mask" and row["validation"].startswith("two observers")
    assert float(row["area_density_percent"]) == pytest.approx(100 * (720 + 4 * 57.5) / 14400, 0.02)
    assert float(row["calibre_p90_px"]) == pytest.approx(6, rel=0.03)
    assert row["branch_points_count"] == "1" and row["calibre_mean_corrected_px"] == ""
    assert float(row["photograph_pixels_per_degree"]) == 4
    network = ("weights", "weights_sha256", "threshold", "flips", "pixels_per_degree")
    assert [row[name] for name in network] == [""] * len(network)
    mean = float(row["calibre_mean_px"])
    assert float(row["calibre_mean_arcmin"]) == pytest.approx(15 * mean, rel=1e-3)
    assert float(row["calibre_mean_um"]) == pytest.approx(9 * mean, rel=1e-3)


def test_a_table_of_discs_gives_zones_and_the_scale(mask, weights_file, tmp_path):
    discs, table = tmp_path / "discs.csv", tmp_path / "eyes.csv"
    discs.write_text("file,x,y,diameter\nvessels.png,60,60,20\n")
    more = ("--disc", discs, "--disc-diameter", "1800")
    assert run("measure", mask, "-o", table, "--weights", weights_file, *more) == 0
    row = rows(table)["vessels"]
    assert row["zone_b_vessels_count"] == "3" and row["microns_per_pixel"] == "90"
    assert "No disc is given" not in row["flags"]
    discs.write_text("file,x,y,diameter\nVessels.jpg,60,60,20\n")
    assert run("measure", mask, "-o", table, "--weights", weights_file, *more) == 0
    row = rows(table)["vessels"]
    assert "No disc is given for vessels.png" in row["flags"]
    assert row["zone_b_vessels_count"] == ""
    discs.write_text("file,x,y\nvessels.png,60,60\n")
    assert run("measure", mask, "-o", table, "--weights", weights_file, *more) == 1


def test_arteries_and_veins_by_colour(weights_file, tmp_path):
    lines = [np.array([[60.5, 60.5], end]) for end in ([125, 60.5], [-5, 60.5])]
    cross = [line[:, ::-1] for line in lines]
    kinds = [draw_tubes(part, [5, 5], (120, 120)) >= 0.5 for part in (lines, cross)]
    rgb = np.zeros((120, 120, 3), np.uint8)
    rgb[kinds[0], 0] = rgb[kinds[1], 2] = 255
    rgb[kinds[0] & kinds[1]] = (0, 255, 0)
    Image.fromarray(rgb).save(tmp_path / "av.png")
    discs, table = tmp_path / "discs.csv", tmp_path / "eyes.csv"
    discs.write_text("file,x,y,diameter\nav.png,60.5,60.5,20\n")
    more = ("--disc", discs, "--weights", weights_file)
    assert run("measure", tmp_path / "av.png", "-o", table, *more) == 0
    row = rows(table)["av"]
    assert float(row["avr"]) == pytest.approx(0.88 / 0.95, rel=0.03)
    assert "six arteries" in row["flags"]


def test_a_second_call_skips_what_is_done_unless_a_setting_changes(
    mask, weights_file, tmp_path, capsys
):
    table = tmp_path / "eyes.csv"
    measure(mask, weights=weights_file, out=table)
    measure(mask, "--threshold", "0.3", weights=weights_file, out=table)
    assert "done before" in capsys.readouterr().out  # a mask has no threshold
    measure(mask, "--microns-per-pixel", "9", weights=weights_file, out=table)
    assert "done before" not in capsys.readouterr().out


def test_a_photograph_is_measured_again_with_another_threshold(
    photo, weights_file, tmp_path, capsys
):
    table = tmp_path / "eyes.csv"
    for threshold, done in (("0.3", False), ("0.3", True), ("0.4", False)):
        measure(photo, "--threshold", threshold, weights=weights_file, out=table)
        assert ("done before" in capsys.readouterr().out) is done
    assert rows(table)["eye"]["threshold"] == "0.4" and rows(table)["eye"]["flips"] == "True"


def test_maps_of_segment_are_measured_and_other_results_are_not(photo, weights_file, tmp_path):
    found = tmp_path / "found"
    assert run("segment", photo, "-o", found, "--weights", weights_file) == 0
    table = tmp_path / "eyes.csv"
    measure(found, weights=weights_file, out=table)
    assert list(rows(table)) == ["eye_vessels"]


def test_no_foreign_file_is_replaced(photo, weights_file, tmp_path, capsys):
    table = tmp_path / "eyes.csv"
    table.write_text("my,own\n1,2\n")
    assert measure(photo, weights=weights_file, out=table) == 1
    err = capsys.readouterr().err
    assert "not made by retina-course measure" in err and "Give another output (-o)" in err
    assert table.read_text() == "my,own\n1,2\n"


def test_the_table_may_be_a_folder_too_and_the_help_says_so(photo, weights_file, tmp_path, capsys):
    out = tmp_path / "out"
    assert measure(photo, "--no-flips", weights=weights_file, out=out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["eye_measured.jpg", "measure.csv"]
    with pytest.raises(SystemExit):
        run("measure", "--help")
    told = " ".join(capsys.readouterr().out.split())
    assert "-o DIR_OR_CSV" in told
    assert "NAME.csv, with the pictures in NAME_pictures beside it; or a folder for both" in told


def test_an_inverted_mask_is_an_error_that_says_so(weights_file, tmp_path, capsys):
    Image.fromarray(~photograph()[1]).save(tmp_path / "inverted.png")
    table = tmp_path / "eyes.csv"
    assert measure(tmp_path / "inverted.png", weights=weights_file, out=table) == 1
    assert "white vessels on black" in capsys.readouterr().err
    assert "invert it" in rows(table)["inverted"]["error"]


@pytest.mark.parametrize(
    "wrong", [("--disc", "no.csv"), ("--microns-per-pixel", "0"), ("--inputs", "both")]
)
def test_options_that_cannot_be_understood(wrong, mask, tmp_path):
    with pytest.raises(SystemExit) as stop:
        run("measure", mask, "-o", tmp_path / "eyes.csv", *wrong)
    assert stop.value.code == 2
