#!/usr/bin/env python3
"""Manual pages and shell completion, written from the programs themselves: from what `flexroom --describe` and
`flexroom schema` print, so that they say what --help and the loaders say. Same input, same bytes.

usage: pages.py VERSION SOURCE_DATE_EPOCH OUT FLEXROOM [OTHER_PROGRAM...]
Each program answers --describe (src/base/command_description.h); the first one also `schema NAME`."""
import datetime
import gzip
import json
import pathlib
import re
import subprocess
import sys

SCHEMAS = ("room", "member", "job", "links")
ABOUT_FILE = {
    "room": ("the members of a Flexroom room and the services they use", "The same at every member."),
    "member": ("one member of a Flexroom room", "Of one member alone; `flexroom init --identity` makes it."),
    "job": ("a script that the members of a Flexroom room run together", "The same at every member."),
    "links": ("one member's private links for a job", "Of one member alone, mode 0600."),
}


def described(program):
    return json.loads(subprocess.run([program, "--describe"], check=True, capture_output=True, text=True).stdout)


# --- the model: one node a command


def walk(node, path):
    """Yields (path, node) of a program's description, itself first."""
    yield path, node
    for command in node["commands"]:
        yield from walk(command, (*path, command["name"]))


def flags(node):
    return [one for one in node["options"] if not one["positional"]]


def positionals(node):
    return [one for one in node["options"] if one["positional"]]


def value_word(option):
    """The word for the value: without the list of what it may be."""
    return option["value"].split(":")[0].split(" in ")[0]


def choices(option):
    found = re.search(r"\{([^}]*)\}", option["value"])
    return found.group(1).split(",") if found else []


def synopsis(path, node):
    words = list(path)
    if flags(node):
        words.append("[OPTIONS]")
    if node["other_program"]:
        words.append("[ARGUMENTS]")
    words += [one["names"][0] if one["required"] else f"[{one['names'][0]}]" for one in positionals(node)]
    if node["commands"]:
        words.append("COMMAND" if node["needs_command"] else "[COMMAND]")
    return " ".join(words)


