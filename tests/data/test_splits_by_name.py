"""Which photographs are training and which are test, by name, with their files and patients."""

import hashlib
import os

import pytest
from published_layouts import LAYOUTS, make_folder, save, vessels

from retina_course.data.datasets import DRIVE, HRF, STARE, ChaseDB1, ImageFolder, split_by_patient

CHILDREN = [f"{number:02d}" for number in range(1, 15)]
SPLITS = {
    ChaseDB1: (
        [f"Image_{child}{eye}" for child in CHILDREN[:4] for eye in "LR"],
        [f"Image_{child}{eye}" for child in CHILDREN[4:] for eye in "LR"],
    ),
    HRF: (
        [f"{n:02d}_{group}" for n in (1, 2, 3, 4, 5) for group in ("dr", "g", "h")],
        [f"{n:02d}_{group}" for n in range(6, 16) for group in ("dr", "g", "h")],
    ),
    STARE: (
        "im0001 im0002 im0003 im0004 im0005 im0044 im0077 im0081 im0082 im0139".split(),
        "im0162 im0163 im0235 im0236 im0239 im0240 im0255 im0291 im0319 im0324".split(),
    ),
    DRIVE: (
        [f"{n}_training" for n in range(21, 41)],
        [f"{n:02d}_test" for n in range(1, 21)],
    ),
}
FILES = {  # of the first training photograph: image, first observer, second observer, field of view
    ChaseDB1: ("Image_01L.jpg", "Image_01L_1stHO.png", "Image_01L_2ndHO.png", None),
    HRF: ("images/01_dr.JPG", "manual1/01_dr.tif", None, "mask/01_dr_mask.tif"),
    STARE: (
        "stare-images/im0001.ppm",
        "labels-ah/im0001.ah.ppm",
        "labels-vk/im0001.vk.ppm",
        None,
    ),
    DRIVE: (
        "training/images/21_training.tif",
        "training/1st_manual/21_manual1.gif",
        None,
        "training/mask/21_training_mask.gif",
    ),
}
by_name = pytest.mark.parametrize("loader", SPLITS, ids=lambda loader: loader.__name__)


@by_name
def test_the_splits(loader, tmp_path):
    LAYOUTS[loader](tmp_path)
    for split, expected in zip(("train", "test"), SPLITS[loader], strict=True):
        assert [record.name for record in loader(tmp_path, split).records] == expected
    default = loader(tmp_path)
    assert [record.name for record in default.records] == SPLITS[loader][0]
    record = default.records[0]
    paths = (record.image, record.ground_truth, record.second_observer, record.fov)
    named = [path and path.relative_to(tmp_path).as_posix() for path in paths]
    assert named == list(FILES[loader])


def test_both_eyes_of_a_child_are_one_patient(tmp_path):
    data = ChaseDB1(LAYOUTS[ChaseDB1](tmp_path), "all")
    assert data.patients == [child for child in CHILDREN for _ in "LR"]
    rest, held_out = split_by_patient(data, ["02", "14"])
    assert [data.records[i].name[6:] for i in held_out.indices] == ["02L", "02R", "14L", "14R"]
    assert len(rest) == 24 and not set(rest.indices) & set(held_out.indices)


def test_the_second_observer_of_drive_s_test_half(tmp_path):
    LAYOUTS[DRIVE](tmp_path)
    for number in range(1, 21):
        save(tmp_path / f"test/2nd_manual/{number:02d}_manual2.gif", vessels(column=13))
    record = DRIVE(tmp_path, "test").records[2]
    assert record.second_observer == tmp_path / "test/2nd_manual/03_manual2.gif"
    assert record.ground_truth == tmp_path / "test/1st_manual/03_manual1.gif"
    assert record.fov == tmp_path / "test/mask/03_test_mask.gif"


def test_a_digest_is_of_names_and_bytes_in_the_order_of_the_names(tmp_path):
    """Stored results name digests: their rule must not change."""
    for name in ("b", "a"):  # whatever the order on the disk
        save(tmp_path / f"images/{name}.png", vessels())
        save(tmp_path / f"masks/{name}.png", vessels())
    data = ImageFolder(tmp_path)
    names = ["images/a.png", "images/b.png", "masks/a.png", "masks/b.png"]
    one = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in names}
    text = "".join(f"{one[name]}  {name}\n" for name in names)
    assert data.digest() == hashlib.sha256(text.encode()).hexdigest()
    data.records.reverse()
    assert data.digest() == hashlib.sha256(text.encode()).hexdigest()
    assert data.image_digests() == {"a": one["images/a.png"], "b": one["images/b.png"]}


def test_names_that_are_no_text_have_different_digests(tmp_path):
    digests = set()
    for name in (b"Gr\xfcn", b"Gr\xf6n"):
        root = make_folder(tmp_path / name.hex())
        path = os.fsencode(root / "images") + b"/" + name + b".png"
        try:
            os.rename(root / "images/b.png", path)
        except OSError:
            pytest.skip("this file system takes no such names")
        os.rename(root / "masks/b_mask.tif", os.fsencode(root / "masks") + b"/" + name + b".tif")
        digests.add(ImageFolder(root).digest())
    assert len(digests) == 2
