#!/usr/bin/env python3
"""Proves the demo's point: the sandbox saw the account's address, password, cookies and key, and no hospital has one.

usage: search.py WORK   (see demo.sh)
What the sandbox saw and gave stands in WORK/seen, in the clear. Each such text is looked for in every file of the
hospitals and in what hospital-b printed, as it is, reversed, in hex and in base64.
"""
import base64
import json
import pathlib
import sys

work = pathlib.Path(sys.argv[1])
KINDS = {"address": "email", "password": "password", "sign-in cookie": "cookie creds", "API key": "access key"}

seen = [json.loads(line) for line in (work / "seen").read_text().splitlines()]
values = {name: {one["value"] for one in seen if one["what"] == what} for name, what in KINDS.items()}
for name, found in values.items():
    if not found:
        sys.exit(f"The sandbox saw no {name}: there is nothing to search for.")

files = [path for path in work.glob("hospital-*/**/*") if path.is_file()] + [work / "hospital-b.log"]
contents = {path: path.read_bytes() for path in files}
for name, found in values.items():
    for value in found:
        raw = value.encode()
        for form in (raw, raw[::-1], raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")):
            for path, content in contents.items():
                if form in content:
                    sys.exit(f"{path} holds the account's {name}.")
print(f"The sandbox saw the account's {', '.join(list(KINDS)[:-1])} and {list(KINDS)[-1]}; "
      f"none of them is in any of the hospitals' {len(files)} files.")
