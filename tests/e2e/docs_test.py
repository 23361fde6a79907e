#!/usr/bin/python3
"""Every command that the documentation shows is given to the program it names, in an empty folder: it must take the
arguments (exit code 2 says that it does not). So are the examples of --help. Options of scripts and names of presets are
held against the files; blocks of TOML against the published schemas. The pages for a browser are built and read.

usage: docs_test.py SOURCE_DIR FLEXROOM FLEXROOM_SANDBOX [unittest arguments]
"""
import html.parser
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
import unittest
import urllib.parse

SOURCE, FLEXROOM, SANDBOX = pathlib.Path(), "", ""
SECONDS = 60
USAGE = 2


def pages():
    return [page for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md") for page in [SOURCE / name]] + \
        sorted((SOURCE / "docs").glob("*.md"))


def fenced(text):
    """[(language, block)]."""
    return re.findall(r"(?ms)^```(\w*)\n(.*?)^```", text)


def code_of(page):
    """The pieces of code of a page: lines of blocks, then spans, which may be a command's name and no more."""
    return [piece for piece, _ in pieces_of(page)]


def pieces_of(page):
    """[(piece, whether it is a whole line)]."""
    text = page.read_text()
    out = []
    for language, block in fenced(text):
        if language in ("", "console", "sh", "bash"):
            out += [(line.strip(), True) for line in block.replace("\\\n", " ").split("\n")]
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    return out + [(re.sub(r"\s+", " ", span), False) for span in re.findall(r"`([^`]+)`", text)]


def words_of(line):
    """The words of a command line as a person would type it: without prompt, comment, explanation, redirections."""
    line = re.sub(r"^\$ ", "", line)
    line = re.split(r"\s#\s|\s{2,}|\s[|>]|\s&&\s|;", line)[0]
    line = re.sub(r"[\[\]]", "", line).replace("...", " ").replace("…", " ")
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def flexroom_lines():
    """[(page, words after flexroom, whether it is a whole line)] of all pages."""
    out = []
    for page in pages():
        for piece, whole in pieces_of(page):
            if not whole and re.search(r"[/ ]\d$", piece) and page.name in ("formats.md", "log-format.md"):
                continue  # "flexroom store/1": the name of a form, under which something is hashed
            words = words_of(piece)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]
            if words and re.fullmatch(r"(\S*/)?flexroom", words[0]) and len(words) > 1:
                out.append((page.name, words[1:], whole))
    return out


def concrete(words):
    """With something in the place of words that stand for one."""
    places = {"COMMAND": "status", "ENTRY": "1", "N": "1", "TIME": "1h", "PORT": "8443"}
    if words[:1] == ["schema"]:
        places["NAME"] = "room"
    return [places.get(word, word) for word in words]


