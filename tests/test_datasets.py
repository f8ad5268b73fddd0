"""The loaders on small made files in each published layout, and on the real CHASE_DB1."""

import gzip
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.draw import disk

from retina_course.data.datasets import (
    DRIVE,
    HRF,
    STARE,
    ChaseDB1,
    DatasetError,
    ImageFolder,
    field_of_view,
    split_by_patient,
)
from retina_course.data.photographs import PublishedPhotographs
from retina_course.data.reading import read_mask, read_rgb

SIZE = (20, 24)  # height, width of the made photographs
DATA = os.environ.get("RETINA_COURSE_DATA")
needs_chase = pytest.mark.skipif(
    not DATA or not Path(DATA, "CHASE_DB1").is_dir(),
    reason="RETINA_COURSE_DATA does not hold CHASE_DB1",
)


def save(path: Path, pixels: np.ndarray, **options) -> None:
    """Write an image in the format that its ending names, gzipped for `.gz`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.removesuffix(".gz")
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    image.save(stream, Image.registered_extensions()[Path(name).suffix.lower()], **options)
    content = stream.getvalue()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def photograph() -> np.ndarray:
    image = np.zeros((*SIZE, 3), np.uint8)
    image[disk((10, 12), 9)] = (200, 90, 30)
    return image


def vessels(column: int = 12) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[4:16, column] = 255
    return mask


def disc() -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[disk((10, 12), 8)] = 255
    return mask


def rgb(mask: np.ndarray) -> np.ndarray:
    return np.stack([mask] * 3, axis=2)


def make_chase(root: Path) -> Path:
    for child in range(1, 15):
        for eye in "LR":
            name = f"Image_{child:02d}{eye}"
            save(root / f"{name}.jpg", photograph())
            save(root / f"{name}_1stHO.png", vessels() > 0)
            save(root / f"{name}_2ndHO.png", vessels(column=13) > 0)
    return root


def make_hrf(root: Path) -> Path:
    for number in range(1, 16):
        for group, ending in (("dr", "JPG"), ("g", "jpg"), ("h", "jpg")):
            name = f"{number:02d}_{group}"
            save(root / f"images/{name}.{ending}", photograph())
            save(root / f"manual1/{name}.tif", vessels())
            save(root / f"mask/{name}_mask.tif", rgb(disc()))
    return root


def make_stare(root: Path, gz: str = "") -> Path:
    for number in STARE.numbers:
        name = f"im{number:04d}"
        save(root / f"stare-images/{name}.ppm{gz}", photograph())
        save(root / f"labels-ah/{name}.ah.ppm{gz}", vessels())
        save(root / f"labels-vk/{name}.vk.ppm{gz}", vessels(column=13))
    return root


def make_drive(root: Path) -> Path:
    for half, numbers in (("training", range(21, 41)), ("test", range(1, 21))):
        for number in numbers:
            save(root / f"{half}/images/{number:02d}_{half}.tif", photograph())
            save(root / f"{half}/1st_manual/{number:02d}_manual1.gif", vessels())
            save(root / f"{half}/mask/{number:02d}_{half}_mask.gif", disc())
    return root


def make_folder(root: Path) -> Path:
    save(root / "images/a.JPG", photograph())
    save(root / "images/b.png", photograph())
    save(root / "masks/a.png", vessels())
    save(root / "masks/b_mask.tif", vessels() // 255)
    return root


LAYOUTS = {ChaseDB1: make_chase, HRF: make_hrf, STARE: make_stare, DRIVE: make_drive}
COUNTS = {ChaseDB1: (8, 20), HRF: (15, 30), STARE: (10, 10), DRIVE: (20, 20)}
published = pytest.mark.parametrize("loader", LAYOUTS, ids=lambda loader: loader.__name__)


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
    else:
        assert np.array_equal(photo.second_observer, vessels(column=13) > 0)


def test_first_photographs_of_each_split(tmp_path):
    hrf = HRF(make_hrf(tmp_path / "hrf"))
    assert [r.name for r in hrf.records[:4]] == ["01_dr", "01_g", "01_h", "02_dr"]
    assert {r.name[:2] for r in hrf.records} == {"01", "02", "03", "04", "05"}
    stare = STARE(make_stare(tmp_path / "stare"), "test")
    assert [stare.records[i].name for i in (0, -1)] == ["im0162", "im0324"]
    assert DRIVE(make_drive(tmp_path / "drive"))[0].name == "21_training"


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


def test_image_folder_matches_by_name_and_computes_the_field_of_view(tmp_path):
    data = ImageFolder(make_folder(tmp_path))
    assert [photo.name for photo in data] == data.patients == ["a", "b"]
    assert np.array_equal(data[1].ground_truth, vessels() > 0)
    assert data[0].fov.sum() > 200 and data[0].second_observer is None
    save(tmp_path / "fov/a.png", np.full(SIZE, 255, np.uint8))
    with pytest.raises(DatasetError, match=r"1 file\(s\) missing:\n  fov/b\.\*"):
        ImageFolder(tmp_path)
    save(tmp_path / "fov/b_mask.png", disc())
    data = ImageFolder(tmp_path)
    assert data[0].fov.all() and np.array_equal(data[1].fov, disc() > 0)


def test_image_folder_refuses_what_is_incomplete_or_ambiguous(tmp_path):
    with pytest.raises(DatasetError, match="no images in"):
        ImageFolder(tmp_path)
    make_folder(tmp_path)
    save(tmp_path / "images/a.png", photograph())
    with pytest.raises(DatasetError, match="have the same name"):
        ImageFolder(tmp_path)
    (tmp_path / "images/a.png").unlink()
    (tmp_path / "masks/a.png").unlink()
    with pytest.raises(DatasetError, match=r"masks/a\.\* or masks/a_mask\.\*, for a\.JPG"):
        ImageFolder(tmp_path)


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


def test_split_by_patient_keeps_both_eyes_together(tmp_path):
    data = ChaseDB1(make_chase(tmp_path))
    train, held_out = split_by_patient(data, ["04"])
    assert {photo.patient for photo in train} == {"01", "02", "03"}
    assert [photo.name for photo in held_out] == ["Image_04L", "Image_04R"]
    with pytest.raises(ValueError, match="No patient 99 .* has 01, 02, 03, 04"):
        split_by_patient(data, ["99"])


def test_digest_changes_with_any_byte_and_ignores_other_files(tmp_path):
    root = make_folder(tmp_path / "one")
    digest = ImageFolder(root).digest()
    assert digest == ImageFolder(shutil.copytree(root, tmp_path / "two")).digest()
    (root / "notes.txt").write_text("not part of it")
    assert ImageFolder(root).digest() == digest
    save(root / "masks/a.png", vessels(column=11))
    assert ImageFolder(root).digest() != digest


ENDINGS = ("jpg", "png", "tif", "gif", "ppm", "ppm.gz", "bmp")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("keep", [0.0, 0.05, 0.6])
def test_truncated_images_are_refused_with_their_name(ending, keep, tmp_path):
    path = tmp_path / f"photo.{ending}"
    save(path, np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    assert read_rgb(path).shape == (64, 64, 3)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(DatasetError, match=rf"photo\.{ending}"):
        read_rgb(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: m * 0, r"is empty \(all 0\)"),
        (lambda m: m * 0 + 255, r"has 1 level\(s\): 255"),
        (lambda m: m // 255 * 7, r"has 2 level\(s\): 0, 7. Expected two, 0 and 255"),
        (lambda m: m[:-1], "24x19, but its image .* 24x20"),
        (lambda m: rgb(m) * np.array([1, 0, 0], np.uint8), "is a colour image"),
    ],
)
def test_wrong_masks_are_refused_with_their_name(damage, message, tmp_path):
    data = ImageFolder(make_folder(tmp_path))
    save(tmp_path / "masks/a.png", damage(vessels()))
    with pytest.raises(DatasetError, match=message) as caught:
        data[0]
    assert str(tmp_path / "masks" / "a.png") in str(caught.value)
    data[1]  # the others stay readable


def test_masks_with_lossy_edges_are_refused(tmp_path):
    save(tmp_path / "mask.jpg", vessels(), quality=50)
    with pytest.raises(DatasetError, match="not as JPEG"):
        read_mask(tmp_path / "mask.jpg")


def test_black_photographs_have_no_field_of_view(tmp_path):
    data = ImageFolder(make_folder(tmp_path))
    save(tmp_path / "images/b.png", photograph() // 100)
    with pytest.raises(DatasetError, match=r"b\.png: No pixel is brighter than 20"):
        data[1]
    with pytest.raises(ValueError, match="uint8 RGB"):
        field_of_view(np.zeros(SIZE))


@given(levels=st.sets(st.integers(0, 65535), min_size=1, max_size=4), wide=st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_mask_is_accepted_only_with_two_known_levels(levels, wide, tmp_path_factory):
    levels = sorted(levels) if wide else sorted({level % 256 for level in levels})
    path = tmp_path_factory.mktemp("masks") / "mask.png"
    pixels = np.resize(np.array(levels, np.uint16 if wide else np.uint8), SIZE)
    save(path, pixels)
    if levels in ([0, 1], [0, 255], [0, 65535]):
        assert np.array_equal(read_mask(path), pixels > 0)
    else:
        with pytest.raises(DatasetError):
            read_mask(path)


@pytest.mark.parametrize(
    ("high", "form"),
    [(65535, "L"), *((high, form) for high in (1, 255) for form in ("L", "RGB", "P"))],
)
def test_masks_are_read_in_each_usual_form(high, form, tmp_path):
    pixels = (vessels() > 0) * np.array(high, np.uint16 if high > 255 else np.uint8)
    save(tmp_path / "mask.png", rgb(pixels) if form == "RGB" else pixels)
    if form == "P":
        Image.open(tmp_path / "mask.png").convert("P").save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    assert mask.dtype == bool and np.array_equal(mask, vessels() > 0)


def test_photographs_become_rgb_from_any_form(tmp_path):
    grey = np.arange(SIZE[0] * SIZE[1], dtype=np.uint8).reshape(SIZE) // 2
    save(tmp_path / "grey.png", grey)
    assert np.array_equal(read_rgb(tmp_path / "grey.png"), rgb(grey))
    save(tmp_path / "wide.png", grey.astype(np.uint16) * 257)  # 16 bits: scaled, not clipped
    assert np.array_equal(read_rgb(tmp_path / "wide.png"), rgb(grey))
    save(tmp_path / "wide.tif", grey.astype(np.uint16) * 257)
    assert np.array_equal(read_rgb(tmp_path / "wide.tif"), rgb(grey))
    alpha = np.dstack([rgb(grey), np.where(grey > 50, 255, 0).astype(np.uint8)])
    save(tmp_path / "alpha.png", alpha)  # transparent is black
    assert np.array_equal(read_rgb(tmp_path / "alpha.png"), rgb(np.where(grey > 50, grey, 0)))
    save(tmp_path / "float.tif", grey.astype(np.float32))
    with pytest.raises(DatasetError, match="float.tif: Expected floats in .0, 1., got"):
        read_rgb(tmp_path / "float.tif")
    save(tmp_path / "float.tif", grey.astype(np.float32) / 255)
    assert np.array_equal(read_rgb(tmp_path / "float.tif"), rgb(grey))


@given(
    radius=st.integers(12, 28),
    centre=st.tuples(st.integers(30, 50), st.integers(30, 60)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=30)
def test_field_of_view_is_the_disc_whatever_lies_in_and_around_it(radius, centre, seed):
    random = np.random.default_rng(seed)
    expected = np.zeros((80, 90), bool)
    expected[disk(centre, radius, shape=expected.shape)] = True
    image = random.integers(0, 21, (80, 90, 3)).astype(np.uint8)  # sensor noise up to 20
    image[expected, random.integers(3)] = 21
    dark = tuple(np.array(centre) + random.integers(-3, 4, 2))
    image[disk(dark, 5)] = 0  # a macula darker than the threshold
    image[:4, :9] = 255  # the camera's printed date
    assert np.array_equal(field_of_view(image), expected)


def test_constructors_and_import_use_no_network(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a loader opened a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(DatasetError, match="download_chase_db1"):
        ChaseDB1(tmp_path / "CHASE_DB1")
    assert ChaseDB1(make_chase(tmp_path / "made"))[0].name == "Image_01L"


def test_every_published_loader_is_tested():
    assert set(PublishedPhotographs.__subclasses__()) == set(LAYOUTS)


def f1(truth: np.ndarray, prediction: np.ndarray) -> float:
    return 2 * (truth & prediction).sum() / (truth.sum() + prediction.sum())


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


def test_a_photograph_turned_by_its_exif_tag_is_read_as_a_viewer_shows_it(tmp_path):
    make_folder(tmp_path)
    turned = Image.Exif()
    turned[0x0112] = 3  # orientation: upside down
    Image.fromarray(photograph()).save(tmp_path / "images/b.png", exif=turned)
    read = ImageFolder(tmp_path)[1].image
    assert np.array_equal(read, photograph()[::-1, ::-1])
