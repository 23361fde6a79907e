#!/usr/bin/env python3
"""Fails if a page of the documentation links to a file that is not there. usage: check_links.py ROOT"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
pages = [*root.glob("*.md"), *(root / "docs").glob("*.md")]
links = [(page, link) for page in pages
         for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
         if not link.startswith(("https://", "http://"))]
# Also what is named without being a link, as programs' messages do.
sources = [*(root / "src").rglob("*.cpp"), *(root / "src").rglob("*.h"), *pages]
names = [(source, name) for source in sources
         for name in re.findall(r"\b(?:docs|tools|examples)/[\w./-]+\.(?:md|py|sh|toml|txt)\b", source.read_text())]
bad = [f"{page.relative_to(root)} links to {link}" for page, link in links if not (page.parent / link).exists()]
bad += [f"{source.relative_to(root)} names {name}" for source, name in names if not (root / name).exists()]
print("\n".join(f"{line}, which is not there" for line in sorted(set(bad))), end="\n" if bad else "")
if len(links) < 10 or len(names) < 10:
    print("hardly any link was found: is this the root?")
    sys.exit(1)
sys.exit(1 if bad else 0)
