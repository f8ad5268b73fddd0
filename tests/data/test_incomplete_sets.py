"""Published sets of which a part is here: what the split does not need may be missing."""

import pytest
from published_layouts import LAYOUTS, make_chase, make_drive, make_stare, save, vessels

from retina_course.data.datasets import DRIVE, STARE, ChaseDB1, DatasetError

both = pytest.mark.parametrize(
    ("loader", "make", "second"),
    [(ChaseDB1, make_chase, "*_2ndHO*"), (STARE, make_stare, "*.vk.*")],
)


@both
def test_without_the_second_observer_they_open(loader, make, second, tmp_path):
    make(tmp_path)
    digest = loader(tmp_path, "all").digest()
    for path in tmp_path.rglob(second):
        path.unlink()
    for split in ("train", "test", "all"):
        data = loader(tmp_path, split)
        assert data[0].second_observer is None and data[0].ground_truth.any()
    assert data.digest() != digest


@both
def test_a_part_of_the_second_observer_is_an_incomplete_copy(loader, make, second, tmp_path):
    make(tmp_path)
    gone = sorted(tmp_path.rglob(second))[-1]
    gone.unlink()
    with pytest.raises(DatasetError, match=f"{gone.stem}"):
        loader(tmp_path, "test")
    assert loader(tmp_path, "train")[0].second_observer is not None


@pytest.mark.parametrize("loader", LAYOUTS, ids=lambda loader: loader.__name__)
@pytest.mark.parametrize(("split", "other"), [("train", "test"), ("test", "train")])
def test_a_split_needs_its_own_files_alone(loader, split, other, tmp_path):
    LAYOUTS[loader](tmp_path)
    expected = loader(tmp_path, split).digest()
    for record in loader(tmp_path, other).records:
        for path in record.files:
            path.unlink()
    data = loader(tmp_path, split)
    assert data.digest() == expected and data[0].ground_truth.any()
    with pytest.raises(DatasetError, match="incomplete"):
        loader(tmp_path, "all")


def test_drive_has_a_second_observer_in_one_half(tmp_path):
    make_drive(tmp_path)
    for number in range(1, 21):
        save(tmp_path / f"test/2nd_manual/{number:02d}_manual2.gif", vessels(column=13))
    data = DRIVE(tmp_path, "all")
    assert sum(record.second_observer is not None for record in data.records) == 20