class Docs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def give(self, words):
        """Runs flexroom with these words where nothing is: (exit code, what it said)."""
        env = {"PATH": os.environ["PATH"], "HOME": self.folder.name, "FLEXROOM_MEMBER": "nobody.toml"}
        done = subprocess.run([FLEXROOM, *words], capture_output=True, text=True, timeout=SECONDS, cwd=self.folder.name,
                              stdin=subprocess.DEVNULL, env=env)
        return done.returncode, done.stdout + done.stderr

    def taken(self, where, words, whole=True):
        """Fails unless the program takes the words. What is no whole line may lack what must follow."""
        words = concrete(words)
        command = next((word for word in words if not word.startswith("-")), "")
        if command in ("bench", "sandbox"):  # they begin at once: their arguments alone are read
            if command == "sandbox":
                done = subprocess.run([SANDBOX, *words[words.index("sandbox") + 1:], "--help"], capture_output=True,
                                      text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
                code, said = done.returncode, done.stdout + done.stderr
                known = said
            else:
                code, known = self.give([command, "--help"])
                said = known
            for word in words:
                if word.startswith("--"):
                    self.assertIn(word.split("=")[0], known, f"{where}: flexroom {' '.join(words)}")
        else:
            code, said = self.give(words)
        if not whole and re.search(r" is required| required TEXT missing|needs a command", said):
            return
        self.assertNotEqual(code, USAGE, f"{where}: flexroom {' '.join(words)}\n{said}")
        self.assertNotIn("terminate called", said)

    def test_every_command_is_one_that_the_program_takes(self):
        lines = flexroom_lines()
        self.assertGreater(len(lines), 60)
        seen = set()
        for where, words, whole in lines:
            if (*words, whole) in seen:
                continue
            seen.add((*words, whole))
            with self.subTest(where=where, words=" ".join(words)):
                self.taken(where, words, whole)

    def test_a_wrong_one_would_be_noticed(self):
        for words in (["secret", "imprt", "x.json"], ["run-script", "job.toml", "--clasic"], ["log", "show"], ["get"]):
            with self.assertRaises(AssertionError):
                self.taken("here", words)

    def test_spans_that_leave_flexroom_out(self):
        """`run-script JOB --classic`: a command of the program with options."""
        code, described = self.give(["--describe"])
        self.assertEqual(code, 0)
        commands = {one["name"]: one for one in json.loads(described)["commands"]}
        found = 0
        for page in pages():
            for piece in code_of(page):
                words = words_of(piece)
                if not words or words[0] not in commands or not any(word.startswith("--") for word in words):
                    continue
                found += 1
                known = {name for at in [json.loads(described), commands[words[0]], *commands[words[0]]["commands"]]
                         for option in at["options"] for name in option["names"]}
                for word in words:
                    if word.startswith("--") and words[0] != "sandbox":
                        with self.subTest(where=page.name, words=piece):
                            self.assertIn(word.split("=")[0].rstrip(",.:"), known)
        self.assertGreater(found, 10)

    def test_examples_of_help_are_taken(self):
        code, described = self.give(["--describe"])
        self.assertEqual(code, 0)

        def footers(node):
            yield node["footer"]
            for command in node["commands"]:
                yield from footers(command)

        lines = [words_of(line.strip()) for footer in footers(json.loads(described))
                 for line in footer.split("\n") if line.startswith("  flexroom ")]
        self.assertGreater(len(lines), 20)
        for words in lines:
            with self.subTest(words=" ".join(words)):
                self.taken("--help", words[1:])

    def test_scripts_and_presets_are_there(self):
        presets = json.loads((SOURCE / "CMakePresets.json").read_text())
        names = {kind: {one["name"] for one in presets[kind + "Presets"]} for kind in ("configure", "build", "test")}
        scripts = 0
        for page in pages():
            for piece in code_of(page):
                for part in re.split(r"&&|;", piece):
                    words = words_of(part.strip())
                    if not words:
                        continue
                    with self.subTest(where=page.name, words=" ".join(words)):
                        if words[0] in ("cmake", "ctest") and "--preset" in words:
                            kind = "test" if words[0] == "ctest" else "build" if "--build" in words else "configure"
                            self.assertIn(words[words.index("--preset") + 1], names[kind])
                        if re.fullmatch(r"(\./|python3 )?(check|demo|tools/[\w.]+|packaging/[\w.]+)", words[0]) and \
                                (SOURCE / words[0]).is_file() or words[0].startswith("tools/"):
                            file = SOURCE / words[0]
                            self.assertTrue(file.is_file(), words[0])
                            scripts += 1
                            text = file.read_text()
                            for word in words[1:]:
                                if word.startswith("--"):
                                    self.assertIn(word.split("=")[0], text)
        self.assertGreater(scripts, 10)

    def test_files_that_are_shown_fit_their_schema(self):
        sys.path.insert(0, str(SOURCE / "tools"))
        import json_schema
        blocks = 0
        for page in pages():
            for language, block in fenced(page.read_text()):
                if language != "toml":
                    continue
                value = tomllib.loads(block)
                name = "room" if "member" in value and "room" in value else "job" if "job" in value and "script" in value \
                    else "links" if "data_url" in value else "member" if "state_dir" in value else \
                    "flow" if "flow" in value and "step" in value or "recipe" in value else None
                if name is None:
                    continue
                blocks += 1
                code, text = self.give(["schema", name])
                self.assertEqual(code, 0)
                schema = json.loads(text)
                self.assertEqual(json_schema.problems(value, schema, schema), [], f"{page.name}: {name}")
                value["nobodys"] = 1
                if name != "flow":
                    self.assertNotEqual(json_schema.problems(value, schema, schema), [])
        self.assertGreaterEqual(blocks, 4)


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.ids, self.wrong, self.open = [], set(), [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "id" in given:
            self.ids.add(given["id"])
        if tag in ("script", "iframe", "object", "form") or any(name.startswith("on") for name in given):
            self.wrong.append(tag)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given or tag == "link":
            way = given.get("src") or given.get("href")
            self.links.append(way)
            if re.match(r"\w+:|//", way):
                self.wrong.append(f"{tag} {way}")
        if tag not in ("meta", "link", "br", "img", "hr"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")


class Site(unittest.TestCase):
    def test_pages_need_no_network_and_every_link_leads_somewhere(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "site"
            done = subprocess.run(["/usr/bin/python3", SOURCE / "packaging/site.py", SOURCE, out], capture_output=True,
                                  text=True, timeout=SECONDS)
            if "No module named 'markdown'" in done.stderr:
                self.skipTest("python3-markdown is not there")
            self.assertEqual(done.returncode, 0, done.stderr)
            read = {}
            for file in out.rglob("*.html"):
                read[file] = Reader()
                read[file].feed(file.read_text())
            self.assertGreaterEqual(len(read), len(pages()))
            links = 0
            for file, page in read.items():
                self.assertEqual(page.wrong, [], file)
                self.assertEqual(page.open, [], file)
                for link in page.links:
                    if re.match(r"\w+:", link):
                        continue
                    links += 1
                    path, _, anchor = link.partition("#")
                    target = (file.parent / urllib.parse.unquote(path)).resolve() if path else file
                    self.assertTrue(target.exists(), f"{file.relative_to(out)} links to {link}")
                    if anchor:
                        self.assertIn(anchor, read[target].ids, f"{file.relative_to(out)} links to {link}")
            self.assertGreater(links, 400)
            self.assertNotIn("@import", (out / "style.css").read_text())


if __name__ == "__main__":
    SOURCE, FLEXROOM, SANDBOX = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
