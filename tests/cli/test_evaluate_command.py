"""`retina-course evaluate`."""

from pathlib import Path

import pytest
from command_line import photograph, run

from retina_course.cli import inputs
from retina_course.data.photographs import Photograph, Photographs, Record


def test_evaluate_refuses_a_folder_for_its_json(data, weights_file, tmp_path, capsys):
    arguments = ("--data", data, "--weights", weights_file, "--json", tmp_path)
    assert run("evaluate", *arguments) == 1
    assert "is a folder; --json takes the name of a file" in capsys.readouterr().err


@pytest.mark.parametrize("is_everywhere", [True, False])
def test_a_second_observer_has_a_column(is_everywhere, weights_file, capsys, monkeypatch, data):
    image, vessels = photograph()
    photo = Photograph("a", "a", image, vessels, image.max(-1) > 0, vessels)

    class Two(Photographs):
        root, file = data, Path(data, "images", "eye0.png")
        records = [Record("a", "a", "all", file, file, second_observer=file)] * 2
        if not is_everywhere:
            records = [records[0], Record("a", "a", "all", file, file)]

        def __getitem__(self, index):
            return photo

    monkeypatch.setitem(inputs.SETS, "stare", lambda split: Two())
    assert run("evaluate", "--data", "stare", "--weights", weights_file) == 0
    table = capsys.readouterr().out
    header, *rows = table.splitlines()[2:]
    second = ["second", "observer"] * is_everywhere
    assert header.split() == ["pooled", "mean", "sd", *second, "empty"]
    f1 = next(row for row in rows if row.startswith("f1"))
    assert f1.split()[4:] == ["1.0000"] * is_everywhere + ["0.0000"]
