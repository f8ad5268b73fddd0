"""The loaders on small synthetic files in each published layout, and on the real CHASE_DB1."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from published_layouts import (
    LAYOUTS,
    SIZE,
    disc,
    make_chase,
    make_drive,
    make_fives,
    make_hrf,
    make_stare,
    published,
    save,
    vessels,
)

from retina_course.data.datasets import DRIVE, FIVES, HRF, STARE, ChaseDB1, DatasetError
from retina_course.data.published import PublishedPhotographs

DATA = os.environ.get("RETINA_COURSE_DATA")
needs_chase = pytest.mark.skipif(
    not DATA or not Path(DATA, "CHASE_DB1").is_dir(),
    reason="RETINA_COURSE_DATA does not hold CHASE_DB1",
)
COUNTS = {
    ChaseDB1: (8, 20),
    HRF: (15, 30),
    STARE: (10, 10),
    DRIVE: (20, 20),
    FIVES: (600, 200),
}
ANGLES = {ChaseDB1: 30, HRF: 60, STARE: 35, DRIVE: 45, FIVES: 50}


@published
def test_splits_are_the_published_ones_and_share_no_patient(loader, tmp_path):
    make = LAYOUTS[loader]
    make(tmp_path)
    train, test, every = (loader(tmp_path, split) for split in ("train", "test", "all"))
    assert (len(train), len(test)) == COUNTS[loader]
    assert not set(train.patients) & set(test.patients)
    names = [{record.name for record in data.records} for data in (train, test, every)]
    assert names[0] | names[1] == names[2] and len(names[2]) == len(every)
    assert len({data.digest() for data in (train, test, every)}) == 3


@published
def test_photograph_has_the_promised_types_and_pixels(loader, tmp_path):
    LAYOUTS[loader](tmp_path)
    photo = loader(tmp_path)[0]
    assert photo.image.dtype == np.uint8 and photo.image.shape == (*SIZE, 3)
    assert photo.image.flags.writeable  # torch.from_numpy warns otherwise
    assert photo.image[10, 12, 0] > 150 > photo.image[10, 12, 2]
    assert photo.ground_truth.dtype == photo.fov.dtype == bool
    assert np.array_equal(photo.ground_truth, vessels() > 0)
    assert photo.fov.shape == SIZE and photo.fov[10, 12] and not photo.fov[0, 0]
    if loader in (HRF, DRIVE):  # a given field of view is used as it is
        assert np.array_equal(photo.fov, disc() > 0) and photo.second_observer is None
    elif loader is FIVES:
        assert photo.second_observer is None
    else:
        assert np.array_equal(photo.second_observer, vessels(column=13) > 0)
    assert photo.field_angle == ANGLES[loader]


def test_first_photographs_of_each_split(tmp_path):
    hrf = HRF(make_hrf(tmp_path / "hrf"))
    assert [r.name for r in hrf.records[:4]] == ["01_dr", "01_g", "01_h", "02_dr"]
    assert {r.name[:2] for r in hrf.records} == {"01", "02", "03", "04", "05"}
    stare = STARE(make_stare(tmp_path / "stare"), "test")
    assert [stare.records[i].name for i in (0, -1)] == ["im0162", "im0324"]
    assert DRIVE(make_drive(tmp_path / "drive"))[0].name == "21_training"


def test_fives_takes_the_condition_from_the_file_names(tmp_path):
    make_fives(tmp_path)
    names = [record.name for record in FIVES(tmp_path, "test").records]
    assert names[:2] == ["test_1_A", "test_2_A"] and names[-1] == "test_200_N"
    assert [sum(name.endswith(c) for name in names) for c in "ADGN"] == [50] * 4
    for kind in ("Original", "Ground truth"):  # whatever the order of the conditions is
        (tmp_path / f"test/{kind}/7_A.png").rename(tmp_path / f"test/{kind}/7_G.png")
    assert FIVES(tmp_path, "test")[6].name == "test_7_G"
    (tmp_path / "test/Original/7_G.png").unlink()
    with pytest.raises(DatasetError, match="test/Original/7_G.png"):
        FIVES(tmp_path, "test")
    (tmp_path / "test/Ground truth/7_G.png").unlink()
    with pytest.raises(DatasetError, match=r"test/Original/7_\?.png"):
        FIVES(tmp_path, "test")


def test_stare_reads_gzipped_files(tmp_path):
    plain, packed = make_stare(tmp_path / "plain"), make_stare(tmp_path / "packed", gz=".gz")
    assert np.array_equal(STARE(plain)[3].image, STARE(packed)[3].image)
    assert np.array_equal(STARE(plain)[3].second_observer, STARE(packed)[3].second_observer)


def test_drive_without_test_labels_trains_and_says_why_it_cannot_test(tmp_path):
    make_drive(tmp_path)
    shutil.rmtree(tmp_path / "test/1st_manual")
    assert len(DRIVE(tmp_path)) == 20
    with pytest.raises(DatasetError, match="official download may come without the labels"):
        DRIVE(tmp_path, "test")
    shutil.rmtree(tmp_path / "test")
    assert len(DRIVE(tmp_path)) == 20


def test_drive_reads_the_second_observer_where_it_is_there(tmp_path):
    make_drive(tmp_path)
    for number in range(1, 21):  # as published: 0 and 1, where the first observer has 0 and 255
        path = tmp_path / f"test/2nd_manual/{number:02d}_manual2.gif"
        save(path, vessels(column=13) // 255)
    assert np.array_equal(DRIVE(tmp_path, "test")[0].second_observer, vessels(column=13) > 0)
    assert DRIVE(tmp_path, "train")[0].second_observer is None


@published
def test_one_error_lists_everything_that_is_missing(loader, tmp_path):
    LAYOUTS[loader](tmp_path)
    records = loader(tmp_path, "all").records
    gone = [records[0].image, records[-1].ground_truth]
    for path in gone:
        path.unlink()
    empty = records[1].image
    empty.write_bytes(b"")
    with pytest.raises(DatasetError) as caught:
        loader(tmp_path, "all")
    message = str(caught.value)
    assert "3 file(s)" in message and f"{empty.relative_to(tmp_path).stem}" in message
    assert all(path.stem in message for path in gone) and "(an empty file)" in message
    for record in records:
        record.ground_truth.unlink(missing_ok=True)
    with pytest.raises(DatasetError, match=f"and {len(records) + 2 - 10} more") as caught:
        loader(tmp_path, "all")
    assert str(caught.value).count("\n  ") == 10 + 1


@published
def test_without_a_folder_the_error_says_what_to_do(loader, tmp_path, monkeypatch):
    monkeypatch.delenv("RETINA_COURSE_DATA", raising=False)
    with pytest.raises(DatasetError, match="RETINA_COURSE_DATA"):
        loader()
    with pytest.raises(DatasetError, match="There is no folder"):
        loader(tmp_path / "nowhere")
    monkeypatch.setenv("RETINA_COURSE_DATA", str(tmp_path))
    LAYOUTS[loader](tmp_path / loader.folder)
    assert len(loader()) == COUNTS[loader][0]
    with pytest.raises(ValueError, match="one of 'train', 'test', 'all', got 'valid'"):
        loader(split="valid")


def test_constructors_and_import_use_no_network(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a loader opened a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(DatasetError, match="download_chase_db1"):
        ChaseDB1(tmp_path / "CHASE_DB1")
    assert ChaseDB1(make_chase(tmp_path / "synthetic"))[0].name == "Image_01L"


def test_every_published_loader_is_tested():
    assert set(PublishedPhotographs.__subclasses__()) == set(LAYOUTS)


def f1(ground_truth: np.ndarray, prediction: np.ndarray) -> float:
    return 2 * (ground_truth & prediction).sum() / (ground_truth.sum() + prediction.sum())


@needs_chase
def test_real_chase_db1_gives_the_published_agreement_of_its_observers():
    train, test = ChaseDB1(split="train"), ChaseDB1(split="test")
    assert train.patients == [f"{child:02d}" for child in (1, 2, 3, 4) for _ in "LR"]
    photos = [*train, *test]
    assert all(photo.image.shape == (960, 999, 3) for photo in photos)
    assert all(photo.second_observer.shape == (960, 999) for photo in photos)
    assert all(0.6 < photo.fov.mean() < 0.8 for photo in photos)
    pairs = [
        (photo.ground_truth[photo.fov], photo.second_observer[photo.fov]) for photo in photos[8:]
    ]
    pooled = f1(*(np.concatenate(masks) for masks in zip(*pairs, strict=True)))
    assert round(pooled, 3) == 0.782
    assert round(float(np.mean([f1(*pair) for pair in pairs])), 3) == 0.783


@needs_chase
def test_real_chase_db1_has_the_digests_that_results_name():
    # Results carry these digests: if the rule changes, so must every stored result.
    assert ChaseDB1(split="train").digest()[:12] == "522558434246"
    assert ChaseDB1(split="test").digest()[:12] == "b2ee2b1637eb"
