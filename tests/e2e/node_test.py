#!/usr/bin/python3
"""Resident nodes end to end: propose, approve at each member, run unattended, find the result; with
kills, a refusal, strangers and a caller who may not.

usage: node_test.py FLEXROOM_BINARY FLEXROOM_NODE_BINARY [unittest arguments]
"""
import ctypes
import contextlib
import io
import json
import os
import pathlib
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import threading
import unittest

import boto3
from botocore.config import Config

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
        for name in ("story", "refused", "killed", "example", "described", "voice", "strangers", "three", "console"):
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
                 "/v1/proposals/{id}/diff": f"/v1/proposals/{ident}/diff"}
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
        asked = a._post(f"/v1/proposals/{ident}/ticket", {"kind": "approve"})
        self.assertEqual(json_schema.problems(asked, {"$ref": "#/components/schemas/Ticket"}, described), [])

    def test_a_caller_alone_has_no_voice(self):
        """M48: root over the socket, without the member's key."""
        a = self.rooms[0]
        ident = a.propose_get(URL + "voice.txt").id
        asked = a._post(f"/v1/proposals/{ident}/ticket", {"kind": "approve"})
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
