#!/usr/bin/env python3
"""Fails unless share/flows/flow.schema.json takes every shipped flow file and refuses what the loader refuses for an
unknown key, table or word (tests/vectors/flow/refusals.txt). usage: check_flows.py ROOT"""
import pathlib
import sys
import tomllib

import json_schema

root = pathlib.Path(sys.argv[1])
folder = root / "share/flows"
schema = json_schema.load(folder / "flow.schema.json")
errors, files, refused = [], 0, 0
for file in sorted(folder.glob("*.toml")):
    files += 1
    wrong = json_schema.problems(tomllib.loads(file.read_text()), schema, schema)
    errors += [f"{file}: {one}" for one in wrong]
for entry in (root / "tests/vectors/flow/refusals.txt").read_text().split("\n=== ")[1:]:
    head, _, rest = entry.partition("\n")
    reason, _, rest = rest.partition("\n--- old\n")
    old, _, new = rest.partition("\n--- new\n")
    if not reason.startswith(("unknown key", "unknown table")):
        continue
    text = (folder / (head.split()[0] + ".toml")).read_text()
    if old not in text:
        continue  # the entry has more than one edit
    try:
        changed = tomllib.loads(text.replace(old, new.rstrip("\n"), 1))
    except tomllib.TOMLDecodeError:
        continue  # no schema sees it
    refused += 1
    if not json_schema.problems(changed, schema, schema):
        errors.append(f"the schema takes what the loader refuses: {head}: {reason}")
if files < 10 or refused < 3:
    errors.append(f"only {files} files and {refused} refusals were looked at")
print("\n".join(errors) or f"{files} flow files fit their schema, {refused} wrong ones do not")
sys.exit(1 if errors else 0)
