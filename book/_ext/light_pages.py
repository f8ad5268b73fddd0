"""Make the built pages light: only the style rules and icons that they use, pictures that wait.

The theme brings 0.5 MB of style sheets and 0.4 MB of icon fonts, for all sites that there may be.
After the build, rules whose classes no page and no script names are taken out, and the icons that
are left are put into the style sheet, where browsers find them under file:// too. Notebooks store
photographs as PNG files; the pages show the heavy ones as WebP.
"""

import base64
import logging
import re
from functools import partial
from io import BytesIO
from pathlib import Path

import tinycss2
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image

logging.getLogger("fontTools").setLevel(logging.WARNING)
WORD = re.compile(r"[A-Za-z_][\w-]*")
ICON = re.compile(r"\\([ef][0-9a-f]{3})|([\ue000-\uf8ff])")
FONT_SOURCE = re.compile(r"src:\s*url\(\S*?webfonts/(fa-[\w-]+)\.woff2\)[^;}]*")
IMAGE = re.compile(r"<img\b[^>]*?>")
FIGURE = re.compile(r'(<figure[^>]*>\s*)(<img\b[^>]*src="([^"]+)"[^>]*>)')
ONE_TO_ONE = (
    110  # dots an inch of figures that a page shows pixel by pixel; above, they are smaller
)
DRAWING = re.compile(r'<svg [^>]*?width="(\d+)" height="(\d+)"')
HEAVY = 200_000  # bytes; PNG files above may be photographs


def classes(selector: list) -> set[str]:
    """The classes without which a selector cannot match; those in :not() and :is() are none."""
    pairs = zip(selector, selector[1:], strict=False)
    return {
        b.value for a, b in pairs if a.type == "literal" and a.value == "." and b.type == "ident"
    }


def used_selectors(prelude: list, words: set[str]) -> str:
    """The part of a rule's selector list that can match."""
    selectors: list[list] = [[]]
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            selectors.append([])
        else:
            selectors[-1].append(token)
    return ",".join(tinycss2.serialize(s).strip() for s in selectors if classes(s) <= words)


def used_rules(rules: list, words: set[str]) -> str:
    """Rules as text, without those that can match nothing."""
    kept = []
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = used_selectors(rule.prelude, words)
            if selectors:
                kept.append(f"{selectors}{{{tinycss2.serialize(rule.content).strip()}}}")
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            inner = used_rules(tinycss2.parse_rule_list(rule.content, True, True), words)
            if inner:
                kept.append(f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inner}}}")
        elif rule.type == "at-rule":
            kept.append(rule.serialize())
    return "".join(kept)


def embedded_font(font: TTFont, characters: set[int]) -> str:
    """A font with some characters only, as the source of a font face."""
    options = subset.Options(layout_features=[], notdef_outline=False, hinting=False)
    options.drop_tables += ["GSUB"]
    options.name_IDs = [0, 13, 14]  # copyright and licence
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters & set(font.getBestCmap()))
    subsetter.subset(font)
    font.flavor = "woff"
    buffer = BytesIO()
    font.save(buffer)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'src:url("data:font/woff;base64,{data}") format("woff")'


def lighten_styles(site: Path) -> None:
    """Rewrite the style sheets of the theme and the extensions."""
    static = site / "_static"
    texts = [
        *site.rglob("*.html"),
        *static.glob("*.js"),
        *static.glob("scripts/*.js"),
        *static.glob("live/*.js"),
    ]
    words: set[str] = set()
    for path in texts:
        if path.name != "fontawesome.js" and path.stat().st_size < 3e6:
            words.update(WORD.findall(path.read_text(encoding="utf-8")))
    sheets = [*static.glob("*.css"), *static.glob("styles/*.css")]
    light = {
        sheet: used_rules(
            tinycss2.parse_stylesheet(sheet.read_text(encoding="utf-8"), True, True), words
        )
        for sheet in sheets
    }
    icons = {int(a, 16) if a else ord(b) for text in light.values() for a, b in ICON.findall(text)}
    fonts = static / "vendor" / "fontawesome" / "webfonts"
    for sheet, text in light.items():
        text = FONT_SOURCE.sub(lambda m: embedded_font(TTFont(fonts / f"{m[1]}.ttf"), icons), text)
        sheet.write_text(text, encoding="utf-8")


def measure(file: Path) -> tuple[int, int, str] | None:
    """Width and height at which a page shows an image, and the name of the file to show.

    A heavy PNG file becomes a WebP file where that halves it: a photograph, no drawing of lines.
    """
    if file.suffix == ".svg":
        drawing = DRAWING.search(file.read_text(encoding="utf-8"))
        return (int(drawing[1]), int(drawing[2]), file.name) if drawing else None
    if file.suffix not in (".png", ".jpg", ".jpeg", ".webp"):
        return None
    with Image.open(file) as image:
        scale = max(1, round(image.info.get("dpi", (0, 0))[0] / ONE_TO_ONE))
        size = round(image.width / scale), round(image.height / scale)
        if file.suffix != ".png" or file.stat().st_size < HEAVY:
            return *size, file.name
        lighter = file.with_suffix(".webp")
        image.convert("RGB").save(lighter, quality=90)
    worse = file if 2 * lighter.stat().st_size < file.stat().st_size else lighter
    worse.unlink()
    return *size, (lighter if worse is file else file).name


def with_size(tag: str, page: Path, sizes: dict[Path, tuple[int, int, str]]) -> str:
    """An image's tag, lazy, with width and height so that nothing moves when the image comes."""
    source = re.search(r'src="([^"]+)"', tag)
    if not source:
        return tag
    file = (page.parent / source[1]).resolve()
    if file not in sizes:
        size = measure(file) if file.is_file() else None
        if size is None:
            return tag
        sizes[file] = size
    width, height, _ = sizes[file]
    wanted = {"loading": "lazy", "decoding": "async"}
    if "width=" not in tag:
        wanted |= {"width": width, "height": height}
    missing = [f' {key}="{value}"' for key, value in wanted.items() if f"{key}=" not in tag]
    return f"<img{''.join(missing)}{tag[4:]}"


def lighten_images(site: Path) -> None:
    """Let images wait until they are near the screen, with their place kept; figures enlarge."""
    sizes: dict[Path, tuple[int, int, str]] = {}
    for page in site.rglob("*.html"):
        sized = partial(with_size, page=page, sizes=sizes)
        text = page.read_text(encoding="utf-8")
        text = IMAGE.sub(lambda m, sized=sized: sized(m[0]), text)
        for file, (_, _, name) in sizes.items():  # links lead to images, too
            text = text.replace(f"_images/{file.name}", f"_images/{name}")
        text = FIGURE.sub(r'\1<a class="enlarge" href="\3">\2</a>', text)
        page.write_text(text, encoding="utf-8")


def lighten(app, error):
    if error or app.builder.format != "html":
        return
    site = Path(app.outdir)
    lighten_images(site)
    lighten_styles(site)
    for leftover in [
        *site.glob("_static/**/*.map"),
        site / "_static" / "scripts" / "fontawesome.js",
    ]:
        leftover.unlink(missing_ok=True)


def setup(app):
    app.connect("build-finished", lighten, priority=900)  # after all files are there
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
