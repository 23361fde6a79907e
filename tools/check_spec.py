#!/usr/bin/env python3
"""Holds the code and docs/spec against each other. usage: check_spec.py ROOT

- Every section of docs/spec that a source, test or page cites exists.
- Every section that states rules, every numbered check and every attack of the specification is
  cited by a source or test, or stands in docs/spec/not-built.txt with the issue that builds it.
- What stands in not-built.txt is indeed cited nowhere, and the list is as long as NOT_BUILT says:
  it only shrinks, the number with it.
- The table of engine-v2.md has a row for each of its rules Q1..Q9; code and tests that it names exist.
  That of engine-v2-proof.md (P9) has a row for each lemma, uses each rule, and names tests that exist.
- The commands in the table of product.md are those of the program; what is marked there is none.
- The step tables of operations.md (d) are those of the shipped flow files (flow_tables.py).
"""
import pathlib
import re
import sys

import flow_tables

NOT_BUILT = 20  # lines of not-built.txt; never raise it but with a page that joins
root = pathlib.Path(sys.argv[1])
DOCUMENTS = {path.stem: path.read_text() for path in (root / "docs/spec").glob("*.md")}
# Which document a bare "§x.y" means, by the first folder below src/ or tests/unit/.
ROOMS = {**dict.fromkeys(["base", "math", "net", "ot", "mpc", "prep", "boolean", "store"], "boolean-engine"),
         **dict.fromkeys(["arith", "circuits", "tls", "http", "agent", "call", "flow"], "tls-in-mpc")}
DOCUMENT_OF_ROOMS = {"engine-v2": "boolean-engine"}  # the same rooms
# Sections with rules; the others explain, count or list.
RULES = {"boolean-engine": r"(2\.[134]|3\.\d|4\.[1-5]|5\.[23]|6\.[1235]|7\.\d|8\.\d|9\.\d|10\.[123])",
         "engine-v2": r"2\.[2-7]",
         "tls-complete": r"(1\.[1-4]|2\.2a?|2\.4|3|4\.2|5|6\.[123]|7|8\.[234]|9|10\.[12])",
         "members": r"(1\.[1-4]|2|3\.\d|4\.[2-5]|[5-8]\.\d|9\.[12])",
         "tls-in-mpc": r"(0\.3|1\.[2-9]|1\.1[01]|2\.[2-47]|3\.[2-6]|4\.[1-9]|4\.11|5\.[1-9]|5\.2a|5\.1[13]|6\.[12])"}
# Labels that name a check or rule inside a section, and the rooms whose code may cite them bare.
LABELS = {"tls-in-mpc": [f"A{i}" for i in range(1, 5)] + [f"C{i}" for i in range(1, 6)] + ["R0"] +
          [f"R2-{i}" for i in range(1, 8)],
          "boolean-engine": [f"10.1({i})" for i in range(1, 10)],
          "engine-v2": [f"Q{i}" for i in range(1, 10)]}


def sections(text):
    found = set()
    for line in text.splitlines():
        match = re.match(r"#{2,3} (?:Appendix ([A-Z])|([VP]?\d+(?:\.\d+)?[a-z]?)\.? |\(([a-z])\))", line)
        if match:
            found.add(next(group for group in match.groups() if group))
    return found


SECTIONS = {name: sections(text) for name, text in DOCUMENTS.items()}
errors = []


def files():
    for folder in ("src", "include", "tests", "fuzz", "bench", "tools"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".h", ".cpp", ".py") and path.name != "check_spec.py":
                yield path
    for path in sorted((root / "docs").glob("*.md")):
        yield path


cited = {name: set() for name in DOCUMENTS}     # sections
texts = {}
checked = 0
for path in files():
    text = path.read_text()
    texts[path] = text
    parts = path.relative_to(root).parts
    room = parts[2] if parts[:2] == ("tests", "unit") else parts[1]
    for match in re.finditer(r"§\s*([VP]?\d+(?:\.\d+)*[a-z]?|\([a-z]\)|[A-Z]\b)", text):
        named = re.findall(r"\b(?:[a-z]+(?:-[a-z0-9]+)*\.md|RFC ?\d{4}|FIPS ?\d+)\b", text[max(0, match.start() - 160):match.start()])
        if named and not named[-1].endswith(".md"):
            continue
        section = match.group(1).strip("()")
        checked += 1
        # A bare § belongs to the document named last or to that of its room; where neither is known to any.
        names = [named[-1][:-3]] if named and named[-1][:-3] in DOCUMENTS else [ROOMS[room]] if room in ROOMS else sorted(DOCUMENTS)
        holder = next((n for n in names if section in SECTIONS[n]), None)
        if holder is None:
            line = text.count("\n", 0, match.start()) + 1
            errors.append(f"{path.relative_to(root)}:{line}: cites §{section}, which {' or '.join(names)} lacks: name the page")
        else:
            if parts[0] in ("src", "include", "tests", "fuzz"):  # a page that cites a rule keeps none
                cited[holder].add(section)
    for match in re.finditer(r"\b(boolean-engine|engine-v2|tls-in-mpc|tls-complete|members)(?:\.md)? (\d+\.\d+[a-z]?)\b", text):
        checked += 1
        if match.group(2) not in SECTIONS[match.group(1)]:
            line = text.count("\n", 0, match.start()) + 1
            errors.append(f"{path.relative_to(root)}:{line}: cites {match.group(1)} {match.group(2)}, which is no section there")

