#!/usr/bin/env python3
"""Alters one check at a time and sees that a test fails: a mutation run over tools/mutants.tsv.

usage: tools/mutate.py [--check | --list] [NAME...]

Each line of the list, separated by tabs:
  name   test program   gtest filter   file   original line   altered line   [file original altered ...]
Lines are compared without their indentation; every equal line of the file is altered; an altered
line may be empty. A filter that starts with "argued:" says why a survivor is none of a check.

Works on a copy of the tracked files in build/mutate, in a build directory there; the tree itself is
not touched. --check only says whether every original line, and a test for every part of a filter, is
still there. Exit codes: 0 all killed or argued, 1 a survivor or a line that is not there, 2 the
unaltered tree does not build or fails.
"""
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COPY = os.path.join(ROOT, "build", "mutate", "tree")
BUILD = os.path.join(ROOT, "build", "mutate", "build")
WARNINGS = "cmake/warnings.cmake"  # a check that is gone leaves names unused
TEST_SECONDS = 300  # an altered check may let a protocol wait for ever


class Mutant:
    def __init__(self, line, number):
        fields = line.rstrip("\n").split("\t")
        if len(fields) < 6 or len(fields) % 3 != 0:
            sys.exit(f"tools/mutants.tsv:{number}: {len(fields)} fields; see tools/mutate.py")
        self.name, self.program, self.filter = fields[:3]
        self.argued = self.filter.startswith("argued:")
        self.edits = {}  # file -> {original: altered}
        for file, original, altered in zip(fields[3::3], fields[4::3], fields[5::3]):
            self.edits.setdefault(file, {})[original.strip()] = altered.strip()

    def missing(self, root):
        """What of it is not in the tree any more."""
        out = []
        for file, edits in self.edits.items():
            try:
                with open(os.path.join(root, file), encoding="utf-8") as source:
                    lines = {line.strip() for line in source}
            except OSError:
                out.append(f"{self.name}: no {file}")
                continue
            out += [f"{self.name}: not in {file}: {o}" for o in edits if o not in lines]
        return out

    def apply(self, root):
        """Alters the files; returns what they were."""
        before = {}
        for file, edits in self.edits.items():
            path = os.path.join(root, file)
            with open(path, encoding="utf-8") as source:
                before[path] = source.read()
            lines = [edits.get(line.strip(), line) for line in before[path].split("\n")]
            write(path, "\n".join(lines))
        return before


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    # The clock of a file system may be coarse; the next build must see the change.
    stamp = time.time() + 1
    os.utime(path, (stamp, stamp))


def read_list():
    with open(os.path.join(ROOT, "tools", "mutants.tsv"), encoding="utf-8") as source:
        return [
            Mutant(line, number)
            for number, line in enumerate(source, 1)
            if line.strip() and not line.startswith("#")
        ]


def filters_of_nothing(mutants):
    """Parts of filters that name no test of the sources."""
    tests = set()
    for folder, _, files in os.walk(os.path.join(ROOT, "tests")):
        for file in files:
            if file.endswith(".cpp"):
                with open(os.path.join(folder, file), encoding="utf-8") as source:
                    found = re.findall(r"^(?:TYPED_)?TEST(?:_[PF])?\(\s*(\w+),\s*(\w+)", source.read(), re.M)
                    tests.update(f"{suite}.{test}" for suite, test in found)
    out = []
    for m in mutants:
        for part in [] if m.argued else m.filter.partition("-")[0].split(":"):
            # Without what comes before the suite and behind the test: of instances and their parameters.
            named = re.sub(r"^[^.]*/", "", re.sub(r"/[^.]*$", "", part))
            suite, _, test = named.partition(".")
            named = re.sub(r"/.*", "", suite) + "." + test if test else named
            if not any(fnmatch.fnmatchcase(one, named) for one in tests):
                out.append(f"{m.name}: no test is called {part}")
    return out


