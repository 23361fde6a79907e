#!/usr/bin/env python3
"""Judges the output of BoringSSL's runner by tests.tsv.

usage: judge.py [--members] tests.tsv LOG...      says what is not as listed
       judge.py --of LOG tests.tsv LOG...         the tests of mode B that LOG is the first to have

A test is passed if it is in one of the logs: they are of one suite each. Of a test that `differs`
the log must show what the list says of it. --members: the logs are of mode B, which leaves out what
is marked `A`. Exit codes: 0 all as listed, 1 something is not.
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


def read_list(path):
    """name -> class, marks, and of a test that differs what is said and why."""
    listed = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                name, kind, *rest = line.rstrip("\n").split("\t")
                kind, *marks = kind.split(" ")
                listed[name] = (kind, marks, rest)
    return listed


def wrong_with(name, entry, found):
    """What is not as listed about a test in these blocks; empty if all is."""
    kind, _, rest = entry
    verdicts = {verdict for verdict, _ in found}
    if kind != "differs":
        if "PASSED" in verdicts:
            return ""
        return f"{name} ({kind}): {', '.join(sorted(verdicts)) or 'did not run'}"
    if "PASSED" in verdicts:
        return f"{name}: is passed now; tests.tsv says that it differs"
    said = "unexpected success" if rest[0] == "accepted" else rest[0]
    return "" if any(said in text for _, text in found) else f"{name}: does not say '{said}'"


def main():
    arguments = sys.argv[1:]
    members = arguments[0] == "--members"
    of = arguments[1] if arguments[0] == "--of" else None
    listed = read_list(arguments[2 if of else 1 if members else 0])
    logs = arguments[3 if of else 2 if members else 1 :]
    if members or of:
        listed = {name: entry for name, entry in listed.items() if "A" not in entry[1]}
    if of:
        for log in logs:
            own = {name: [found] for name, found in blocks(log).items()}
            fits = [n for n, e in listed.items() if n in own and not wrong_with(n, e, own[n])]
            if log == of:
                print(";".join(fits))
            for name in fits:
                del listed[name]
        return 0

    seen = collections.defaultdict(list)
    for log in logs:
        for name, found in blocks(log).items():
            seen[name].append(found)
    wrong = [w for name, entry in listed.items() if (w := wrong_with(name, entry, seen[name]))]
    for line in wrong:
        print(line)
    counts = collections.Counter(kind for kind, _, _ in listed.values())
    print(f"BoGo, mode {'B' if members else 'A'}: " +
          ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) +
          (f"; {len(wrong)} not as listed" if wrong else "; all as listed"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
