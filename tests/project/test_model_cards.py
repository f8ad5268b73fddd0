"""The page of model cards: a whole card for each shipped network, with the stored numbers."""

import re
import sys
from types import SimpleNamespace

import nbformat
import pytest
from run_notebooks import ROOT

from retina_course import weights
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.data.facts import FACTS, facts_of
from retina_course.data.idrid import FIELD_ANGLE
from retina_course.models import DETECTORS
from retina_course.results.stored import read, read_all

sys.path.insert(0, str(ROOT / "book" / "_ext"))  # as Sphinx does, see _config.yml
import model_cards
from card_numbers import check, histogram_ece

PARTS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Training data",
    "Evaluation data",
    "Quantitative analyses",
    "Known failure modes",
    "What a warning means",
    "Ethical considerations and terms",
    "Caveats and recommendations",
]
DAMAGED_SETS = ("HRF, test", "CHASE_DB1, test")
every_network = pytest.mark.parametrize("name", weights.available())


@pytest.fixture(scope="module")
def page():
    """The Markdown of all cards."""
    return model_cards.page_text()


@pytest.fixture(scope="module")
def sections(page):
    """The Markdown of each network's card."""
    parts = re.split(r"^\(card-([a-z0-9-]+)\)=$", page, flags=re.M)
    return {
        name.replace("-", "_"): text for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_each_network_has_a_section_and_a_link_to_it(page, sections):
    assert set(sections) == set(weights.available())
    links = re.findall(r"\]\(#card-([a-z0-9-]+)\)", page)
    assert {link.replace("-", "_") for link in links} == set(sections)


@every_network
def test_a_section_has_all_parts_and_none_is_empty(sections, name):
    found = re.split(r"^### (.*)$", sections[name], flags=re.M)
    assert found[1::2] == PARTS
    assert all(len(text.split()) >= 8 for text in found[2::2])
    assert "{{" not in sections[name] and "None" not in sections[name]


@every_network
def test_the_numbers_are_those_of_the_card(sections, name):
    text, (_, card) = sections[name], weights.load(name)
    assert card["sha256"] in text and card["provenance"]["commit"][:10] in text
    assert f"**Threshold: {card['threshold']:.3f}.**" in text
    assert card["training_data"] in text and card["licence"] in text
    assert weights.scale_text(card) in text
    tested = [card[key] for key in ("metrics", "metrics_chase_db1") if key in card]
    if card["model"] not in DETECTORS:
        assert f"| Photographs | {' | '.join(one['set'] for one in tested)} |" in text
        for title, key in (("AUC", "auc"), ("F1", "f1"), ("sensitivity", "sensitivity")):
            assert f"| {title} | {' | '.join(f'{one[key]:.4f}' for one in tested)} |" in text


def test_the_numbers_are_those_of_the_stored_rows(sections):
    boxes = read("idrid_boxes")["models"]["retina_net"]["runs"][0]["flips"]["hard exudates"]
    low, high = boxes["ap_0.5"]["interval"]
    assert f"{boxes['ap_0.5']['value']:.2f} ({low:.2f} to {high:.2f})" in sections["retina_net"]
    for row in read_all(".json", "camera_shift"):
        parts = [f"{seen['pooled']['f1']:.4f}" for seen in row["test"].values()]
        assert f"| F1 at the threshold | {' | '.join(parts)} |" in sections[row["model"]]
        assert f"| Test half of | {' | '.join(row['test'])} |" in sections[row["model"]]
    change = read("changed_photographs")["scores"]["unet_large"]["JPEG (quality 20)"]
    assert (
        f"| JPEG (quality 20) | {change['f1_difference']['value']:+.3f} |" in sections["unet_large"]
    )
    found = read("lesions_and_disc")["lesions"]["unet_small"]["haemorrhages"]
    assert f"| haemorrhages | {100 * found['in_boxes']:.1f} % |" in sections["unet_small"]
    damaged = read_all("unet_small.json", "doubtful_maps")[0]["photographs"]
    dark = [p["f1"] for p in damaged if p["damage"][:4] == "dark" and p["set"] == "HRF, test"]
    assert f"{sum(dark) / len(dark):.3f}" in sections["unet_small"]
    names = {part: {p["name"] for p in damaged if p["set"] == part} for part in DAMAGED_SETS}
    assert all(name.endswith("_dr") for name in names["HRF, test"])
    assert f"of {len(dark)} photographs in each test half" in sections["unet_small"]
    assert [len(one) for one in names.values()] == [len(dark)] * 2


def test_the_calibration_error_is_that_of_chapter_15(sections):
    cells = nbformat.read(ROOT / "notebooks" / "15_other_cameras.ipynb", as_version=4).cells
    shown = (cell.metadata.get("mystnb", {}).get("figure", {}).get("name") for cell in cells)
    table = dict(zip(shown, cells, strict=True))["other-cameras-calibration"].outputs[-1]
    rows = [line.split() for line in table.data["text/plain"].splitlines()[1:]]
    for name in {row[0] for row in rows}:
        errors = [row[3] for row in rows if row[0] == name]  # name, half, T, ECE
        assert f"| ECE | {' | '.join(errors)} |" in sections[name]
    # Half of the pixels in the bin around 0.875 are vessels.
    assert histogram_ece([[0, 0, 0, 3], [0, 0, 0, 3]], bins=2) == pytest.approx(0.875 - 0.5)


def test_a_card_without_a_key_stops_the_build_and_the_message_names_both(monkeypatch):
    network, card = weights.load("unet_small")
    short = {key: value for key, value in card.items() if key != "licence"}
    monkeypatch.setattr(weights, "load", lambda name: (network, short))
    source = [model_cards.MARK]
    with pytest.raises(ValueError, match=r"weights/\w+\.json lacks licence, .*write"):
        model_cards.put_in(SimpleNamespace(), model_cards.PAGE, source)


def test_a_card_of_other_weights_than_its_row_stops_the_build():
    with pytest.raises(
        ValueError, match=r"The card says F1 0\.8100 on HRF, the stored row 0\.8000"
    ):
        check({"f1": 0.81, "set": "HRF"}, {"f1": 0.80})


def test_a_page_without_its_mark_stops_the_build():
    with pytest.raises(ValueError, match="has no line <!-- model cards -->"):
        model_cards.put_in(SimpleNamespace(), model_cards.PAGE, ["# Model cards"])
    other = ["text"]
    model_cards.put_in(SimpleNamespace(), "book/intro", other)
    assert other == ["text"]


def test_the_facts_have_the_angles_of_the_loaders_and_known_sources():
    angles = {name: facts.field_angle for name, facts in FACTS.items()}
    assert angles == {
        "CHASE_DB1": ChaseDB1.field_angle,
        "HRF": HRF.field_angle,
        "IDRiD_boxes": FIELD_ANGLE,
    }
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    for facts in FACTS.values():
        assert all(f"{{{key}," in bibliography for key in facts.sources)


def test_unknown_training_data_are_named():
    with pytest.raises(ValueError, match="'my photographs' name none of CHASE_DB1, HRF"):
        facts_of("my photographs")


@pytest.mark.parametrize("name", ["unet_small", "unet_small_any_camera"])
def test_a_card_says_of_which_maps_segment_warns_and_of_which_needlessly(sections, name):
    row = next(row for row in read_all(".json", "doubtful_maps") if row["model"] == name)
    low = weights.load(name)[1]["expected_f1"][0] - 0.02
    kinds = {"poor": [], "undamaged": [], "damaged": []}
    for photo in row["photographs"]:
        if photo["set"] in DAMAGED_SETS:
            warned = photo["expected_f1"] < low
            if photo["f1"] < 0.6:
                kinds["poor"].append(warned)
            if photo["damage"] == "as it is":
                kinds["undamaged"].append(warned)
            elif photo["f1"] >= 0.6:
                kinds["damaged"].append(warned)
    told = {kind: (len(warned), sum(warned)) for kind, warned in kinds.items()}
    assert (
        "Of {} test maps with F1 below 0.6, damaged photographs among them, the warning finds {}; "
        "of {} undamaged test photographs it is given for {}, and of {} damaged ones with a "
        "higher F1 for {}."
    ).format(*told["poor"], *told["undamaged"], *told["damaged"]) in sections[name]


def test_the_checklists_have_all_items_in_order():
    text = (ROOT / "book" / "reporting.md").read_text(encoding="utf-8")
    claim, tripod = text.split("(tripod-ai)=")
    rows = [re.findall(r"^\| (\d+[a-g]?) \|", part, flags=re.M) for part in (claim, tripod)]
    assert rows[0] == [str(item) for item in range(1, 45)]
    parts = {3: 3, 5: 2, 6: 3, 8: 3, 9: 3, 12: 7, 18: 6, 20: 3, 23: 2, 27: 3}
    letters = {
        item: list("abcdefg"[: parts[item]]) if item in parts else [""] for item in range(1, 28)
    }
    assert rows[1] == [f"{item}{letter}" for item in letters for letter in letters[item]]


def test_the_checklist_names_the_networks_that_began_with_other_weights():
    text = (ROOT / "book" / "reporting.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| 24 | Initial weights"))
    cards = {name: weights.load(name)[1] for name in weights.available()}
    went_on = {name for name, card in cards.items() if "after" in card["recipe"]}
    assert went_on and set(re.findall(r"`(\w+_any_camera)`", row)) == went_on