not_built = {}
for number, line in enumerate((root / "docs/spec/not-built.txt").read_text().splitlines(), 1):
    if not line or line.startswith("#"):
        continue
    key, separator, issue = line.partition(" : ")
    if not separator or not issue.strip():
        errors.append(f"docs/spec/not-built.txt:{number}: 'WHAT : ISSUE' is wanted")
    not_built[key.strip()] = issue.strip()

code = {path: text for path, text in texts.items() if path.suffix != ".md"}
wanted = {}
for document, pattern in RULES.items():
    for section in SECTIONS[document]:
        if re.fullmatch(pattern, section):
            # "§5.2" cites 5.2; a section is also cited by a deeper number.
            wanted[f"{document} {section}"] = section in cited[document]
for document, labels in LABELS.items():
    rooms = [room for room, doc in ROOMS.items() if doc == DOCUMENT_OF_ROOMS.get(document, document)] + ["malicious", "interop", "session"]
    for label in labels:
        pattern = re.compile(r"(?<!\w)" + re.escape(label) + r"(?![\w-])")
        wanted[f"{document} {label}"] = any(
            pattern.search(text) for path, text in code.items()
            if any(part in rooms for part in path.relative_to(root).parts)) or bool(
                document == "boolean-engine" and label in texts[root / "docs/attacks.md"])

# Rule, `file` `name in it` ..., `Suite.Test` ...
all_tests = {".".join(pair) for path, text in code.items() if path.relative_to(root).parts[0] == "tests"
             for pair in re.findall(r"\bTEST(?:_[PF])?\(\s*(\w+),\s*(\w+)\)", text)}
kept = re.findall(r"^\| (Q\d) \| ([^|]*`[^|]*`[^|]*) \| ([^|]*) \|$", DOCUMENTS["engine-v2"].split("## V5.")[1].split("\n## ")[0], re.M)
if sorted(rule for rule, _, _ in kept) != LABELS["engine-v2"]:
    errors.append("docs/spec/engine-v2.md: the table of V5 has not one row for each of Q1..Q9")
for rule, places, tests in kept:
    pairs = re.findall(r"`([\w/.]+)` `([\w:]+)`", places)
    for file, name in pairs:
        if not re.search(rf"\b{name.split('::')[-1]}\b", texts.get(root / "src" / file, "")):
            errors.append(f"docs/spec/engine-v2.md: {rule}: src/{file} has no {name}")
    named = re.findall(r"`(\w+\.\w+)`", tests)
    errors += [f"docs/spec/engine-v2.md: {rule}: no test {test}" for test in named if test not in all_tests]
    if not pairs or not named:
        errors.append(f"docs/spec/engine-v2.md: {rule} names no code, or no test")

# Statement, rules that it uses, `Suite.Test` ...
proved = re.findall(r"^\| (Lemmas? [^|]*) \| ([^|]*) \| ([^|]*) \|$", DOCUMENTS["engine-v2-proof"].split("## P9.")[1].split("\n## ")[0], re.M)
lemmas = {number for statement, _, _ in proved for number in re.findall(r"\d+", statement.split(":")[0])}
if lemmas != set(re.findall(r"^\*\*Lemma (\d+)", DOCUMENTS["engine-v2-proof"], re.M)) or not lemmas:
    errors.append("docs/spec/engine-v2-proof.md: the table of P9 has not the lemmas of the page")
if sorted({rule for _, rules, _ in proved for rule in re.findall(r"Q\d", rules)}) != LABELS["engine-v2"]:
    errors.append("docs/spec/engine-v2-proof.md: the table of P9 does not use each of Q1..Q9")
