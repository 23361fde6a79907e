#!/usr/bin/python3
"""Manual pages and shell completion are made from the programs' own tables (packaging/pages.py). Held here against
what --help prints, which a person sees, and against the shells that read them.

usage: pages_test.py FLEXROOM FLEXROOM_SANDBOX PAGES_DIR [unittest arguments]
"""
import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

FLEXROOM, SANDBOX, PAGES = "", "", pathlib.Path()
SECONDS = 60


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=SECONDS,
                          stdin=subprocess.DEVNULL, **options)
    return done.returncode, done.stdout + done.stderr


def parse_help(text):
    """(commands, options, positionals) of what --help printed."""
    out = {"Subcommands": [], "Options": [], "Positionals": []}
    section = None
    for line in text.split("\n"):
        if re.fullmatch(r"\w+:", line):
            section = line[:-1]
        elif not line.strip():
            continue
        elif not line.startswith("  "):
            section = None
        elif section in out and re.match(r"  \S", line):
            word = line.split()[0]
            out[section] += [one for one in word.split(",")]
    return out["Subcommands"], out["Options"], out["Positionals"]


def helps():
    """{path: (commands, options, positionals)} of all commands of flexroom, read from --help alone."""
    out, todo = {}, [()]
    while todo:
        path = todo.pop()
        if path == ("sandbox",):  # its words are the other program's
            out[path] = ([], [], [])
            continue
        code, text = run(FLEXROOM, *path, "--help")
        assert code == 0, (path, text)
        out[path] = parse_help(text)
        todo += [(*path, command) for command in out[path][0]]
    return out


def page(name):
    section = name.rsplit(".", 1)[1]
    return gzip.open(PAGES / f"man{section}" / f"{name}.gz", "rt").read()


