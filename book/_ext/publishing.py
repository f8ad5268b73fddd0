"""What a published site needs: descriptions, a picture for links, sitemap, robots, 404, root page.

The address is `html_baseurl` in `_config.yml`; `tools/set_address.py` changes it.
"""

from html import escape
from pathlib import Path

from docutils import nodes

DESCRIPTION = 160  # characters that search engines show


def first_paragraph(doctree) -> str:
    """The first paragraph of a page's running text, cut at a word."""
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section):
            text = " ".join(paragraph.astext().split())
            if len(text) <= DESCRIPTION:
                return text
            return text[: DESCRIPTION - 2].rsplit(" ", 1)[0].rstrip(",;:.") + " …"
    return ""


def add_descriptions(app, pagename, templatename, context, doctree):
    """Say what a page is about to search engines and to who links it."""
    if doctree is None:
        return
    written = [
        node["content"] for node in doctree.findall(nodes.meta) if node.get("name") == "description"
    ]
    description = written[0] if written else first_paragraph(doctree)
    base = app.config.html_baseurl
    properties = {
        "og:title": app.env.titles[pagename].astext(),
        "og:description": description,
        "og:type": "website" if pagename == app.config.root_doc else "article",
        "og:url": context.get("pageurl") or "",
        "og:site_name": app.config.project,
        "og:image": f"{base}_static/og.jpg",
        "og:image:alt": "A fundus photograph and the vessels that a network found in it",
    }
    tags = [] if written else [f'<meta name="description" content="{escape(description)}" />']
    tags += [f'<meta property="{k}" content="{escape(v)}" />' for k, v in properties.items()]
    tags.append('<meta name="twitter:card" content="summary_large_image" />')
    context["metatags"] = context.get("metatags", "") + "\n    " + "\n    ".join(tags) + "\n"
    if pagename == app.config.root_doc:  # its title is the book's
        context["docstitle"] = ""


def add_pages(app):
    """The page for addresses that lead nowhere, and the one at the root."""
    context = {"base": app.config.html_baseurl, "start": f"{app.config.root_doc}.html"}
    yield "404", context, "404.html"
    yield "index", context, "root.html"


def write_files(app, error):
    """Write what crawlers and GitHub Pages look for."""
    if error or app.builder.format != "html":
        return
    base = app.config.html_baseurl
    urls = [
        f"  <url><loc>{base}{app.builder.get_target_uri(name)}</loc></url>"
        for name in sorted(app.env.found_docs)
    ]
    files = {
        "sitemap.xml": '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        + "\n".join(urls)
        + "\n</urlset>\n",
        "robots.txt": f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n",
        ".nojekyll": "",  # GitHub Pages would leave out folders whose names begin with "_"
    }
    for name, text in files.items():
        Path(app.outdir, name).write_text(text, encoding="utf-8")


def setup(app):
    app.connect("html-page-context", add_descriptions)
    app.connect("html-collect-pages", add_pages)
    app.connect("build-finished", write_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
