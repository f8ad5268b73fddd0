"""What `book/setup.md` says of grey surrounds is what the program has stored."""

from benchmarks.common.files import RESULTS, ROOT, read_json

SAID = (
    "Of {of} photographs put on other surrounds (`field_of_view.json`), {grey 25} fields were "
    "found on dark grey, {grey 25 with noise} on dark grey with noise, {grey 60 with noise} on "
    "lighter grey with noise, {grey 128} on middle grey."
)


def test_setup_says_what_is_stored():
    rows = read_json(RESULTS / "field_of_view.json")["surrounds"]
    numbers = {name: row["found"] for name, row in rows.items()}
    text = (ROOT / "book" / "setup.md").read_text(encoding="utf-8")
    assert SAID.format(of=rows["black"]["of"], **numbers) in text


def test_usual_surrounds_are_no_trouble_and_pictures_without_one_stay_whole():
    stored = read_json(RESULTS / "field_of_view.json")
    for name in ("black", "noise around 8", "white"):
        assert stored["surrounds"][name]["found"] == stored["surrounds"][name]["of"]
    for row in stored["cut_out"].values():
        assert row["whole"] == row["of"]
