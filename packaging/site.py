#!/usr/bin/env python3
"""The documentation as pages for a browser: README.md, SECURITY.md, CONTRIBUTING.md, CHANGELOG.md and docs/*.md with
docs/spec/, one page a file, with a list of all pages and of the page's own headings. The pages need no network, no
script and no other host; what is linked and is no page (sources, flow files) is copied beside them as it is.

usage: site.py SOURCE OUT"""
import html
import os
import pathlib
import re
import shutil
import sys

import markdown

STYLE = """
:root { color-scheme: light dark; --line: #8886; }
body { margin: 0; font: 16px/1.5 sans-serif; display: grid; grid-template-columns: 15rem minmax(0, 1fr); }
nav { padding: 1rem; border-right: 1px solid var(--line); font-size: 14px; }
nav ul { list-style: none; padding-left: .8rem; margin: .2rem 0; }
main { padding: 1rem 2rem; max-width: 60rem; }
pre { overflow-x: auto; padding: .6rem; border: 1px solid var(--line); }
code { font: 14px/1.4 monospace; overflow-wrap: anywhere; }
main img { max-width: 100%; height: auto; border: 1px solid var(--line); }
pre code { overflow-wrap: normal; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { border: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; }
@media (max-width: 50rem) { body { display: block; } nav { border: 0; border-bottom: 1px solid var(--line); } main { padding: 1rem; } }
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{up}style.css">
</head>
<body>
<nav aria-label="pages">
{pages}
</nav>
<main>
{body}
</main>
</body>
</html>
"""
OUTSIDE = ("http://", "https://", "mailto:")


def github_slug(text, separator):
    """Headings' anchors as the Markdown files' own links spell them."""
    text = re.sub(r"[^\w\- ]", "", text.strip().lower())
    return text.replace(" ", separator)


def pages_of(source):
    """The Markdown files, in the order of the list."""
    top = [source / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    docs = source / "docs"
    return [page for page in top if page.exists()] + sorted(docs.glob("*.md")) + sorted((docs / "spec").glob("*.md"))


def title_of(text, page):
    found = re.search(r"^# (.+)$", text, re.M)
    return found.group(1).strip() if found else page.stem


def target_of(page):
    """Where a page lies in the site, relative to its root."""
    return page.with_suffix(".html") if page.name != "README.md" else page.with_name("index.html")


def build(source, out):
    pages = {page.relative_to(source): page.read_text() for page in pages_of(source)}
    titles = {page: title_of(text, page) for page, text in pages.items()}
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "style.css").write_text(STYLE)
    copied = set()
    for page, text in pages.items():
        md = markdown.Markdown(extensions=["tables", "fenced_code", "toc", "sane_lists"],
                               extension_configs={"toc": {"slugify": github_slug, "toc_depth": "2-3"}})
        # No page has HTML of its own: what looks like it (a < b) is text.
        md.preprocessors.deregister("html_block")
        md.inlinePatterns.deregister("html")
        # A formula such as a[b](c + d) is no link.
        text = re.sub(r"\]\((?!(?:https?://|mailto:)?[\w./#%?=&:-]+\))", r"]\\(", text)
        body = md.convert(text)

        def link(found):
            href = html.unescape(found.group(2))
            if href.startswith((*OUTSIDE, "#")):
                return found.group(0)
            path, hash_sign, anchor = href.partition("#")
            file = pathlib.Path(os.path.normpath(page.parent / path))
            if file.parts[:1] == ("..",):
                raise SystemExit(f"site.py: {page} links out of the source: {href}")
            if file in pages:
                file = target_of(file)
            elif (source / file).is_file():
                copied.add(file)
            elif (source / file / "README.md").is_file():
                copied.add(file / "README.md")
                file = file / "README.md"
            elif (source / file).is_dir():
                copied.update(one.relative_to(source) for one in (source / file).rglob("*") if one.is_file())
            else:
                raise SystemExit(f"site.py: {page} links to {href}, which is not there")
            way = os.path.relpath(file, target_of(page).parent)
            return f'{found.group(1)}="{html.escape(way + hash_sign + anchor)}"'

        body = re.sub(r'(href|src)="([^"]*)"', link, body)
        up = "../" * (len(target_of(page).parts) - 1)
        entries = []
        for other, title in titles.items():
            if other == page:
                entries.append(f'<li><strong>{html.escape(title)}</strong>{md.toc}</li>')
            else:
                way = os.path.relpath(target_of(other), target_of(page).parent)
                entries.append(f'<li><a href="{html.escape(way)}">{html.escape(title)}</a></li>')
        file = out / target_of(page)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(PAGE.format(title=html.escape(titles[page]), up=up, body=body,
                                    pages="<ul>\n" + "\n".join(entries) + "\n</ul>"))
    for file in sorted(copied):
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, out / file)
    return len(pages)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    count = build(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]))
    print(f"{count} pages in {sys.argv[2]}/index.html")
