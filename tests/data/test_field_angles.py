"""Field angles: what is refused, and which photograph gets which."""

from pathlib import Path

import pytest
from published_layouts import make_drive, make_folder

from retina_course.data.datasets import DRIVE, ImageFolder
from retina_course.data.field_angles import check_field_angle, field_angles_of, read_field_angles


@pytest.mark.parametrize("angle", [1e-3, 30, "45", 59.5, 200])
def test_an_angle_is_a_number_of_degrees_up_to_200(angle):
    assert check_field_angle(angle) == float(angle)


@pytest.mark.parametrize(
    "angle", [0, -45, 200.1, float("nan"), float("inf"), "wide", "", None, True, [45]]
)
def test_everything_else_is_refused_and_named(angle):
    with pytest.raises(ValueError, match="in degrees, above 0 and at most 200.*got") as caught:
        check_field_angle(angle)
    assert repr(angle) in str(caught.value)


def test_one_angle_for_all_or_the_longest_name_that_fits():
    files = [Path("/p/visit1/eye.jpg"), Path("/p/visit2/EYE.JPG"), Path("other.png")]
    assert field_angles_of(files, 50) == ([50, 50, 50], [])
    given = {"eye.jpg": 30, "visit2/eye.jpg": 45, "other.png": 60, "no.png": 35, "ye.jpg": 20}
    assert field_angles_of(files, given) == ([30, 45, 60], ["no.png", "ye.jpg"])
    assert field_angles_of(files[1:2], {"visit2\\eye.jpg": 45}) == ([45], [])
    with pytest.raises(ValueError, match=r"for visit2.a.jpg, b.jpg\. Add a row"):
        field_angles_of([Path("visit2/a.jpg"), Path("c.jpg"), Path("b.jpg")], {"c.jpg": 45})
    with pytest.raises(ValueError, match="at most 200.*got -1"):
        field_angles_of([Path("c.jpg")], {"c.jpg": -1})


def test_a_table_is_read_whatever_else_it_holds(tmp_path):
    path = tmp_path / "angles.csv"
    path.write_bytes("\ufefffile,camera,degrees\na.jpg,Canon,45\n".encode() + b"b.jpg,,50.5\n")
    assert read_field_angles(path) == {"a.jpg": 45, "b.jpg": 50.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,degrees\na.jpg,45\n", "columns name, degrees; expected file and degrees"),
        ("file;degrees\na.jpg;45\n", "columns file;degrees; expected"),
        ("", "columns none"),
        ("file,degrees\na.jpg,45\nb.jpg,wide\n", "line 3, b.jpg: .*got 'wide'"),
        ("file,degrees\na.jpg\n", "line 2, a.jpg: .*got None"),
        ("file,degrees\na.jpg,0\n", "line 2, a.jpg: .*got '0'"),
        ("file,degrees\na.jpg,45\na.jpg,50\n", "line 3: a.jpg stands twice"),
        ("file,degrees\n,45\n", "line 2: no file"),
        ("file,degrees\n\udcff,45\n", "cannot be read as a table"),
    ],
)
def test_a_wrong_table_is_refused_by_line(tmp_path, text, message):
    path = tmp_path / "angles.csv"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=message):
        read_field_angles(path)
    with pytest.raises(ValueError, match="cannot be read as a table"):
        read_field_angles(tmp_path / "nowhere.csv")


def test_a_folder_carries_the_angles_that_it_is_given(tmp_path):
    make_folder(tmp_path)
    assert ImageFolder(tmp_path)[0].field_angle is None
    assert ImageFolder(tmp_path, field_angle=45)[1].field_angle == 45
    mixed = ImageFolder(tmp_path, field_angle={"a.JPG": 30, "b.png": 50})
    assert [photo.field_angle for photo in mixed] == [30, 50] == mixed.field_angles
    with pytest.raises(ValueError, match="No field angle is given for .*b.png"):
        ImageFolder(tmp_path, field_angle={"a.JPG": 30})
    with pytest.raises(ValueError, match="got 0"):
        ImageFolder(tmp_path, field_angle=0)


def test_a_published_set_can_be_told_another_angle(tmp_path):
    drive = DRIVE(make_drive(tmp_path))
    assert set(drive.field_angles) == {45}
    digest = drive.digest()
    assert drive.set_field_angles(40) == [] and drive[0].field_angle == 40
    assert drive.digest() == digest  # the files are the same