def copy_tree():
    """Tracked files; one that did not change keeps its time, so that little is built again."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, tracked):
        source, target = os.path.join(ROOT, name), os.path.join(COPY, name)
        if not os.path.isfile(source):
            continue
        with open(source, "rb") as file:
            content = file.read()
        if name == WARNINGS:
            content = content.replace(b" -Werror", b"")
        if os.path.isfile(target):
            with open(target, "rb") as file:
                if file.read() == content:
                    continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)
        shutil.copymode(source, target)


def build(programs):
    command = ["ninja", "-C", BUILD, "--quiet", *sorted(programs)]
    return subprocess.run(command, capture_output=True, text=True)


def passes(program, gtest_filter):
    command = [os.path.join(BUILD, program), f"--gtest_filter={gtest_filter}", "--gtest_brief=1"]
    try:
        ran = subprocess.run(command, cwd=COPY, capture_output=True, text=True, timeout=TEST_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    if " 0 tests from 0 test" in ran.stdout:
        sys.exit(f"no test of {program} matches {gtest_filter}")
    return ran.returncode == 0


def chosen(names):
    """Those of these names, or all."""
    mutants = read_list()
    unknown = set(names) - {m.name for m in mutants}
    if unknown:
        sys.exit(f"not in tools/mutants.tsv: {', '.join(sorted(unknown))}")
    return [m for m in mutants if m.name in names] if names else mutants


def prepare(to_run):
    """Builds the unaltered copy and runs its tests; where that fails, says so and returns False."""
    copy_tree()
    configure = ["cmake", "-S", COPY, "-B", BUILD, "-G", "Ninja", "--log-level=WARNING",
                 "-DCMAKE_BUILD_TYPE=", "-DCMAKE_CXX_FLAGS=-O1"]
    subprocess.run(configure, check=True)
    programs = {m.program for m in to_run}
    built = build(programs)
    if built.returncode != 0:
        print(built.stdout[-4000:], "the unaltered tree does not build", sep="\n")
        return False
    for program in sorted(programs):
        filters = ":".join(sorted({m.filter for m in to_run if m.program == program}))
        if not passes(program, filters):
            print(f"{program} --gtest_filter={filters} fails on the unaltered tree")
            return False
    return True


def verdict_on(mutant):
    """What becomes of one: killed, survived, or does not build (then why is printed)."""
    before = mutant.apply(COPY)
    try:
        built = build({mutant.program})
        if built.returncode != 0:
            print(built.stdout[-2000:])
            return "does not build"
        return "survived" if passes(mutant.program, mutant.filter) else "killed"
    finally:
        for path, text in before.items():
            write(path, text)


def main():
    arguments = sys.argv[1:]
    options = {a for a in arguments if a.startswith("-")}
    if options - {"--check", "--list"}:
        sys.exit(__doc__)
    mutants = chosen([a for a in arguments if not a.startswith("-")])
    missing = [problem for m in mutants for problem in m.missing(ROOT)]
    missing += filters_of_nothing(mutants)
    if missing:
        print("\n".join(missing))
        print("mend tools/mutants.tsv: the line moved, or the check or its test is gone")
        return 1
    if "--list" in options:
        for m in mutants:
            print(m.name, m.program, m.filter, *m.edits)
    if options:
        return 0

    to_run = [m for m in mutants if not m.argued]
    if not prepare(to_run):
        return 2
    survivors = []
    for number, m in enumerate(to_run, 1):
        started = time.monotonic()
        verdict = verdict_on(m)
        print(f"[{number}/{len(to_run)}] {m.name}: {verdict}, {time.monotonic() - started:.0f} s",
              flush=True)
        if verdict != "killed":
            survivors.append(m.name)
    for m in mutants:
        if m.argued:
            print(f"{m.name}: {m.filter}")
    if survivors:
        print(f"{len(survivors)} not killed: {', '.join(survivors)}")
        return 1
    print(f"{len(to_run)} killed, {len(mutants) - len(to_run)} argued")
    return 0


if __name__ == "__main__":
    sys.exit(main())