def plain(text):
    return re.sub(r"\\f[BIR]", "", text.replace("\\-", "-").replace("\\&", ""))


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.helps = helps()

    def test_the_manual_has_what_help_has(self):
        self.assertGreater(len(self.helps), 30)
        text = plain(page("flexroom.1"))
        sections = {}
        for part in text.split("\n.SS ")[1:]:
            head, _, body = part.partition("\n")
            words = [word for word in head.strip('"').split() if re.fullmatch(r"[a-z-]+", word)]
            sections[tuple(words[1:])] = (head, re.split(r"\n\.S[HS]", body)[0])
        self.assertEqual(set(sections), set(self.helps) - {()})
        for path, (_, options, positionals) in self.helps.items():
            if path == ():
                body = text.split(".SH OPTIONS")[1].split("\n.SH")[0]
                said = set(re.findall(r"(?<![\w-])--?[\w][\w-]*", "\n".join(
                    after.split("\n")[0] for after in body.split(".TP\n")[1:])))
                self.assertEqual(said, set(options), path)
                continue
            head, body = sections[path]
            names = "\n".join(after.split("\n")[0] for after in body.split(".TP\n")[1:])
            said = set(re.findall(r"(?<![\w-])--?[\w][\w-]*", names))
            self.assertEqual(said, set(options) - {"-h", "--help"}, path)
            for one in positionals:
                self.assertIn(one, head)
                self.assertRegex(names, rf"(?m)^{one}\b")
        for code in range(12):
            if code != 1:
                self.assertRegex(text.split(".SH EXIT STATUS")[1], rf"(?m)^\.B {code}$")

    def test_the_sandbox_has_its_own(self):
        code, text = run(SANDBOX, "--help")
        self.assertEqual(code, 0)
        _, options, _ = parse_help(text)
        body = plain(page("flexroom-sandbox.1")).split(".SH OPTIONS")[1].split("\n.SH")[0]
        names = "\n".join(after.split("\n")[0] for after in body.split(".TP\n")[1:])
        self.assertEqual(set(re.findall(r"(?<![\w-])--?[\w][\w-]*", names)), set(options))

    def test_the_pages_of_files_have_every_key_of_the_schema(self):
        for name in ("room", "member", "job", "links"):
            code, text = run(FLEXROOM, "schema", name)
            self.assertEqual(code, 0, text)
            self.assertEqual((PAGES / f"schemas/{name}.schema.json").read_text(), text)
            schema, shown = json.loads(text), plain(page(f"{name}.toml.5"))
            tables = [schema, *schema.get("definitions", {}).values()]
            keys = [key for table in tables for key, value in table["properties"].items()
                    if "$ref" not in json.dumps(value)]
            self.assertGreater(len(keys), 4)
            for key in keys:
                self.assertRegex(shown, rf"(?m)^{key} \(")
            self.assertEqual(len(re.findall(r"(?m)^[a-z_0-9]+ \((?:text|integer|true or false|list)", shown)), len(keys))

    def test_mandoc_finds_nothing_wrong(self):
        for file in sorted(PAGES.glob("man*/*.gz")):
            with tempfile.NamedTemporaryFile("w", suffix=".man") as raw:
                raw.write(gzip.open(file, "rt").read())
                raw.flush()
                # STYLE is of lines whose length a page that is made from texts does not choose.
                code, text = run("mandoc", "-T", "lint", "-W", "warning", raw.name)
                self.assertEqual((code, text), (0, ""), file)

    def test_the_same_input_gives_the_same_bytes(self):
        made = PAGES.parent / "CMakeCache.txt"
        epoch = run("date", "-u", "-d", re.search(r"(?m)^ -- .*>  (.*)$", (
            ROOT / "packaging/changelog").read_text()).group(1), "+%s")[1].strip()
        version = re.search(r"flexroom \(([\d.]+)-", (ROOT / "packaging/changelog").read_text()).group(1)
        self.assertTrue(made.exists())
        with tempfile.TemporaryDirectory() as again:
            code, text = run(ROOT / "packaging/pages.py", version, epoch, again, FLEXROOM, SANDBOX)
            self.assertEqual(code, 0, text)
            for file in sorted(pathlib.Path(again).rglob("*")):
                if file.is_file():
                    self.assertEqual(file.read_bytes(), (PAGES / file.relative_to(again)).read_bytes(), file)

    def completions(self, shell, words):
        """What the shell offers for the last word."""
        name = pathlib.Path(words[0]).name
        if shell == "bash":
            script = (f"source {PAGES}/bash/{name}; COMP_WORDS=({' '.join(repr(w) for w in words)}); "
                      f"COMP_CWORD={len(words) - 1}; _{name.replace('-', '_')}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
            return set(run("bash", "--norc", "-c", script)[1].split())
        if shell == "zsh":
            script = ("compadd() { shift; print -l -- \"$@\"; }; _files() { print FILES; }; "
                      f"words=({' '.join(repr(w) for w in words)}); CURRENT={len(words)}; source {PAGES}/zsh/_{name}")
            return set(run("zsh", "-f", "-c", script)[1].split())
        line = " ".join(words)
        with tempfile.TemporaryDirectory() as home:
            code, text = run("fish", "--no-config", "-c", f"source {PAGES}/fish/{name}.fish; complete -C {line!r}",
                             env={**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}, cwd=home)
            assert code == 0, text
        return {each.split("\t")[0] for each in text.split("\n") if each}

    def test_bash_completes_every_command_and_option(self):
        self.completes("bash", self.helps)

    def test_zsh_completes_every_command_and_option(self):
        self.completes("zsh", self.helps)

    def test_fish_completes_commands_and_options(self):
        # It takes a tenth of a second a word: some.
        self.completes("fish", {path: self.helps[path] for path in [(), ("secret",), ("secret", "import"), ("log",)]})

    def completes(self, shell, paths):
        if shutil.which(shell) is None:
            self.skipTest(f"{shell} is not there")
        for path, (commands, options, _) in paths.items():
            if path == ("sandbox",):
                continue
            words = ["flexroom", "--member", "secret", *path]
            if commands:
                self.assertEqual(self.completions(shell, [*words, ""]) - {"FILES"}, set(commands), path)
            offered = self.completions(shell, [*words, "-"]) | self.completions(shell, [*words, "--"])
            # Those of the commands above it as well, which the program takes behind it.
            above = {name for end in range(len(path)) for name in self.helps[path[:end]][1]}
            self.assertEqual(offered, set(options) | above, path)
        self.assertEqual(self.completions(shell, ["flexroom", "schema", "l"]) & {"links", "room"},
                         {"links"} if shell != "zsh" else {"links", "room"})
        self.assertEqual(self.completions(shell, ["flexroom-sandbox", "--key-type", ""]), {"ec", "rsa"})


ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    FLEXROOM, SANDBOX, PAGES = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
