#!/usr/bin/python3
"""Resident nodes end to end: propose, approve at each member, run unattended, find the result; with
kills, a refusal, strangers and a caller who may not.

usage: node_test.py FLEXROOM_BINARY FLEXROOM_NODE_BINARY [unittest arguments]
"""
import base64
import ctypes
import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import runpy
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import time
import threading
import unittest

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "python")]
import flexroom  # noqa: E402
import json_schema  # noqa: E402

FLEXROOM = NODE = ""
OK, BAD_INPUT, REFUSED = 0, 3, 4
URL = "https://shared.s3.amazonaws.com/"  # a public bucket in the sandbox
BODY = b"what all members read\n"


def before_exec():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # die with the parent


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.05)


class Member:
    def __init__(self, work, name):
        self.dir, self.name = work / name, name
        self.listen = f"127.0.0.1:{free_port()}"  # where it is told to; the others may reach it elsewhere
        self.config = self.dir / "member.toml"
        self.socket = self.dir / "state/node.sock"
        self.node, self.log = None, work / f"{name}.log"

    def before(self):
        """In each process of this member, before it is the program."""
        before_exec()

    def command(self, *arguments, timeout=120):
        return subprocess.run([FLEXROOM, "--member", self.config, *arguments], capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL, preexec_fn=self.before)

    def begin(self, *arguments):
        return subprocess.Popen([FLEXROOM, "--member", self.config, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, preexec_fn=self.before)

    def say(self, *arguments):
        """A command that must succeed; its last object."""
        done = self.command("--json", *arguments)
        assert done.returncode == OK, f"{self.name} {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout.splitlines()[-1])

    def start_node(self):
        with open(self.log, "ab") as log:
            self.node = subprocess.Popen([NODE, "--member", self.config], stdout=log, stderr=log,
                                         stdin=subprocess.DEVNULL, preexec_fn=self.before)
        wait_until(lambda: self.node.poll() is not None or self.answers(), f"start of the node of {self.name}")
        assert self.node.poll() is None, self.log.read_text()
        return self.room()

    def answers(self):
        try:
            return self.room().status()
        except flexroom.NoNode:
            return None

    def room(self):
        return flexroom.Room(self.socket)

    def stop_node(self, number=signal.SIGTERM):
        self.node.send_signal(number)
        return self.node.wait(60)

    def approve(self, ident):
        return self.say("--yes", "proposal", "approve", ident)


class Nodes(unittest.TestCase):
    NAMES = ("alpha", "beta")
    STOCK = 0
    OPEN_CALLS = ""

    @classmethod
    def address_of(cls, member):
        """At which the others look for its node."""
        return member.listen

    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="fr-node-"))
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.cloud = cls.work / "cloud"
        cls.service_log = cls.work / "sandbox.log"
        with open(cls.service_log, "wb") as log:
            cls.sandbox = subprocess.Popen([FLEXROOM, "sandbox", "--dir", cls.cloud], stdout=log, stderr=log,
                                           preexec_fn=before_exec)
        cls.addClassCleanup(cls.stop_all)
        wait_until((cls.cloud / "endpoints.json").exists, "start of the sandbox")
        cls.service = json.loads((cls.cloud / "endpoints.json").read_text())["port"]
        cls.make_objects()
        cls.members = cls.make_members()
        entries = ""
        for m in cls.members:
            made = m.say("init", "--identity", m.name, "--dir", str(m.dir), "--address", cls.address_of(m))
            entries += "[[member]]\n" + "".join(f'{k} = "{made[k]}"\n' for k in ("name", "address", "certificate"))
            with m.config.open("a") as config:
                config.write(f'listen = "{m.listen}"\n[node]\nstock_max_mib = {cls.STOCK}\n[[person]]\nname = "ann"\nunix = "nobody"\n'
                             f'roles = ["see"]\n{cls.more_config(m)}')
        for m in cls.members:
            (m.dir / "room.toml").write_text(
                f'[room]\nname = "nodes"\ntriples = "masked"\n{entries}[provider.sandbox]\n'
                f'hosts = ["*.amazonaws.com", "*.flexroom.example"]\nca_file = "{cls.cloud}/ca.pem"\n'
                f'connect_to = ["*:443=127.0.0.1:{cls.service}"]\n{cls.OPEN_CALLS}')
        cls.together("init")
        cls.before_nodes()
        cls.rooms = [m.start_node() for m in cls.members]
        cls.all_up()

    @classmethod
    def more_config(cls, member):
        """What else stands in a member's member.toml."""
        return ""

    @classmethod
    def make_members(cls):
        return [Member(cls.work, name) for name in cls.NAMES]

    @classmethod
    def before_nodes(cls):
        """What the members do together while no node has their state."""

    @classmethod
    def together(cls, *arguments, members=None):
        """The same command at all members (or these) at the same time; {dir} is each member's directory."""
        started = [m.begin("--yes", *(a.format(dir=m.dir) for a in arguments)) for m in members or cls.members]
        for m, p in zip(members or cls.members, started):
            out, _ = p.communicate(timeout=300)
            assert p.returncode == OK, f"{m.name} {arguments}: {out}"

    @classmethod
    def make_objects(cls):
        keys = next(a for a in json.loads((cls.cloud / "accounts.json").read_text()) if a["account"] == "joint")
        store = boto3.client("s3", region_name="us-east-1", aws_access_key_id=keys["access_key_id"],
                             aws_secret_access_key=keys["secret_access_key"], verify=str(cls.cloud / "ca.pem"),
                             endpoint_url=f"https://localhost:{cls.service}",
                             config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        store.create_bucket(Bucket="shared")
        for name in ("story", "refused", "killed", "example", "described", "voice", "strangers", "three", "people", "passkey", "no", "auto", "rule",
                     "console", "held"):
            store.put_object(Bucket="shared", Key=f"{name}.txt", Body=BODY, ACL="public-read")

    @classmethod
    def all_up(cls):
        wait_until(lambda: all(p["up"] for r in cls.rooms for p in r.status()["peers"]), "links between the nodes")

    @classmethod
    def stop_all(cls):
        for m in getattr(cls, "members", []):
            if m.node is not None and m.node.poll() is None:
                m.node.kill()
                m.node.wait()
        cls.sandbox.terminate()
        cls.sandbox.wait(30)

    @classmethod
    def requests(cls, service):
        """What reached the sandbox, from its own log."""
        return [line for line in cls.service_log.read_text().splitlines() if f"Z {service} " in line]

    def run_of(self, room, ident):
        run = room.proposal(ident).wait_run(timeout=60)
        return run.wait(timeout=60)


class Story(Nodes):
    def test_runs_what_all_approved_and_gives_each_its_result(self):
        a, b = self.rooms
        ident = self.members[0].say("propose", "get", URL + "story.txt")["proposal"]["id"]
        there = wait_until(lambda: [p for p in b.inbox() if p.id == ident], "the proposal at beta")[0]
        self.assertEqual((there.state, there.fields["proposer"]), ("complete", "alpha"))
        self.assertIn(URL, there.text())
        shown = self.members[1].command("proposal", "show", ident[:12])
        self.assertEqual(shown.returncode, OK, shown.stderr)
        self.assertIn(URL, shown.stdout)
        self.members[0].approve(ident[:12])
        time.sleep(0.5)
        self.assertEqual(b.proposal(ident).runs(), [])  # nothing before the last approval
        self.members[1].approve(ident[:12])
        runs = [self.run_of(room, ident) for room in (a, b)]
        self.assertEqual([r.state for r in runs], ["done", "done"], [r.fields for r in runs])
        self.assertEqual(runs[0].id, runs[1].id)
        self.assertEqual([r.result() for r in runs], [BODY, BODY])
        self.assertTrue(runs[0].fields["phases"])
        for m in self.members:
            log = m.say("log", "--verify")
            self.assertTrue(log["verified"])
            self.assertIn("done", [e["outcome"] for e in log["entries"]])
        self.assertEqual(a.proposal(ident).state, "done")
        self.assertEqual(self.members[0].command("node", "result", "last").stdout.encode(), runs[0].result())

    def test_never_runs_what_somebody_refused(self):
        a, b = self.rooms
        ident = a.propose_get(URL + "refused.txt").id
        wait_until(lambda: [p for p in b.inbox() if p.id == ident], "the proposal at beta")
        self.members[0].approve(ident)
        self.members[1].say("--yes", "proposal", "reject", ident, "--reason", "not this month")
        gone = wait_until(lambda: a.proposal(ident).state == "rejected" and a.proposal(ident), "the refusal at alpha")
        self.assertIn("beta", gone.fields["why"])
        self.assertIn("not this month", json.dumps(gone.decisions))
        late = self.members[1].command("--yes", "--json", "proposal", "approve", ident)
        self.assertNotEqual(late.returncode, OK)
        self.assertEqual([r for room in self.rooms for r in room.runs(ident)], [])
        with self.assertRaises(flexroom.Conflict):
            a.proposal(ident).wait_run(timeout=5)

    def test_a_killed_node_comes_back_and_the_run_happens_once(self):
        a, b = self.rooms
        ident = a.propose_get(URL + "killed.txt").id
        self.members[0].approve(ident)
        self.members[1].stop_node(signal.SIGKILL)
        wait_until(lambda: not a.status()["peers"][0]["up"], "alpha notices")
        self.members[1].start_node()
        self.all_up()
        wait_until(lambda: [p for p in b.inbox() if p.id == ident], "the proposal at beta")
        self.members[1].approve(ident)
        self.assertEqual([self.run_of(room, ident).state for room in self.rooms], ["done", "done"])
        self.members[0].stop_node(signal.SIGKILL)
        self.members[0].start_node()
        self.all_up()
        time.sleep(1)
        self.assertEqual([len(room.runs(ident)) for room in self.rooms], [1, 1])

    def test_the_python_example_does_what_its_page_shows(self):
        out = io.StringIO()
        example = ROOT / "examples/python/propose_and_wait.py"
        arguments, sys.argv = sys.argv, [str(example), str(self.members[0].socket), URL + "example.txt"]
        try:
            def people():
                ident = wait_until(lambda: [p.id for p in self.rooms[1].inbox() if "example" in p.title], "the proposal")[0]
                for m in self.members:
                    m.approve(ident)

            approving = threading.Thread(target=people)
            approving.start()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                runpy.run_path(str(example), run_name="__main__")
            approving.join()
        finally:
            sys.argv = arguments
        page = (ROOT / "docs/node.md").read_text()
        shown = re.search(r"\$ python3 propose_and_wait.py[^\n]*\n(.*?)```", page, re.S).group(1)
        self.assertEqual(out.getvalue(), shown)

    def test_answers_are_as_described(self):
        described = json.loads((ROOT / "docs/api/openapi.json").read_text())
        a = self.rooms[0]
        ident = a.propose_get(URL + "described.txt").id
        runs = a.runs()
        paths = {"/v1/log/{id}": "/v1/log/1", "/v1/runs/{id}": f"/v1/runs/{runs[0].id}" if runs else None,
                 "/v1/proposals/{id}": f"/v1/proposals/{ident}",
                 "/v1/proposals/{id}/diff": f"/v1/proposals/{ident}/diff",
                 "/v1/proposals/{id}/words": f"/v1/proposals/{ident}/words"}
        checked = 0
        for path, methods in described["paths"].items():
            content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            target = paths.get(path, path)
            if "application/json" not in content or target is None:
                continue
            wrong = json_schema.problems(a._get(target), content["application/json"]["schema"], described)
            self.assertEqual(wrong, [], path)
            checked += 1
        self.assertGreaterEqual(checked, 9)
        asked = a._post(f"/v1/proposals/{ident}/ticket", {"decision": "approve"})
        self.assertEqual(json_schema.problems(asked, {"$ref": "#/components/schemas/Ticket"}, described), [])

    def test_a_caller_alone_has_no_voice(self):
        """M48: root over the socket, without the member's key."""
        a = self.rooms[0]
        ident = a.propose_get(URL + "voice.txt").id
        asked = a._post(f"/v1/proposals/{ident}/ticket", {"decision": "approve"})
        with self.assertRaises(flexroom.Forbidden):
            a._post(f"/v1/proposals/{ident}/voice", {"statement": asked["statement"], "signature": "00" * 64})
        with self.assertRaises(flexroom.NotFound):
            a._post(f"/v1/proposals/{ident}/approve", {})
        self.assertEqual([d["counts"] for d in a.proposal(ident).decisions], [False, False])
        self.members[0].approve(ident)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
    def test_persons_do_what_their_roles_say_and_strangers_read_the_status(self):
        a = self.members[0]
        for path, mode in ((self.work, 0o755), (a.dir, 0o755), (a.dir / "state", 0o755), (a.socket, 0o666)):
            self.addCleanup(os.chmod, path, path.stat().st_mode & 0o7777)
            os.chmod(path, mode)  # in the place of the group
        client = (f"import sys; sys.path.insert(0, {str(ROOT / 'python')!r}); import flexroom; "
                  f"r = flexroom.Room({str(a.socket)!r})\n")

        def as_user(uid, text):
            return subprocess.run(["/usr/bin/python3", "-c", client + text], capture_output=True, text=True,
                                  user=uid, extra_groups=[], cwd="/")

        import pwd
        ann = pwd.getpwnam("nobody").pw_uid
        done = as_user(ann, "print(r.status()['you'], len(r.proposals()) >= 0)")
        self.assertEqual(done.stdout, "ann True\n", done.stderr)
        self.assertIn("Forbidden", as_user(ann, f"r.propose_get({URL!r} + 'a')").stderr)
        done = as_user(54321, "print(sorted(r.status()))")
        self.assertNotIn("peers", done.stdout)
        self.assertIn("version", done.stdout)
        self.assertIn("Forbidden", as_user(54321, "r.proposals()").stderr)

    def test_strangers_at_the_port_hold_nobody_up(self):
        a, b = self.rooms
        port = int(self.members[0].listen.rpartition(":")[2])
        with contextlib.ExitStack() as held:
            for k in range(200):
                s = held.enter_context(socket.create_connection(("127.0.0.1", port)))
                with contextlib.suppress(OSError):
                    s.sendall([b"", b"\x16\x03\x01", b"FRX1" + bytes(16), b"GET / HTTP/1.1\r\n\r\n"][k % 4])
            ident = a.propose_get(URL + "strangers.txt").id
            wait_until(lambda: [p for p in b.inbox() if p.id == ident], "the proposal at beta")
            for m in self.members:
                m.approve(ident)
            self.assertEqual([self.run_of(room, ident).state for room in self.rooms], ["done", "done"])

    def test_other_commands_say_that_the_node_has_the_state(self):
        done = self.members[0].command("--yes", "get", URL + "a.txt")
        self.assertEqual(done.returncode, BAD_INPUT)
        self.assertIn("flexroom propose", done.stderr)
        self.assertEqual(self.members[0].command("status").returncode, OK)  # what only looks does

    def test_its_log_is_the_log_page_by_page_also_after_more_was_entered(self):
        m, a = self.members[0], self.rooms[0]
        for _ in range(2):
            whole = m.say("log")["entries"]
            pages, number = [], 1
            while number:
                page = a._get("/v1/log", **{"from": number}, limit=3)
                pages += page["entries"]
                number = page.get("next")
            self.assertEqual([(e["text"], e["head"]) for e in pages], [(e["text"], e["head"]) for e in whole])
            self.assertEqual(page["total"], len(whole))
            ident = a.propose_get(URL + f"logged-{len(whole)}.txt").id
            m.say("--yes", "proposal", "withdraw", ident)

    def test_reads_its_files_again_and_names_what_is_wrong_with_them(self):
        m = self.members[0]
        text = m.config.read_text()
        self.addCleanup(m.config.write_text, text)
        m.config.write_text(text + "nonsense = 1\n")
        m.node.send_signal(signal.SIGHUP)
        wait_until(lambda: "not read again" in m.log.read_text(), "its word")
        self.assertIn("nonsense", m.log.read_text())
        self.assertEqual(m.room().status()["member"], "alpha")  # as before
        m.config.write_text(text.replace("[node]\n", "[node]\nsocket = \"" + str(m.dir / "other.sock") + "\"\n"))
        m.node.send_signal(signal.SIGHUP)
        wait_until((m.dir / "other.sock").exists, "the socket that the file names now")
        wait_until(lambda: flexroom.Room(m.dir / "other.sock").status()["peers"][0]["up"], "its links")
        m.config.write_text(text)
        m.node.send_signal(signal.SIGHUP)
        wait_until(m.answers, "the socket of before")
        self.all_up()
        self.assertIsNone(m.node.poll())

    def test_a_second_node_and_a_stopped_one_are_named(self):
        second = subprocess.run([NODE, "--member", self.members[0].config], capture_output=True, text=True, timeout=30)
        self.assertEqual(second.returncode, BAD_INPUT)
        self.assertIn("runs already", second.stderr)
        self.assertEqual(self.members[1].stop_node(), 0)  # drains
        done = self.members[1].command("inbox")
        self.assertEqual(done.returncode, BAD_INPUT)
        self.assertIn("no node answers", done.stderr)
        self.members[1].start_node()
        self.all_up()


def b64url(content):
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class Passkey:
    """An authenticator in software."""

    def __init__(self, origin="flexroom:cli", rp="localhost"):
        self.key, self.id, self.count = ec.generate_private_key(ec.SECP256R1()), os.urandom(16), 0
        self.origin, self.rp = origin, rp
        self.point = self.key.public_key().public_bytes(serialization.Encoding.X962,
                                                        serialization.PublicFormat.UncompressedPoint)

    def _client(self, kind, challenge, origin):
        return json.dumps({"type": f"webauthn.{kind}", "challenge": challenge, "origin": origin or self.origin}).encode()

    def _data(self, flags):
        self.count += 1
        return hashlib.sha256(self.rp.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def sign(self, asked, origin="", flags=5):
        client, data = self._client("get", asked["challenge"], origin), self._data(flags)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return {"credential": b64url(self.id), "client_data": b64url(client), "authenticator_data": b64url(data),
                "signature": b64url(signature)}

    def enrol(self, asked):
        cose = (b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + self.point[1:33] + b"\x22\x58\x20" + self.point[33:])
        data = self._data(0x45) + bytes(16) + b"\x00\x10" + self.id + cose
        attested = (b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58" + bytes([len(data)]) + data)
        return {"attestation_object": b64url(attested), "client_data": b64url(self._client("create", asked["challenge"], ""))}


class FalseNode:
    """Between a command and its node: what is asked goes through `alter`, and so to another question."""

    def __init__(self, member, alter):
        self.member, self.kept = member, member.config
        path = member.dir / "false.sock"
        path.unlink(missing_ok=True)

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += self.rfile.read(1)
                size = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                asked = alter(head + (self.rfile.read(int(size.group(1))) if size else b""))
                with socket.socket(socket.AF_UNIX) as node:
                    node.connect(str(member.socket))
                    node.sendall(asked)
                    while data := node.recv(1 << 16):
                        self.wfile.write(data)

        self.server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        member.config = member.dir / "false.toml"
        member.config.write_text(self.kept.read_text().replace("[node]\n", f'[node]\nsocket = "{path}"\n'))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.member.config = self.kept
        self.server.shutdown()
        self.server.server_close()


class People(Nodes):
    """alpha approves by two of ann, bob and eve; beta by whoever holds its key."""
    NAMES = ("alpha", "beta")

    @classmethod
    def before_nodes(cls):
        alpha, cls.keys = cls.members[0], {}
        text = 'approve = "2 of (ann, bob, eve)"\nadminister = "1 of (ann, bob)"\n'
        cls.passkey = Passkey()
        for name in ("ann", "bob", "eve", "fay"):
            key = alpha.dir / f"{name}.key"
            made = alpha.say("people", "key", str(key), "--no-passphrase")
            cls.keys[name] = key
            roles = {"fay": '"see"', "eve": '"approve"'}.get(name, '"approve", "administer"')
            text += f'[[person]]\nname = "{name}"\nroles = [{roles}]\n[[person.key]]\nkind = "file"\nkey = "{made["key"]}"\n'
        text = text.replace('[[person]]\nname = "fay"', '[[person.key]]\nkind = "es256"\nrp = "localhost"\n'
                            f'credential = "{b64url(cls.passkey.id)}"\nkey = "{cls.passkey.point.hex()}"\n'
                            '[[person]]\nname = "fay"')
        (alpha.dir / "people.toml").write_text(text)
        alpha.say("--yes", "people", "init", str(alpha.dir / "people.toml"))
        # Without a node the same commands change the rule by themselves.
        folder = alpha.dir / "first"
        alpha.say("--voices", str(folder), "people", "propose", str(alpha.dir / "people.toml"))
        alpha.say("--yes", "--sign-with", str(cls.keys["ann"]), "people", "sign", str(folder / "ann.request"))
        changed = alpha.say("people", "apply", str(folder / "ann.signature"))
        assert changed["version"] == 2, changed

    def described(self, value, schema):
        described = json.loads((ROOT / "docs/api/openapi.json").read_text())
        self.assertEqual(json_schema.problems(value, {"$ref": f"#/components/schemas/{schema}"}, described), [])
        return value

    def at_both(self, name):
        ident = self.rooms[1].propose_get(URL + name + ".txt").id
        wait_until(lambda: [p for p in self.rooms[0].inbox() if p.id == ident], "the proposal at alpha")
        return ident

    def sign_with(self, ident, *names, kind="approve", more=()):
        options = [x for name in names for x in ("--sign-with", str(self.keys[name]))]
        return self.members[0].command("--yes", "--json", *options, "proposal", kind, ident, *more)

    def refused(self, ident, body):
        with self.assertRaises(flexroom.Error) as said:
            self.rooms[0]._post(f"/v1/proposals/{ident}/voice", body)
        return said.exception

    def approvals(self, ident):
        return [d["counts"] for d in self.rooms[0].proposal(ident).decisions]

    def test_two_with_key_files_approve_and_it_runs(self):
        ident = self.at_both("people")
        alone = self.members[0].command("--yes", "proposal", "approve", ident)
        self.assertEqual(alone.returncode, BAD_INPUT)
        self.assertIn("neither --yes", alone.stderr)
        first = self.sign_with(ident, "ann")
        self.assertEqual(first.returncode, OK, first.stderr)
        said = self.described(json.loads(first.stdout.splitlines()[-1]), "Voiced")
        self.assertEqual((said["counted"], said["needed"], said["decided"]), (1, 2, False))
        self.assertEqual(self.approvals(ident), [False, False])
        again = json.loads(self.sign_with(ident, "ann").stdout.splitlines()[-1])
        self.assertEqual(again["counted"], 1)  # persons count, not signatures
        self.assertNotEqual(self.sign_with(ident, "fay").returncode, OK)  # no role
        # What was confirmed is there after kill -9.
        self.members[0].stop_node(signal.SIGKILL)
        self.members[0].start_node()
        self.all_up()
        # The other one signs on a machine of her own: the request's file goes there.
        folder = self.members[0].dir / "voices"
        waiting = subprocess.Popen([FLEXROOM, "--member", self.members[0].config, "--yes", "--json", "--voices", folder,
                                    "proposal", "approve", ident], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=before_exec)
        request = folder / "bob.request"
        wait_until(request.exists, "the request to bob")
        signed = self.members[0].command("--yes", "--sign-with", str(self.keys["bob"]), "people", "sign", str(request))
        self.assertEqual(signed.returncode, OK, signed.stderr)
        self.assertIn(URL + "people.txt", signed.stdout + signed.stderr)
        out, problems = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, OK, problems)
        self.assertTrue(json.loads(out.splitlines()[-1])["decided"])
        self.assertEqual(self.approvals(ident), [True, False])
        self.members[1].approve(ident)
        self.assertEqual([self.run_of(room, ident).state for room in self.rooms], ["done", "done"])
        exported = self.members[0].command("log", "export", "--evidence")
        self.assertEqual(exported.returncode, OK, exported.stderr)
        self.assertIn('"evidence"', exported.stdout)
        operators = self.members[1].command("log", "export", "--evidence")  # no people, and so no signatures of theirs
        self.assertEqual(operators.returncode, OK, operators.stderr)
        self.assertNotIn('"evidence"', operators.stdout)
        self.assertTrue(self.members[0].say("log", "--verify")["verified"])

    def test_a_false_node_gets_no_signature(self):
        """members.md 9.3: the command shows and signs what it hashes itself; neither another proposal nor another reason."""
        shown, other = self.at_both("shown"), self.at_both("other")
        alpha, beta = self.members
        asks_other = lambda asked: asked.replace(f"{shown}/ticket".encode(), f"{other}/ticket".encode())
        says_more = lambda asked: asked.replace(b"not today", b"not ever!")
        for alter, said in ((asks_other, ["approve", shown]), (says_more, ["reject", shown, "--reason", "not today"])):
            for member, signs in ((alpha, ["--sign-with", str(self.keys["ann"])]), (beta, [])):
                with self.subTest(said[0], member=member.name), FalseNode(member, alter):
                    refused = member.command("--yes", *signs, "proposal", *said)
                    self.assertEqual(refused.returncode, BAD_INPUT, refused.stdout + refused.stderr)
                    self.assertRegex(refused.stderr, "not about what is shown here|another proposal than would be signed")
        for ident in (shown, other):
            self.assertEqual(self.approvals(ident), [False, False])
            self.assertEqual(self.rooms[0].proposal(ident).state, "complete")
        with FalseNode(beta, lambda asked: asked):  # it is the alterations that are refused
            self.assertEqual(beta.command("--yes", "proposal", "approve", shown).returncode, OK)

    def test_passkeys_sign_exactly_what_was_asked_once(self):
        ident, other = self.at_both("passkey"), self.at_both("rule")
        a = self.rooms[0]
        path = f"/v1/proposals/{ident}"

        def ask():
            return self.described(a._post(path + "/ticket", {"decision": "approve", "person": "eve"}), "Ticket")

        def voice(asked, **how):
            return {"ticket": asked["ticket"], "person": "eve", "webauthn": self.passkey.sign(asked["webauthn"], **how)}

        asked = ask()
        self.assertEqual(asked["webauthn"]["allow"][0]["id"], b64url(self.passkey.id))
        for wrong, why in (({"origin": "http://localhost:7181"}, "origin"), ({"flags": 1}, "verification"),
                           ({"flags": 4}, "presence")):
            self.assertIn(why, self.check_of(path, voice(asked, **wrong)))
        # A signature for one proposal is none for another; nor one that a stranger's key made.
        self.assertEqual(self.check_of(f"/v1/proposals/{other}", voice(asked)), "matter")
        stranger = Passkey()
        self.assertEqual(self.check_of(path, {**voice(asked), "webauthn": stranger.sign(asked["webauthn"])}), "unknown key")
        # A ticket of one person for another, and one that was not made here.
        self.assertEqual(self.refused(ident, {**voice(asked), "person": "ann"}).status, 400)
        self.assertEqual(self.check_of(path, {**voice(asked), "ticket": "00" * 16}), "ticket")
        # The member's own key approves nothing any more.
        self.assertEqual(self.refused(ident, {"statement": asked["statement"], "signature": "00" * 64}).status, 409)
        good = voice(asked)
        said = self.described(a._post(path + "/voice", good), "Voiced")
        self.assertEqual((said["counted"], said["decided"]), (1, False))
        self.assertEqual(self.check_of(path, good), "ticket")  # replayed
        # A restart forgets what was asked, not what was counted.
        asked = ask()
        self.members[0].stop_node(signal.SIGKILL)
        self.members[0].start_node()
        self.all_up()
        self.assertEqual(self.check_of(path, voice(asked)), "ticket")
        self.assertEqual(ask()["counted"], 1)
        done = self.sign_with(ident, "bob")
        self.assertTrue(json.loads(done.stdout.splitlines()[-1])["decided"], done.stderr)
        self.members[1].approve(ident)
        self.assertEqual([self.run_of(room, ident).state for room in self.rooms], ["done", "done"])
        self.assertIn('"evidence"', self.members[0].command("log", "export", "--evidence").stdout)

    def check_of(self, path, body):
        content = json.dumps(body).encode()
        connection = flexroom.room._Connection(str(self.members[0].socket), 30)
        connection.request("POST", path + "/voice", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        self.assertEqual(answer.status, 403, said)
        return self.described(said, "Failure")["check"]

    def test_one_of_them_says_no_and_takes_back(self):
        ident = self.at_both("no")
        self.assertEqual(self.sign_with(ident, "ann").returncode, OK)
        back = self.sign_with(ident, "ann", kind="withdraw")
        self.assertEqual(back.returncode, OK, back.stderr)
        asked = self.rooms[0]._post(f"/v1/proposals/{ident}/ticket", {"decision": "approve", "person": "bob"})
        self.assertEqual(asked["counted"], 0)
        elsewhere = self.members[0].command("--yes", "--voices", str(self.members[0].dir / "no"), "proposal", "reject", ident,
                                            "--reason", "not ours")  # nobody signs words that a file does not hold
        self.assertEqual(elsewhere.returncode, BAD_INPUT, elsewhere.stderr)
        # A reason that was not asked is not signed: the node sends the one that stands in the statement.
        other = self.rooms[0]._post(f"/v1/proposals/{ident}/ticket", {"decision": "reject", "reason": "x", "person": "eve"})
        self.assertNotEqual(other["statement"], asked["statement"])
        body = {"ticket": other["ticket"], "person": "eve", "reason": "y", "webauthn": self.passkey.sign(other["webauthn"])}
        self.assertEqual(self.refused(ident, body).status, 400)
        done = self.sign_with(ident, "bob", kind="reject", more=("--reason", "not ours"))
        self.assertEqual(done.returncode, OK, done.stderr)
        wait_until(lambda: self.rooms[1].proposal(ident).state == "rejected", "the refusal at beta")
        self.assertIn("not ours", json.dumps(self.rooms[1].proposal(ident).decisions))

    def apply_change(self, *names):
        folder = self.members[0].dir / "change"
        for name in names:
            self.members[0].say("--yes", "--sign-with", str(self.keys[name]), "people", "sign", str(folder / f"{name}.request"))
        return self.members[0].say("people", "apply", *(str(folder / f"{name}.signature") for name in names))

    def test_the_rule_changes_by_its_administrators_and_rules_approve(self):
        alpha, a = self.members[0], self.rooms[0]
        folder = alpha.dir / "change"
        held, lost = self.at_both("held"), self.at_both("lost")
        for ident, names in ((held, ("ann", "bob")), (lost, ("bob", "eve"))):
            done = self.sign_with(ident, *names)
            self.assertEqual((done.returncode, self.approvals(ident)[0]), (OK, True), done.stderr)
        before = self.described(a._get("/v1/people"), "People")
        version = before["people"]["version"]
        # A passkey is enrolled for ann, and counts once an administrator signed.
        new = Passkey()
        asked = self.described(a._post("/v1/people/enrolment", {"person": "ann"}), "Enrolment")
        enrolled = self.described(a._post("/v1/people/enrolment/key", {"person": "ann", **new.enrol(asked)}), "EnrolledKey")
        self.assertEqual(enrolled["key"]["key"], new.point.hex())
        with self.assertRaises(flexroom.Forbidden):  # once
            a._post("/v1/people/enrolment/key", {"person": "ann", **new.enrol(asked)})
        self.described(a._post("/v1/people/change", {"people": enrolled["people"]}), "Change")
        self.assertNotIn(new.point.hex(), json.dumps(a._get("/v1/people")["people"]))
        wrong = a._post("/v1/people/change/ticket", {"person": "ann"})
        self.described(wrong, "ChangeTicket")
        with self.assertRaises(flexroom.Forbidden):
            a._post("/v1/people/change/ticket", {"person": "eve"})
        changed = a._post("/v1/people/change", {"people": enrolled["people"], "standing": self.rule_of("nothing like it", "9f" * 32)})
        with self.assertRaises(flexroom.Forbidden):  # the change before was replaced
            a._post("/v1/people/change/voice", {"ticket": wrong["ticket"], "key_file": {"key": "00" * 32, "signature": "00" * 64}})
        asked = a._post("/v1/people/change/ticket", {"person": "ann"})
        said = self.described(a._post("/v1/people/change/voice", {"ticket": asked["ticket"], "key_file": self.key_file_of("ann", asked)}), "ChangeVoiced")
        self.assertTrue(said["decided"])
        self.assertEqual((said["version"], changed["version"]), (version + 1, version + 1))
        self.assertIn(new.point.hex(), json.dumps(a._get("/v1/people")["people"]))
        self.assertIn("nothing like it", alpha.say("rules", "show")["standing"])
        self.assertEqual([self.approvals(ident)[0] for ident in (held, lost)], [True, True])  # judged again
        # Without eve: what stood on her voice is taken back, the rest stands (members.md 7.5).
        people = a._get("/v1/people")["toml"].split("\n[[person]]\n")
        people = "\n[[person]]\n".join(p for p in people if not p.startswith('name = "eve"')).replace(", eve", "")
        a._post("/v1/people/change", {"people": people, "one_key": True})
        asked = a._post("/v1/people/change/ticket", {"person": "bob"})
        a._post("/v1/people/change/voice", {"ticket": asked["ticket"], "key_file": self.key_file_of("bob", asked)})
        self.assertEqual([self.approvals(ident)[0] for ident in (held, lost)], [True, False])
        with self.assertRaises(flexroom.Forbidden):
            a._post(f"/v1/proposals/{lost}/ticket", {"decision": "approve", "person": "eve"})
        self.assertIn("nothing like it", alpha.say("rules", "show")["standing"])  # it goes on
        self.members[1].approve(held)
        self.assertEqual([self.run_of(room, held).state for room in self.rooms], ["done", "done"])
        # Another one, by command: what it covers is approved, once a day; of all else people are asked.
        rules = alpha.dir / "rules.toml"
        rules.write_text(self.rule_of("read one", hashlib.sha256(self.RECIPE.encode()).hexdigest(), 'args = { name = ["auto"] }\n'))
        alpha.say("--voices", str(folder), "rules", "propose", str(rules))
        self.assertIn("nothing like it", alpha.say("rules", "show")["standing"])
        self.apply_change("bob")
        self.assertIn("read one", alpha.say("rules", "show")["standing"])
        b = self.rooms[1]

        def proposed(name, **more):
            ident = b.propose("call", recipe=self.RECIPE, arguments={"name": name}, **more).id
            wait_until(lambda: [p for p in a.inbox() if p.id == ident], "the proposal at alpha")
            return ident

        covered = proposed("auto")
        wait_until(lambda: self.approvals(covered)[0], "the rule's approval")
        wait_until(lambda: b.proposal(covered).decisions[0]["counts"], "the rule's approval at beta")
        said = a.proposal(covered).decisions[0]
        self.assertEqual((said["automatic"], b.proposal(covered).decisions[0]["automatic"]), ("read one", "read one"))
        others = [proposed("rule"), proposed("auto", not_after=int(time.time()) + 86400)]
        time.sleep(2)
        self.assertEqual([self.approvals(ident)[0] for ident in others], [False, False])
        self.members[1].approve(covered)
        self.assertEqual([self.run_of(room, covered).state for room in self.rooms], ["done", "done"])
        self.assertEqual(alpha.command("log", "export", "--evidence").returncode, OK)
        self.assertTrue(alpha.say("log", "--verify")["verified"])

    RECIPE = ('[recipe]\nname = "read-one"\nprovider = "sandbox"\nhost = "shared.s3.amazonaws.com"\nopen = "everything to all"\n'
              'request = """\nGET /{{name}}.txt HTTP/1.1\nHost: shared.s3.amazonaws.com\nAccept-Encoding: identity\n'
              'Connection: close\n\n"""\n\n[argument.name]\n')

    @staticmethod
    def rule_of(name, digest, more=""):
        until = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 30 * 86400))
        return (f'[[approve]]\nname = "{name}"\nrecipe = "sha256:{digest}"\nfrom = ["beta"]\n{more}'
                f'hours = "Mon-Sun 00:00-24:00"\nper_day = 1\nuntil = {until}\n')

    

    def key_file_of(self, name, asked):
        """A key file's signature, by the command: the request is a file."""
        folder = self.members[0].dir / "one"
        folder.mkdir(exist_ok=True)
        request = folder / f"{name}.request"
        request.write_text(json.dumps({"flexroom request to sign": 1, "st": base64.b64encode(bytes.fromhex(asked["statement"])).decode(),
                                       "document": base64.b64encode(bytes.fromhex(asked["document"])).decode()}))
        self.members[0].say("--yes", "--sign-with", str(self.keys[name]), "people", "sign", str(request))
        voice = base64.b64decode(json.loads((folder / f"{name}.signature").read_text())["voice"])
        fields = []
        while voice:
            size = int.from_bytes(voice[:4], "big")
            fields.append(voice[4:4 + size])
            voice = voice[4 + size:]
        return {"key": fields[1].hex(), "signature": fields[4].hex()}


class Idle(Nodes):
    """Three nodes, with stock: what they cost when nothing happens."""
    NAMES = ("alpha", "beta", "gamma")
    STOCK = 24

    def test_three_nodes_fill_stock_run_from_it_and_idle(self):
        wait_until(lambda: all(r.status()["stock_triples"] >= 90_000 for r in self.rooms), "the stock", 120)
        ident = self.rooms[2].propose_get(URL + "three.txt").id
        wait_until(lambda: all([p for p in r.inbox() if p.id == ident] for r in self.rooms), "the proposal everywhere")
        for m in self.members[:2]:
            m.approve(ident)
        self.members[2].approve(ident)
        runs = [self.run_of(r, ident) for r in self.rooms]
        self.assertEqual([r.state for r in runs], ["done"] * 3, [r.fields for r in runs])
        wait_until(lambda: all(r.status()["doing"] == "idle" for r in self.rooms), "rest")
        time.sleep(2)

        def cpu():
            return [sum(map(int, pathlib.Path(f"/proc/{m.node.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
                    for m in self.members]

        before = cpu()
        time.sleep(5)
        share = [(after - b) / os.sysconf("SC_CLK_TCK") / 5 for after, b in zip(cpu(), before)]
        memory = [int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{m.node.pid}/status").read_text()).group(1)) / 1024
                  for m in self.members]
        print(f"idle: CPU {[f'{100 * s:.1f} %' for s in share]}, memory {[f'{x:.0f} MiB' for x in memory]}")
        self.assertLess(max(share), 0.02)
        self.assertLess(max(memory), 150)


if __name__ == "__main__":
    FLEXROOM, NODE = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
    unittest.main(verbosity=2)