for statement, rules, tests in proved:
    named = re.findall(r"`(\w+\.\w+)`", tests)
    errors += [f"docs/spec/engine-v2-proof.md: {statement}: no test {test}" for test in named if test not in all_tests]
    if not named or "Q" not in rules:
        errors.append(f"docs/spec/engine-v2-proof.md: {statement} names no test, or no rule")

attacks_page = texts[root / "docs/attacks.md"]
listed = {}
for row in re.findall(r"^\| ([\d, bc–-]+) \|[^|]*\|([^|]*)\|", attacks_page, re.M):
    for item in re.findall(r"\d+", row[0]):
        listed[int(item)] = listed.get(int(item), False) or "`" in row[1]
for document, heading in (("tls-in-mpc", "## 8."), ("tls-complete", "## 11.")):  # one row of numbers over both
    for number in re.findall(r"^\| (\d+) \|", DOCUMENTS[document].split(heading)[1], re.M):
        wanted[f"{document} attack {number}"] = listed.get(int(number), False)

named_attacks = {number for row, tests in re.findall(r"^\| (M[\dM, ]+) \|[^|]*\|([^|]*)\|", attacks_page, re.M)
                 if "`" in tests for number in re.findall(r"M\d+", row)}
for number in re.findall(r"^\| (M\d+) \|", DOCUMENTS["members"], re.M):
    wanted[f"members attack {number}"] = number in named_attacks

for key, there in sorted(wanted.items()):
    if not there and key not in not_built:
        errors.append(f"docs/spec: {key} is cited by no source or test (docs/attacks.md for attacks) and is not in not-built.txt")
    if there and key in not_built:
        errors.append(f"docs/spec/not-built.txt: {key} is built: take it off the list")
for key in not_built:
    if key not in wanted:
        errors.append(f"docs/spec/not-built.txt: {key} is nothing that the specification numbers")

if len(not_built) != NOT_BUILT:
    errors.append(f"docs/spec/not-built.txt: {len(not_built)} entries, NOT_BUILT of check_spec.py is {NOT_BUILT}: " +
                  ("lower it" if len(not_built) < NOT_BUILT else "the list only shrinks"))


def commands_of_the_page():
    """From the first cells of the table: ("secret import", whether it is marked as not built)."""
    table = DOCUMENTS["product"].split("## 3.")[1].split("\n## ")[0]
    for cell in re.findall(r"^\| (`flexroom .*?) \|", table, re.M):
        for text in re.findall(r"`([^`]*)`", cell):
            words = [word for word in text.removeprefix("flexroom ").split() if re.fullmatch(r"[a-z/-]+", word)]
            for last in words[-1].split("/"):
                yield " ".join(words[:-1] + [last]), "†" in cell


# Where the command line makes them: add(TO, "NAME", ..), of_run("NAME", ..), add_subcommand("NAME", ..).
makers = re.findall(r'\b(?:add|add_subcommand|of_run)\(\s*(?:\*?(\w+),\s*)?"([a-z-]+)"', "".join(texts[path] for path in sorted(texts) if path.match("src/cli/*_line*.cpp")))
program = {name if to in ("", "app_") else f"{to} {name}" for to, name in makers if name not in ("export",)}
page = dict(commands_of_the_page())
groups = {name.split()[0] for name in page if " " in name}
for name in sorted(program - set(page) - groups):
    errors.append(f"docs/spec/product.md: the table lacks `flexroom {name}`")
for name, marked in sorted(page.items()):
    if marked and name in program:
        errors.append(f"docs/spec/product.md: `flexroom {name}` is built: take its † off")
    if not marked and name not in program:
        errors.append(f"docs/spec/product.md: `flexroom {name}` is no command: mark it with †")

# A mark behind a name of the program, anywhere on the page, and a page that calls itself not built.
for name in sorted(program - groups):
    if re.search(rf"`{name}(?: [^`]*)?` †|\b{re.sub('-', '', name.title())} †", DOCUMENTS["product"]):
        errors.append(f"docs/spec/product.md: `{name}` is built: take its † off")
for document, text in DOCUMENTS.items():
    if "**Not built" in text[:2000]:
        errors.append(f"docs/spec/{document}.md: says at its top that nothing is built")

errors += flow_tables.errors(root)

if len(program) < 20:
    errors.append(f"only {len(program)} commands were found in src/cli/command_line.cpp")
if checked < 150 or len(wanted) < 150:
    errors.append(f"only {checked} citations of {len(wanted)} rules were looked at: is this the root?")
print("\n".join(errors) or f"{checked} citations hold; {len(wanted) - len(not_built)} of {len(wanted)} rules and attacks are cited")
sys.exit(1 if errors else 0)
