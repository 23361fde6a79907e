#!/usr/bin/python3
"""The library as others use it: installed into a prefix, its headers compiled alone, the four
examples built against the installed package and run.

usage: library_test.py SOURCE_DIR BUILD_DIR FLEXROOM_BINARY [unittest arguments]
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE, BUILD, FLEXROOM = pathlib.Path(), pathlib.Path(), ""
SECONDS = 240  # a step that takes longer hangs
HOST = "sts.us-east-1.amazonaws.com"


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=SECONDS,
                          stdin=subprocess.DEVNULL, **options)
    return done.returncode, done.stdout + done.stderr


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="flexroom-library-"))
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.prefix = cls.work / "prefix"
        cls.must("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "library")
        cls.include = cls.prefix / "include"

    @classmethod
    def must(cls, *command, **options):
        code, text = run(*command, **options)
        assert code == 0, f"{command}: {code}\n{text}"
        return text

    def test_a_headers_stand_alone(self):
        headers = sorted((self.include / "flexroom").glob("*.h"))
        self.assertGreaterEqual(len(headers), 6)
        for header in headers:
            unit = self.work / "one.cpp"
            unit.write_text(f"#include <flexroom/{header.name}>\n#include <flexroom/{header.name}>\n"
                            "int main() { return 0; }\n")
            code, text = run("c++", "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                             "-fsyntax-only", f"-I{self.include}", unit)
            self.assertEqual(code, 0, f"{header.name}\n{text}")
            for included in re.findall(r'#\s*include\s*["<]([^">]+)', header.read_text()):
                self.assertRegex(included, r"^(flexroom/\w+\.h|\w+)$", header.name)

    def test_b_examples_run(self):
        build = self.work / "examples"
        self.must("cmake", "-S", SOURCE / "examples/library", "-B", build, "-DCMAKE_BUILD_TYPE=Release",
                  f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.must("cmake", "--build", build, "-j", "2")
        with self.subTest("03_boolean_engine_aes"):
            text = self.must(build / "03_boolean_engine_aes")
            self.assertEqual(text.count("3925841d02dc09fbdc118597196a0b32"), 2, text)
        with self.room() as (members, cloud):
            with self.subTest("02_tls_client"):
                arguments = [HOST, "/", cloud["ca"], "127.0.0.1", cloud["port"]]
                text = self.must(build / "02_tls_client", *arguments)
                self.assertRegex(text, r"party 0: status \d+, \d+ bytes")
                self.assertRegex(text, r"party 1: status \d+, \d+ bytes")
                # Another authority than the one that signed: nothing is sent to whoever this is.
                code, text = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                 "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other", "-keyout",
                                 self.work / "other.key", "-out", self.work / "other.pem")
                self.assertEqual(code, 0, text)
                arguments[2] = self.work / "other.pem"
                code, text = run(build / "02_tls_client", *arguments)
                self.assertEqual(code, 5, text)
                self.assertIn("certificate", text)
            with self.subTest("01_agreed_call"):
                url = f"https://{HOST}/"
                for code, text in self.both(members, build / "01_agreed_call", [url, url]):
                    self.assertEqual(code, 0, text)
                    self.assertRegex(text, r"status \d+, \d+ bytes")
                # Who proposes something else is named, with both values, and nothing is contacted.
                others = self.both(members, build / "01_agreed_call", [url, url + "other"])
                for code, text in others:
                    self.assertEqual(code, 4, text)
                self.assertTrue(any("url" in text and "/other" in text for _, text in others), others)
            with self.subTest("04_watch_progress"):
                for code, text in self.both(members, build / "04_watch_progress", ["1000", "1000"]):
                    self.assertEqual(code, 0, text)
                    self.assertIn("100 %", text)
                    self.assertRegex(text, r"in stock: \d{4,} triples")

    def both(self, members, program, last):
        started = [subprocess.Popen([str(program), str(member / "member.toml"), argument],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    stdin=subprocess.DEVNULL)
                   for member, argument in zip(members, last)]
        out = []
        for process in started:
            try:
                text, _ = process.communicate(timeout=SECONDS)
            finally:
                process.kill()
            out.append((process.returncode, text))
        return out

    @contextlib.contextmanager
    def room(self):
        cloud = self.work / "cloud"
        log = open(self.work / "cloud.log", "wb")
        sandbox = subprocess.Popen([FLEXROOM, "--json", "sandbox", "--dir", str(cloud)], stdout=log,
                                   stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            end = time.monotonic() + SECONDS
            while not (cloud / "endpoints.json").exists() and time.monotonic() < end:
                self.assertIsNone(sandbox.poll())
                time.sleep(0.05)
            endpoints = json.loads((cloud / "endpoints.json").read_text())
            made = {"ca": cloud / "ca.pem", "port": endpoints["port"]}
            yield self.members(made), made
        finally:
            sandbox.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                sandbox.wait(10)
            sandbox.kill()
            log.close()

    def members(self, cloud):
        folders, text = [], '[room]\nname = "library"\ntriples = "masked"\ntimeout_seconds = 60\n'
        for name in ("anna", "bernd"):
            folder = self.work / name
            made = self.must(FLEXROOM, "--json", "init", "--identity", name, "--dir", folder,
                             "--address", f"127.0.0.1:{free_port()}")
            entry = json.loads(made.splitlines()[-1])
            text += (f'[[member]]\nname = "{name}"\naddress = "{entry["address"]}"\n'
                     f'certificate = "{entry["certificate"]}"\n')
            folders.append(folder)
        text += ('[provider.sandbox]\nhosts = ["*.amazonaws.com", "*.flexroom.example"]\n'
                 f'ca_file = "{cloud["ca"]}"\n'
                 f'connect_to = ["*:443=127.0.0.1:{cloud["port"]}"]\n')
        for folder in folders:
            (folder / "room.toml").write_text(text)
        started = [subprocess.Popen([FLEXROOM, "-m", str(f / "member.toml"), "init"],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                   for f in folders]
        for process in started:
            said, _ = process.communicate(timeout=SECONDS)
            self.assertEqual(process.returncode, 0, said)
        return folders


if __name__ == "__main__":
    SOURCE, BUILD, FLEXROOM = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    os.environ.pop("FLEXROOM_MEMBER", None)
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
