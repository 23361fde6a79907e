#!/usr/bin/env python3
"""Fails if docs/attacks.md names a test that the sources do not have, or an attack twice. usage: check_attacks.py ROOT"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
have = set()
for source in (root / "tests").rglob("*.cpp"):
    text = source.read_text()
    for suite, test in re.findall(r"(?:TYPED_)?TEST(?:_P|_F)?\(\s*(\w+),\s*(\w+)\s*\)", text):
        have.add(f"{suite}.{test}")
page = (root / "docs/attacks.md").read_text()
rows = re.findall(r"^\| (\w*\d) \|", page, re.M)
twice = sorted({row for row in rows if rows.count(row) > 1})
for row in twice:
    print(f"docs/attacks.md has attack {row} twice")
named = re.findall(r"`([A-Z]\w*\.[A-Z]\w*)`", page)
missing = sorted({name for name in named if name not in have})
for name in missing:
    print(f"docs/attacks.md names {name}, which no file under tests/ has")
if len(named) < 100:
    print(f"only {len(named)} tests are named: is the page whole?")
sys.exit(1 if missing or twice or len(named) < 100 else 0)
