#!/usr/bin/env python3
"""Every test of every program is run by an entry of ctest. usage: check_suites.py BUILD-FOLDER

ctest's entries are filters made from the lines of the sources (CMakeLists.txt); a test that is written so
that no filter means it would silently not be run."""
import collections
import fnmatch
import json
import pathlib
import re
import subprocess
import sys

build = pathlib.Path(sys.argv[1]).resolve()
shown = subprocess.run(["ctest", "--show-only=json-v1"], cwd=build, capture_output=True, text=True, check=True)
filters = collections.defaultdict(list)
for test in json.loads(shown.stdout)["tests"]:
    command = test.get("command", [])
    chosen = [word for word in command[1:] if word.startswith("--gtest_filter=")]
    if chosen and pathlib.Path(command[0]).parent == build:  # not under valgrind
        filters[command[0]].append(chosen[0].removeprefix("--gtest_filter="))


def means(chosen, name):
    wanted, _, left_out = chosen.partition("-")
    matches = lambda patterns: any(fnmatch.fnmatchcase(name, p.replace("[", "[[]")) for p in patterns.split(":"))
    return matches(wanted or "*") and not (left_out and matches(left_out))


errors, count = [], 0
for program, chosen in sorted(filters.items()):
    listed = subprocess.run([program, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout
    suite = ""
    for line in listed.splitlines():
        if not line.startswith(" "):
            suite = line.split()[0] if re.match(r"[\w/]+\.", line) else ""
            continue
        name = suite + line.split()[0]
        count += 1
        if not any(means(one, name) for one in chosen):
            errors.append(f"{pathlib.Path(program).name}: {name} is run by no entry of ctest")
if count < 1000:
    errors.append(f"only {count} tests were listed: is this a build folder?")
print("\n".join(errors) or f"{count} tests of {len(filters)} programs are run")
sys.exit(1 if errors else 0)
