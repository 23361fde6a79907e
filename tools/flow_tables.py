"""Holds the step tables of docs/spec/operations.md (d) against the files in share/flows that they describe: for each step
number, name, host and way, what leaves, what is kept, what is opened, and the rules. Used by check_spec.py."""
import re
import tomllib

TABLES = {"CreateAccount": "create-account", "CreateSession": "create-session", "RunScript classic": "run-script-classic"}
HEAD = "| # | step | host, way | what leaves | kept | opened | rules |"


def shown(name):
    """As the tables write a name: `run/` is left out, what stays is bold."""
    return name.removeprefix("run/") if name.startswith("run/") else f"**{name}**"


def rows_of_page(text, title):
    """{(branch or '', number): (name, way, leaves, kept, opened, rules)}, each of the last four a set of texts."""
    at = text.index(f"**{title}** (`flows/{TABLES[title]}.toml`")
    rows = {}
    lines = text[text.index(HEAD, at):].splitlines()[2:]
    for line in lines:
        if not line.startswith("| "):
            break
        number, name, way, *sets, rules = [cell.strip() for cell in line.strip("|").split(" | ")]
        branch, _, last = number.strip().rpartition(" ")
        # Behind a ';' stands what no file can say.
        leaves, kept, opened = [set() if cell == "-" else set(cell.split("; ")[0].split(", ")) for cell in sets]
        rows[branch, int(last)] = (name, way, leaves, kept, opened, set() if rules == "-" else set(rules.split("; ")))
    return rows


def host_of(request):
    """The label by which the tables call a host: `s3` of flexroom-{{run}}.s3.us-east-1.amazonaws.com."""
    labels = re.search(r"^Host: (\S+)$", request, re.M).group(1).split(".")
    return next(label for label in labels if "{{" not in label and label != "api")


def row_of_step(step, secrets):
    leaves, kept, opened, rules = set(), set(), set(), set()
    for event, target in step.get("on", {}).items():
        rules.add(f"{event} {target}")
    if "proves" in step:
        rules.add(f"proves {step['proves']}")
    for name, keep in step.get("keep", {}).items():
        kept.add(shown(name) + (" (same)" if keep.get("missing") == "same" else ""))
    opened |= {shown(name) for name in step.get("open", {})}
    if "code" in step:
        opened.add("listed code")
    for test in step.get("assert", {}).values():
        slot = re.fullmatch(r"\{\{(.*)\}\}", test.get("equals", ""))
        if slot:
            opened.add(f"= {slot.group(1)}?")
    if "ask" in step:
        return f"{re.sub('[{}]', '', step['ask'])} is asked", leaves, kept, opened, rules
    for name, function in re.findall(r"\{\{([^ }]*)(?: as (\w+))?[^}]*\}\}", step["request"]):
        if name in secrets:
            leaves.add(shown(name) if "/" in name else f"**{name}**")
            if function:
                leaves.discard(shown(name))
                leaves.add(f"{shown(name)} as {function}")
    if "sign" in step:
        leaves.add("signature")
    reads = any(key in step for key in ("keep", "open", "assert", "item", "code"))
    way = "O" if step.get("sealed") is False else "S" if reads else "S0"
    return f"{host_of(step['request'])} {way}", leaves, kept, opened, rules


def rows_of_file(flow, secrets):
    rows = {}
    for branch, steps in [("", flow["step"]), *flow.get("branch", {}).items()]:
        for number, step in enumerate(steps, 1):
            rows[branch, number] = (step["name"], *row_of_step(step, secrets))
    return rows


def errors(root):
    """What page and files say differently, a line each."""
    page = (root / "docs/spec/operations.md").read_text()
    flows = {path.stem: tomllib.loads(path.read_text()) for path in (root / "share/flows").glob("*.toml")}
    secrets = set()  # whatever any shipped file bears, keeps or takes from a member: one file uses what another one made
    for flow in flows.values():
        secrets |= set(flow.get("born", {})) | set(flow.get("input", {}))
        for steps in [flow["step"], *flow.get("branch", {}).values()]:
            secrets |= {name for step in steps for name in step.get("keep", {})}
    out = []
    parts = ("name", "host and way", "what leaves", "kept", "opened", "rules")
    for title, file in TABLES.items():
        said, made = rows_of_page(page, title), rows_of_file(flows[file], secrets)
        if len(made) < 10:
            out.append(f"share/flows/{file}.toml: only {len(made)} steps were read")
        for key in sorted(said.keys() | made.keys()):
            where = f"docs/spec/operations.md: {title} {' '.join(map(str, key)).strip()}"
            if key not in said or key not in made:
                out.append(f"{where}: stands in {'the file' if key in made else 'the page'} alone")
                continue
            for part, on_page, in_file in zip(parts, said[key], made[key]):
                if on_page != in_file:
                    show = lambda value: value if isinstance(value, str) else "; ".join(sorted(value)) or "-"
                    out.append(f"{where}: {part} is '{show(on_page)}', in share/flows/{file}.toml '{show(in_file)}'")
    return out
