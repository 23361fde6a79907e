#!/usr/bin/env python3
"""Fails on a function of src/ that does not fit a screen (CONTRIBUTING.md, "Shape"), and on a file that is too
long. A function is counted from its name's line to its last brace; what is inside a class, too."""
import pathlib
import re
import sys

SCREEN, FILE = 60, 600
ALLOWED = {("circuits/aes128.cpp", "aes_sbox"): "a list of gates in the order of its source"}

TOKEN = re.compile(r'R"([^( ]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])+\''
                   r'|//[^\n]*|/\*.*?\*/|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M)
TYPE = re.compile(r"\b(class|struct|union|enum)\b[^()]*$")
SCOPE = re.compile(r"^\s*(inline\s+)?namespace\b|^\s*extern\s*$")


def blank(text, pattern):
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def bare(signature):
    """Without what holds parentheses or a = of its own, its lines kept."""
    signature = blank(signature, re.compile(r"\balignas\([^()]*\)"))
    for _ in range(4):
        signature = blank(signature, re.compile(r"<[^<>()]*>"))
    return signature


def functions(text):
    """Yields (name, first line, number of lines) of what has a body at the level of a namespace or a class."""
    # What is no code is blanked, its lines kept. A text stays something (`extern "C"` does not matter).
    text = blank(text, TOKEN)
    scopes, head, depth = ["scope"], 0, 0  # depth: of braces in what is no scope
    opened = None  # where the signature began whose body, or whose member's {..}, is open
    for at, char in enumerate(text):
        if char == "{":
            if depth == 0:
                signature = bare(text[head:at])
                if SCOPE.search(signature) or ("(" not in signature.split("=")[0] and TYPE.search(signature)):
                    scopes.append("scope")
                    head = at + 1
                    continue
                # `operator==(..)` has a parenthesis behind the =.
                before = re.sub(r"operator\s*\W+\(", "operator(", signature).split("=")[0]
                opened = head if "(" in before and not before.rstrip().endswith("=") else None
            depth += 1
        elif char == "}":
            if depth > 0:
                depth -= 1
                follows = text[at + 1:at + 80].lstrip()[:1]
                # `: a_{1}, b_(g({2})) {`: the body is still to come.
                if depth == 0 and not (opened is not None and follows in (",", "{", ")")):
                    if opened is not None:
                        name = re.search(r"(operator[^(]*|[\w~]+)\s*\(", bare(text[opened:at]))
                        first = text.count("\n", 0, opened + (name.start() if name else 0)) + 1
                        yield (name.group(1) if name else "?", first, text.count("\n", 0, at) + 2 - first)
                    opened, head = None, at + 1
            else:
                scopes.pop()
                head = at + 1
        elif depth == 0 and char == ";":
            head = at + 1


def check(name, text):
    """The errors of one file, `name` below src/."""
    lines = len(text.splitlines())
    out = [f"src/{name}: {lines} lines, more than {FILE}"] if lines > FILE else []
    return out + [f"src/{name}:{first}: {function} has {length} lines, more than a screen of {SCREEN}"
                  for function, first, length in functions(text)
                  if length > SCREEN and (name, function) not in ALLOWED]


def lines_of(count):
    return "  f('{');  // {\n" * count


# The check must be able to fail.
for start, end in (("void f() {\n", "}\n"), ("namespace a {\nstruct B {\n  int f() const {\n", "  }\n};\n}\n"),
                   ("T::T(int a)\n    : a_{a}, b_(g({1})) {\n", "}\n"), ("bool operator==(A a) {\n", "}\n")):
    assert not check("a.cpp", start + lines_of(SCREEN - start[start.rfind("\n", 0, -1) + 1:].count("\n") - 2) + end), start
    assert len(check("a.cpp", start + lines_of(SCREEN) + end)) == 1, start
assert len(check("a.cpp", "int a = 1;\n" * (FILE + 1))) == 1

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve() / "src"
errors, counted, seen = [], 0, set()
for path in sorted(root.rglob("*")):
    if path.suffix in (".h", ".cpp"):
        name, text = str(path.relative_to(root)), path.read_text()
        errors += check(name, text)
        found = list(functions(text))
        counted += len(found)
        seen |= {(name, function) for function, _, length in found if length > SCREEN}
errors += [f"tools/check_size.py: {function} of {name} needs no exception" for name, function in ALLOWED.keys() - seen]
if counted == 0:
    errors.append("no function was found: is this the right folder?")
print("\n".join(errors) or f"{counted} functions fit a screen of {SCREEN} lines")
sys.exit(1 if errors else 0)