# --- roff


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha").replace("`", "\\(ga")
    return "\n".join("\\&" + line if line[:1] in ".'" else line for line in text.split("\n"))


def paragraph(text):
    return ".PP\n" + roff(" ".join(text.split()))


def example(text):
    return ".PP\n.RS 4\n.nf\n" + roff(text) + "\n.fi\n.RE"


def footer_parts(node):
    """The text and the examples of a footer."""
    text, lines = [], []
    for line in node["footer"].split("\n"):
        if line.startswith("  "):
            lines.append(line.strip())
        elif line != "For example":
            text.append(line)
    return "\n".join(text).strip(), "\n".join(lines)


def option_lines(options):
    out = []
    for one in options:
        name = ", ".join(f"\\fB{roff(name)}\\fR" for name in one["names"])
        value = f" \\fI{roff(value_word(one))}\\fR" if one["value"] and not one["positional"] else ""
        about = one["about"] + (f" One of: {', '.join(choices(one))}." if choices(one) else "")
        out.append(f".TP\n{name}{value}\n{roff(about) or 'required' if one['required'] else roff(about)}")
    return out


def header(name, section, version, date, title):
    stamp = datetime.datetime.fromtimestamp(date, datetime.timezone.utc).strftime("%Y-%m-%d")
    return f'.TH {name.upper()} {section} "{stamp}" "Flexroom {version}" "{title}"'


def joined(lines):
    """The page: what follows a heading is a paragraph anyway."""
    return re.sub(r"(?m)^(\.S[HS] .*)\n\.PP$", r"\1", "\n".join(lines)) + "\n"


def page_of_program(name, node, version, date):
    program = name == "flexroom"
    about = node["about"].split(" (docs/")[0].rstrip(".")
    if program:
        about = about.split(": ", 1)[-1]
    out = [header(name, 1, version, date, "Flexroom"), ".SH NAME", f"{roff(name)} \\- {roff(about)}", ".SH SYNOPSIS",
           f"\\fB{roff(name)}\\fR {roff(synopsis((), node))}", ".SH DESCRIPTION"]
    text, examples = footer_parts(node)
    paragraphs = text.split("\n\n")
    out.append(paragraph(paragraphs[0] if program else node["about"] + "."))
    out += [".SH OPTIONS", *option_lines(flags(node))]
    if node["commands"]:
        out.append(".SH COMMANDS")
    for path, command in list(walk(node, (name,)))[1:]:
        out += [".SS " + '"' + roff(synopsis(path, command)) + '"', paragraph(command["about"] + ".")]
        out += option_lines([one for one in positionals(command) + flags(command) if "--help" not in one["names"]])
        words, lines = footer_parts(command)
        out += [paragraph(words)] if words else []
        out += [example(lines)] if lines else []
    if not program:
        out += [".SH EXAMPLES", example(examples)] if examples else []
    for one in paragraphs[1:]:
        if one.startswith("Exit codes: "):
            codes, _, rest = one.removeprefix("Exit codes: ").partition(".\n")
            out.append(".SH EXIT STATUS")
            for entry in " ".join(codes.split()).split("; "):
                code, _, means = entry.partition(" ")
                out.append(f".TP\n.B {code}\n{roff(means)}")
            out += [".SH NOTES", paragraph(rest)] if rest else []
        elif program:
            out.append(paragraph(one))
    if program:
        out += [".SH ENVIRONMENT", ".TP\n.B FLEXROOM_MEMBER\n" + roff("in the place of --member"),
                ".SH FILES", ".TP\n.I /usr/share/flexroom/flows\n" + roff("the shipped flow files"),
                ".TP\n.I /usr/share/flexroom/recipes\nrecipes to begin with",
                ".TP\n.I /usr/share/flexroom/schemas\n" + roff("JSON schemas of the files below, for editors"),
                ".TP\n.I /usr/share/doc/flexroom/docs\nthe documentation"]
    others = ["flexroom-sandbox(1)" if program else "flexroom(1)"]
    if program:
        others += [f"{one}.toml(5)" for one in SCHEMAS]
    out += [".SH SEE ALSO", ",\n".join(f".BR {roff(one[:-3])} ({one[-2]})" for one in others)]
    return joined(out)


def table_sections(schema, part, heading):
    """Yields (heading, description, properties of plain keys, required) of a table and all below it."""
    plain, inner = {}, []
    for key, value in part["properties"].items():
        target = value.get("$ref") or value.get("items", {}).get("$ref") or \
            (value.get("additionalProperties") or {}).get("$ref")
        if target is None:
            plain[key] = value
            continue
        way = f"{heading}.{key}" if heading else key
        if "items" in value:
            shown = f"[[{way}]]"
        elif "additionalProperties" in value:
            shown, way = f"[{way}.NAME]", f"{way}.NAME"
        else:
            shown = f"[{way}]"
        inner.append((way, shown, value.get("description", ""), schema["definitions"][target.split("/")[-1]]))
    yield heading, plain, part.get("required", [])
    for way, shown, about, below in inner:
        for sub_heading, keys, required in table_sections(schema, below, way):
            yield (shown, about) if sub_heading == way else sub_heading, keys, required


def page_of_file(name, schema, version, date):
    what, whose = ABOUT_FILE[name]
    out = [header(f"{name}.toml", 5, version, date, "Flexroom files"), ".SH NAME",
           f"{name}.toml \\- {roff(what)}", ".SH DESCRIPTION",
           paragraph(whose + " A file in TOML, in UTF-8. Paths are relative to the file that names them. A key that is not "
                     "listed here is refused, with its line. What stands in parentheses holds where the key is left out.")]
    for heading, keys, required in table_sections(schema, schema, ""):
        shown, about = heading if isinstance(heading, tuple) else (heading, "")
        if not keys and not shown:
            continue
        out.append('.SH "' + roff(shown if shown else "KEYS") + '"')
        out += [paragraph(about + ".")] if about else []
        for key, value in keys.items():
            texts = value.get("enum") or value.get("items", {}).get("enum")
            kind = {"string": "text", "integer": "integer", "boolean": "true or false", "array": "list"}[value["type"]]
            more = f" One of: {', '.join(texts)}." if texts else ""
            if "minimum" in value:
                more += f" From {value['minimum']} to {value['maximum']}."
            must = ", required" if key in required else ""
            out.append(f".TP\n\\fB{roff(key)}\\fR ({kind}{must})\n{roff(value['description'] + '.' + more)}")
    out += [".SH SEE ALSO", ".BR flexroom (1)", paragraph("docs/files.md in /usr/share/doc/flexroom has examples and the whole story.")]
    return joined(out)


# --- completion: each shell finds the command by the same walk over the words, which skips values of options


def tables(node):
    """Of a program: [(path, commands, flags)], with the flags of all commands above."""
    out = []
    for path, command in walk(node, ()):
        names, at = [], node
        chain = [node]
        for word in path:
            at = next(one for one in at["commands"] if one["name"] == word)
            chain.append(at)
        if not command["other_program"]:
            for one in chain:
                names += [(name, option) for option in flags(one) for name in option["names"]]
        unique = {}
        for name, option in names:
            unique.setdefault(name, option)
        out.append((" ".join(path), command, unique))
    return out


def with_value(node):
    """Names of the options that take a value, of all commands: a name means one of both everywhere."""
    takes = {}
    for _, command in walk(node, ()):
        for option in flags(command):
            for name in option["names"]:
                if takes.setdefault(name, option["value"] != "") != (option["value"] != ""):
                    raise SystemExit(f"pages.py: {name} takes a value in one command and none in another")
    return sorted(name for name, value in takes.items() if value)


def all_choices(node):
    """[(path, name of an option or "" of the positional, choices)]."""
    return [(path, name, choices(option)) for path, command, names in tables(node)
            for name, option in [*names.items(), *(("", one) for one in positionals(command))] if choices(option)]


def quote(text):
    return "'" + text.replace("'", "'\\''") + "'"


SHELL_WALK = """  local path='' word previous='' {index}
  for (({index} = {first}; {index} < {end}; {index}++)); do
    word=${{{words}[{index}]}}
    case $previous in
      {valued}) previous=''; continue ;;
    esac
    previous=$word
    case "$path/$word" in
{steps}
    esac
  done
  local -a commands=() options=() choices=()
  case $path in
{known}
  esac
  case "$path:$previous" in
{chosen}
  esac
"""


def shell_walk(node, index, first, end, words):
    steps, known = [], []
    for path, command, names in tables(node):
        for one in command["commands"]:
            steps.append(f"      {quote(path + '/' + one['name'])}) path={quote((path + ' ' + one['name']).strip())} ;;")
        commands = " ".join(one["name"] for one in command["commands"])
        known.append(f"    {quote(path)}) commands=({commands}) options=({' '.join(names)}) ;;")
    chosen = []
    for path, name, values in all_choices(node):
        # Of a positional: whatever stands before it that is no option with a value.
        before = quote(path + ":" + name) if name else quote(path) + ":*"
        chosen.append(f"    {before}) choices=({' '.join(values)}) ;;")
    valued = "|".join(with_value(node)) or "''"
    return SHELL_WALK.format(index=index, first=first, end=end, words=words, valued=valued,
                             steps="\n".join(steps) or "      '') ;;", known="\n".join(known),
                             chosen="\n".join(chosen) or "    '') ;;")


def function_name(name):
    return "_" + name.replace("-", "_")


def bash_completion(name, node):
    valued = "|".join(with_value(node)) or "''"
    return f"""# bash completion of {name}, made from `{name} --describe`
{function_name(name)}() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}}
{shell_walk(node, "i", 1, "COMP_CWORD", "COMP_WORDS")}  COMPREPLY=()
  if [ ${{#choices[@]}} -gt 0 ] && [ "${{cur:0:1}}" != - ]; then
    mapfile -t COMPREPLY < <(compgen -W "${{choices[*]}}" -- "$cur")
    return
  fi
  case $previous in
    {valued}) return ;;
  esac
  case $cur in
    -*) mapfile -t COMPREPLY < <(compgen -W "${{options[*]}}" -- "$cur") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "${{commands[*]}}" -- "$cur") ;;
  esac
}}
complete -o default -F {function_name(name)} {name}
"""


def zsh_completion(name, node):
    valued = "|".join(with_value(node)) or "''"
    return f"""#compdef {name}
# zsh completion of {name}, made from `{name} --describe`
{function_name(name)}() {{
{shell_walk(node, "i", 2, "CURRENT", "words")}  if (( ${{#choices}} > 0 )) && [[ ${{words[CURRENT]}} != -* ]]; then
    compadd -- $choices
    return
  fi
  case $previous in
    {valued}) _files; return ;;
  esac
  if [[ ${{words[CURRENT]}} == -* ]]; then
    compadd -- $options
  elif (( ${{#commands}} > 0 )); then
    compadd -- $commands
  else
    _files
  fi
}}
{function_name(name)} "$@"
"""


def fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_completion(name, node):
    at = "__fish" + function_name(name) + "_at"
    steps = []
    for path, command, _ in tables(node):
        for one in command["commands"]:
            steps.append(f"            case {fish_quote(path + '/' + one['name'])}\n"
                         f"                set path {fish_quote((path + ' ' + one['name']).strip())}")
    out = [f"# fish completion of {name}, made from `{name} --describe`",
           f"function {at} --description 'whether the words name this command'",
           "    set -l path ''", "    set -l previous ''", "    for word in (commandline -opc)[2..-1]",
           f"        if contains -- \"$previous\" {' '.join(with_value(node)) or quote('')}",
           "            set previous ''", "            continue", "        end", "        set previous $word",
           "        switch \"$path/$word\"", *(steps or ["            case ''"]), "        end", "    end",
           "    test \"$path\" = \"$argv[1]\"", "end"]
    for path, command, names in tables(node):
        here = f"-n {fish_quote(f'{at} {fish_quote(path)}')}"
        if command["commands"]:
            out.append(f"complete -c {name} -f {here}")
        for one in command["commands"]:
            out.append(f"complete -c {name} {here} -a {one['name']} -d {fish_quote(one['about'])}")
        seen = []
        for option in names.values():
            if option in seen:
                continue
            seen.append(option)
            words = " ".join(f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}" for word in option["names"])
            value = " -r" if option["value"] else ""
            value += f" -f -a {fish_quote(' '.join(choices(option)))}" if choices(option) else ""
            out.append(f"complete -c {name} {here} {words}{value} -d {fish_quote(option['about'])}")
        for one in positionals(command):
            if choices(one):
                out.append(f"complete -c {name} -f {here} -a {fish_quote(' '.join(choices(one)))}")
    return "\n".join(out) + "\n"


def main():
    version, date, out, flexroom, *others = sys.argv[1:]
    out, date = pathlib.Path(out), int(date)
    (out / "schemas").mkdir(parents=True, exist_ok=True)
    for folder in ("man1", "man5", "bash", "zsh", "fish"):
        (out / folder).mkdir(exist_ok=True)

    def page(name, section, text):
        # No name and no time in its header.
        with open(out / f"man{section}" / f"{name}.{section}.gz", "wb") as raw:
            with gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
                packed.write(text.encode())

    for program in (flexroom, *others):
        name, node = pathlib.Path(program).name, described(program)
        page(name, 1, page_of_program(name, node, version, date))
        (out / "bash" / name).write_text(bash_completion(name, node))
        (out / "zsh" / f"_{name}").write_text(zsh_completion(name, node))
        (out / "fish" / f"{name}.fish").write_text(fish_completion(name, node))
    for name in (*SCHEMAS, "flow"):
        text = subprocess.run([flexroom, "schema", name], check=True, capture_output=True, text=True).stdout
        (out / "schemas" / f"{name}.schema.json").write_text(text)
        if name in SCHEMAS:
            page(f"{name}.toml", 5, page_of_file(name, json.loads(text), version, date))


if __name__ == "__main__":
    main()
