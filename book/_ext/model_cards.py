"""The page book/model_cards.md: a section for each shipped network, from its card and the results.

The prose is in book/_templates/model_card.md.jinja. The sections follow Mitchell et al. 2019,
doi:10.1145/3287560.3287596.
"""

from pathlib import Path
from typing import Any

import card_numbers as numbers
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from shape_page import TITLES

from retina_course import weights
from retina_course.data.facts import facts_of
from retina_course.inference.doubt import MARGIN
from retina_course.models import DETECTORS

Card = dict[str, Any]

PAGE = "book/model_cards"
MARK = "<!-- model cards -->"  # the cards are put in its place
TEMPLATES = Path(__file__).parents[1] / "_templates"
PURPOSES = ["vessels, any camera", "vessels, one camera", "optic disc and lesions"]
KEYS = {
    *("model", "options", "intended_use", "training_data", "metrics", "threshold", "licence"),
    *("pixels_per_degree", "pixels_per_degree_range", "seed", "recipe", "provenance", "sha256"),
}
RECIPE = {  # the keys that a reader may want to know, in words
    "steps": "{} steps",
    "batch_size": "batches of {}",
    "crop": "crops of {} pixels",
    "lr": "highest learning rate {}",
    "loss": "{}",
    "optimizer": "{}",
    "precision": "{}",
    "after": "begun with the weights of `{}` (benchmarks/weights)",
}


def page_text() -> str:
    """All cards, with a list of them before."""
    loaded = {name: weights.load(name) for name in weights.available()}
    for name, (_, card) in loaded.items():
        check_card(name, card)
    names = sorted(loaded, key=lambda name: PURPOSES.index(purpose(loaded[name][1])))
    links = [f"- [{title(loaded[name][1])}](#{anchor(name)}): `{name}`" for name in names]
    return "\n".join(links) + "\n\n" + "\n".join(section(name, *loaded[name]) for name in names)


def check_card(name: str, card: Card) -> None:
    """Stop the build where a card lacks what the page shows."""
    missing = sorted(KEYS - set(card))
    if missing:
        raise ValueError(
            f"The card retina_course/weights/{name}.json lacks {', '.join(missing)}, which the "
            f"page {PAGE}.md shows. Add it in the program that writes the card, and run that again."
        )


def section(name: str, network: Any, card: Card) -> str:
    """The card of one network, in Markdown."""
    file = Path(weights.__file__).parent / f"{name}.safetensors"
    facts = {
        "name": name,
        "title": title(card),
        "anchor": anchor(name),
        "card": {"colours": None, "stored_as": None, "expected_f1": None} | card,
        "detector": card["model"] in DETECTORS,
        "any_camera": purpose(card) == PURPOSES[0],
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "megabytes": file.stat().st_size / 1e6,
        "options": ", ".join(f"`{key}={value}`" for key, value in card["options"].items()),
        "recipe": ", ".join(
            text.format(card["recipe"][key])
            for key, text in RECIPE.items()
            if key in card["recipe"]
        ),
        "scale": weights.scale_text(card),
        "facts": facts_of(card["training_data"]),
        "margin": MARGIN,
    }
    found = numbers.of_boxes(card) if facts["detector"] else numbers.of_vessels(name, card)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["table"] = table
    return environment.get_template("model_card.md.jinja").render(facts | found)


def title(card: Card) -> str:
    """The heading of a card."""
    return f"{TITLES[card['model']].removesuffix(' (detector)')}: {purpose(card)}"


def purpose(card: Card) -> str:
    """One of `PURPOSES`."""
    if card["model"] in DETECTORS:
        return PURPOSES[2]
    return PURPOSES[0] if "metrics_chase_db1" in card else PURPOSES[1]


def anchor(name: str) -> str:
    return f"card-{name.replace('_', '-')}"


def table(rows: numbers.Rows) -> str:
    """A table in Markdown, numbers to the right."""
    head, *body = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def put_in(app, docname, source):
    """The cards in place of the page's mark."""
    if docname == PAGE:
        if MARK not in source[0]:
            raise ValueError(f"{PAGE}.md has no line {MARK}: the model cards have no place.")
        source[0] = source[0].replace(MARK, page_text())


def setup(app):
    app.connect("source-read", put_in)
    # Cards and results are not among the files that Sphinx watches.
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: [PAGE])
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
