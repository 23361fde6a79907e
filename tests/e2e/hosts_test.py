#!/usr/bin/python3
"""Members as organisations, on hosts of their own: three nodes, each in a network of its own, 20 ms and 100 Mbit/s apart.
A job is proposed, approved here and there, a node is killed in between; it runs by itself from standing stock when the
last approval arrives. Then a fourth member joins and an old one leaves, and the joint account's key is the same.

usage: hosts_test.py FLEXROOM_BINARY FLEXROOM_NODE_BINARY [unittest arguments]
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
import node_test  # noqa: E402
from node_test import OK, ROOT, Member, Nodes, wait_until  # noqa: E402

RECIPE = ROOT / "examples/recipes/who-am-i.toml"
RTT, MBIT = 0.02, 100


class Away(Member):
    def __init__(self, work, name, host):
        super().__init__(work, name)
        self.host, self.listen = host, f"{host.address}:7100"

    def before(self):
        hosts.enter(self.host.pid)
        super().before()


class Hosts(Nodes):
    NAMES = ("hospital-a", "hospital-b", "hospital-c")
    LATER = "hospital-d"
    STOCK = 192

    @classmethod
    def setUpClass(cls):
        if hosts.cannot():
            raise unittest.SkipTest(hosts.cannot())
        try:
            cls.network = hosts.Network(len(cls.NAMES) + 1, RTT, MBIT)
        except OSError as problem:  # a container that may not
            raise unittest.SkipTest(str(problem)) from None
        cls.addClassCleanup(cls.network.close)
        super().setUpClass()

    @classmethod
    def make_members(cls):
        for host in cls.network.hosts:
            cls.network.serve(host, cls.service)
        return [Away(cls.work, name, host) for name, host in zip(cls.NAMES, cls.network.hosts)]

    def stop_nodes(self, members):
        for m in members:
            self.assertEqual(m.stop_node(), 0, m.log.read_text())

    @classmethod
    def before_nodes(cls):
        """The joint account's secret key, cut by its issuer."""
        key = next(a for a in json.loads((cls.cloud / "accounts.json").read_text()) if a["account"] == "joint")
        cls.key_id, shares = key["access_key_id"], cls.work / "shares"
        cut = subprocess.run(
            [node_test.FLEXROOM, "secret", "split", "--name", "joint/aws-secret-key", "--kind", "aws-secret-access-key",
             "--class", "b64", "--provider", "sandbox", "--entropy", "238", "--purpose", "sigv4 sts us-east-1",
             "--room", cls.members[0].dir / "room.toml", "--dir", shares],
            input=key["secret_access_key"], capture_output=True, text=True)
        assert cut.returncode == OK, cut.stdout + cut.stderr
        for m in cls.members:
            next(f for f in shares.iterdir() if m.name in f.name).rename(m.dir / "share.json")
        cls.together("secret", "import", "{dir}/share.json")

    @classmethod
    def make_people(cls, member):
        """Two of ann, bob and eve approve for it."""
        text, cls.keys = 'approve = "2 of (ann, bob, eve)"\nadminister = "1 of (ann, bob)"\n', {}
        for name in ("ann", "bob", "eve"):
            cls.keys[name] = member.dir / f"{name}.key"
            key = member.say("people", "key", str(cls.keys[name]), "--no-passphrase")["key"]
            text += (f'[[person]]\nname = "{name}"\nroles = ["see", "approve", "administer"]\n'
                     f'[[person.key]]\nkind = "file"\nkey = "{key}"\n')
        (member.dir / "people.toml").write_text(text)
        member.say("--yes", "people", "init", str(member.dir / "people.toml"))

    def approve_as(self, member, ident, *names):
        signed = [x for name in names for x in ("--sign-with", str(self.keys[name]))]
        return member.say("--yes", *signed, "proposal", "approve", ident)

    def propose(self, member):
        said = member.say("propose", "call", str(RECIPE), "--arg", f"access-key-id={self.key_id}")
        return said["proposal"]["id"]

    def seen_by(self, members, ident):
        wait_until(lambda: all([p for p in m.room().inbox() if p.id == ident] for m in members), "the proposal everywhere")

    def wait_for_stock(self, members):
        """Until no node makes more of it."""
        def stock():
            return [m.room().status()["stock_triples"] for m in members]

        before = stock()
        end = time.monotonic() + 400
        while True:
            time.sleep(6)
            now = stock()
            if now == before and min(now) > 0:
                break
            self.assertLess(time.monotonic(), end, f"stock {now}")
            before = now
        wait_until(lambda: all(m.room().status()["doing"] == "idle" for m in members), "rest")
        return now

    def test_a_job_is_approved_here_and_there_and_runs_by_itself_and_members_come_and_go(self):
        a, b, c = self.members
        print("stock:", self.wait_for_stock(self.members))

        ident = self.propose(a)
        self.seen_by(self.members, ident)
        a.approve(ident)
        b.approve(ident)
        c.stop_node(signal.SIGKILL)
        c.start_node()
        self.all_up()
        self.assertEqual(c.room().runs(), [])
        self.wait_for_stock(self.members)
        begin = time.monotonic()
        c.approve(ident)
        approved = time.monotonic()
        runs = [self.run_of(m.room(), ident) for m in self.members]
        took = time.monotonic() - begin
        self.assertEqual([r.state for r in runs], ["done"] * 3, [r.fields for r in runs])
        phases = runs[0].fields["phases"]
        print(f"approve {approved - begin:.2f} s, to the result at all {took:.2f} s: " +
              ", ".join(f"{p['name']} {p['seconds']:.2f}" for p in phases if p["seconds"] > 0.2))
        answers = {r.result() for r in runs}
        self.assertEqual(len(answers), 1)
        account = answers.pop().split(b"<Account>")[1][:12]
        for m in self.members:
            self.assertTrue(m.say("log", "--verify")["verified"])

        # hospital-c leaves, hospital-d joins.
        self.stop_nodes(self.members)
        d = Away(self.work, self.LATER, self.network.hosts[3])
        made = d.say("init", "--identity", d.name, "--dir", str(d.dir), "--address", d.listen)
        text = (a.dir / "room.toml").read_text()
        head, *entries = text.split("[[member]]\n")
        tail = entries[-1][entries[-1].index("[provider"):]
        entries[-1] = entries[-1][:entries[-1].index("[provider")]
        stay = [e for e in entries if c.name not in e]
        stay.append("".join(f'{k} = "{made[k]}"\n' for k in ("name", "address", "certificate")))
        then = head + "".join("[[member]]\n" + e for e in stay) + tail
        (d.dir / "room.toml").write_text(text)  # as it is before, like everybody's
        everybody = [a, b, c, d]
        for m in everybody:
            (m.dir / "then.toml").write_text(then)
        self.together("room", "change", "{dir}/then.toml", members=everybody)
        now = [a, b, d]
        self.make_people(b)  # behind the change, which no people sign yet (docs/status.md)
        for m in now:
            m.start_node()
        wait_until(lambda: all(p["up"] for m in now for p in m.room().status()["peers"]), "links between the nodes")
        ident = self.propose(d)
        self.seen_by(now, ident)
        a.approve(ident)
        d.approve(ident)
        self.assertFalse(self.approve_as(b, ident, "eve")["decided"])
        self.assertEqual(b.room().runs(ident), [])
        self.assertTrue(self.approve_as(b, ident, "ann")["decided"])
        runs = [self.run_of(m.room(), ident) for m in now]
        self.assertEqual([r.state for r in runs], ["done"] * 3, [r.fields for r in runs])
        self.assertEqual({r.result().split(b"<Account>")[1][:12] for r in runs}, {account})
        record = b.command("log", "export", "--evidence")
        self.assertIn('"evidence"', record.stdout, record.stderr)
        gone = c.command("secret", "list")
        self.assertNotEqual(gone.returncode, OK)
        self.assertIn("was left by this member", gone.stdout + gone.stderr)


if __name__ == "__main__":
    node_test.FLEXROOM, node_test.NODE = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
    unittest.main(verbosity=2)
