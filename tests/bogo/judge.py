#!/usr/bin/env python3
"""Judges the output of BoringSSL's runner by tests.tsv. usage: judge.py tests.tsv LOG...

A test is passed if it is in one of the logs: they are of one suite each. Of a test that `differs`
the log must show what the list says of it. Exit codes: 0 all as listed, 1 something is not.
"""
import collections
import re
import sys


def blocks(log):
    """What the runner printed of each test: name -> (verdict, text)."""
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read()
    starts = list(re.finditer(r"^(PASSED|FAILED|UNIMPLEMENTED) \((.*)\)$", text, re.M))
    ends = [s.start() for s in starts[1:]] + [len(text)]
    return {s[2]: (s[1], text[s.start() : end]) for s, end in zip(starts, ends)}


def main():
    listed = {}
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                name, *fields = line.rstrip("\n").split("\t")
                listed[name] = fields
    seen = collections.defaultdict(list)
    for log in sys.argv[2:]:
        for name, found in blocks(log).items():
            seen[name].append(found)

    wrong, counts = [], collections.Counter()
    for name, (kind, *rest) in listed.items():
        verdicts = {verdict for verdict, _ in seen[name]}
        kind = kind.split(" ")[0]
        counts[kind] += 1
        if kind != "differs":
            if "PASSED" not in verdicts:
                wrong.append(f"{name} ({kind}): {', '.join(sorted(verdicts)) or 'did not run'}")
            continue
        said = "unexpected success" if rest[0] == "accepted" else rest[0]
        if "PASSED" in verdicts:
            wrong.append(f"{name}: is passed now; tests.tsv says that it differs")
        elif not any(said in text for _, text in seen[name]):
            wrong.append(f"{name}: does not say '{said}'")
    for line in wrong:
        print(line)
    print("BoGo: " + ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) +
          (f"; {len(wrong)} not as listed" if wrong else "; all as listed"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
