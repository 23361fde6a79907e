#!/usr/bin/env python3
"""Fails on any #include that goes against docs/layers.txt (dependencies point one way, down), and if
the figure of docs/architecture.md names other folders. `*` is every layer but cloud: the sandbox is a
program of its own, and no process that holds shares has a byte of it."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
allowed = {}
for line in (root / "docs/layers.txt").read_text().splitlines():
    if line.strip():
        name, uses = line.split(":")
        allowed[name.strip()] = uses.split()

errors, checked = [], 0
errors += [f"docs/layers.txt: {layer} may not use cloud" for layer, uses in allowed.items() if "cloud" in uses]
for path in sorted((root / "src").rglob("*")):
    if path.suffix not in (".h", ".cpp"):
        continue
    layer = path.relative_to(root / "src").parts[0]
    if layer not in allowed:
        errors.append(f"{path}: layer '{layer}' is not in docs/layers.txt")
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not match:
            continue
        checked += 1
        target = match.group(1).split("/")[0]
        if target == "flexroom":  # include/flexroom: made in room/, for who stands above it
            if layer != "room" and "room" not in allowed[layer] and allowed[layer] != ["*"]:
                errors.append(f"{path}:{number}: {layer} may not include {match.group(1)}")
            continue
        if match.group(1).startswith("."):
            errors.append(f"{path}:{number}: relative include {match.group(1)}")
        elif target != layer and (target == "cloud" or
                                  allowed[layer] != ["*"] and target not in allowed[layer]):
            errors.append(f"{path}:{number}: {layer} may not include {match.group(1)}")

figure = (root / "docs/architecture.md").read_text().split("```")[1]
drawn = re.findall(r"\b([a-z]+)/\s", re.sub(r"\(.*?\)", "", figure))
for layer in sorted(set(drawn) ^ set(allowed)):
    where = "docs/layers.txt" if layer in drawn else "the figure"
    errors.append(f"docs/architecture.md: {layer}/ is not in {where}")
errors += [f"docs/architecture.md: {layer}/ stands twice in the figure"
           for layer in sorted(set(drawn)) if drawn.count(layer) > 1]

if checked == 0:
    errors.append("no include was checked: is this the right folder?")
print("\n".join(errors) or f"{checked} includes follow docs/layers.txt")
sys.exit(1 if errors else 0)
