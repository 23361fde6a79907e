#!/usr/bin/python3
"""Scripts and recipes with members' private values as proposals that wait: the nodes run them alone, once, and each
member has its result; with kills at every moment, a member that gives nothing, and another's private value searched for.

usage: node_script_test.py FLEXROOM_BINARY FLEXROOM_NODE_BINARY [unittest arguments]
"""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import sys
import time
import unittest

import boto3
from botocore.config import Config

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import node_test  # noqa: E402
from node_test import BAD_INPUT, OK, flexroom, wait_until  # noqa: E402

SECRET = "joint/key"
SIGNS = {"provider": "sandbox", "entropy": 128, "purposes": ["sigv4 ec2 us-east-1", "sigv4 sts us-east-1"]}
SCRIPT = b"""import json, sys
rows = [len(open(p).readlines()) for p in sys.argv[1:]]
for i in range(len(rows)):
    json.dump({"rows": rows, "total": sum(rows)}, open(f"result-{i + 1}", "w"))
"""
SLOW = b"""import json, sys, time
time.sleep(8)
for i in range(len(sys.argv) - 1):
    json.dump({"slept": 8}, open(f"result-{i + 1}", "w"))
"""
FAILS = b"import sys\nsys.exit(7)\n"


class Scripts(node_test.Nodes):
    @classmethod
    def s3(cls, account, presign=False):
        keys = cls.accounts[account]
        return boto3.client("s3", region_name="us-east-1", aws_access_key_id=keys["access_key_id"],
                            aws_secret_access_key=keys["secret_access_key"], verify=str(cls.cloud / "ca.pem"),
                            endpoint_url=None if presign else f"https://localhost:{cls.service}",
                            config=Config(signature_version="s3v4",
                                          s3={"addressing_style": "virtual" if presign else "path"}))

    @classmethod
    def before_nodes(cls):
        cls.accounts = {a["account"]: a for a in json.loads((cls.cloud / "accounts.json").read_text())}
        cls.share("good", SECRET, cls.accounts["joint"]["secret_access_key"].encode(), "b64", **SIGNS)
        cls.s3("joint").create_bucket(Bucket="scripts")
        for m in cls.members:
            cls.s3("hospital-a").create_bucket(Bucket=f"{m.name}-data")

    @classmethod
    def share(cls, file, name, value, value_class, **more):
        """What an issuer gives the members, and they import."""
        shares = [os.urandom(len(value)) for _ in cls.members[1:]]
        last = value
        for share in shares:
            last = bytes(x ^ y for x, y in zip(last, share))
        shares.append(last)
        salts = [os.urandom(16) for _ in shares]
        commitments = [hashlib.sha256(salt + share).hexdigest() for salt, share in zip(salts, shares)]
        for m, share, salt in zip(cls.members, shares, salts):
            path = m.dir / f"{file}.json"
            path.touch(mode=0o600)
            path.write_text(json.dumps({"name": name, "kind": "test", "class": value_class, "length": len(value),
                                        "share": share.hex(), "salt": salt.hex(), "commitments": commitments, **more}))
        cls.together("secret", "import", f"{{dir}}/{file}.json")

    def links(self, m, rows=10):
        """Pre-signed by an independent client, as each member would; another object for each run."""
        client, presign = self.s3("hospital-a"), self.s3("hospital-a", presign=True).generate_presigned_url
        bucket, key, result = f"{m.name}-data", f"half-{os.urandom(8).hex()}", f"result-{os.urandom(8).hex()}"
        client.put_object(Bucket=bucket, Key=key, Body=b"row\n" * rows)
        urls = {name: presign(method, Params={"Bucket": bucket, "Key": object_key}, ExpiresIn=3600)
                for name, method, object_key in (("data_url", "get_object", key), ("result_url", "put_object", result),
                                                 ("result_get_url", "get_object", result))}
        file = m.dir / f"links-{os.urandom(4).hex()}.toml"
        file.touch(mode=0o600)
        file.write_text("".join(f'{k} = "{v}"\n' for k, v in urls.items()))
        self.private = getattr(self, "private", []) + [(m, part) for part in (key, result)]
        return file

    def job(self, name, script=SCRIPT):
        self.s3("joint").put_object(Bucket="scripts", Key=f"{name}.py", Body=script, ACL="public-read")
        file = self.members[0].dir / f"{name}.toml"
        file.write_text(f"""[job]
name = "{name}"
provider = "sandbox"
region = "us-east-1"
image_id = "ami-0123456789abcdef0"
instance_type = "t3.large"
access_key_id = "{self.accounts['joint']['access_key_id']}"
secret = "{SECRET}"
deadline_minutes = 1
[script]
url = "https://scripts.s3.amazonaws.com/{name}.py"
sha256 = "{hashlib.sha256(script).hexdigest()}"
interpreter = "/usr/bin/python3"
""")
        return file

    def everywhere(self, ident):
        wait_until(lambda: all([p for p in r.inbox() if p.id == ident] for r in self.rooms), "the proposal everywhere")

    def proposed(self, name, script=SCRIPT):
        """By the first member, with its links, and known to all."""
        ident = self.members[0].say("propose", "run-script", str(self.job(name, script)), "--links",
                                    str(self.links(self.members[0])))["proposal"]["id"]
        self.everywhere(ident)
        return ident

    def give_links(self, ident, members=None):
        for i, m in enumerate(members or self.members[1:], 2):
            m.say("proposal", "input", ident, "--links", str(self.links(m, 10 * i)))
        wait_until(lambda: all(r.proposal(ident).state == "complete" for r in self.rooms), "all inputs everywhere")

    def approve_all(self, ident):
        for m in self.members:
            m.approve(ident)

    def started(self):
        """Requests that the service took, of whichever run."""
        return len(self.requests("ec2"))

    def ends(self, ident, timeout=90):
        return [r.proposal(ident).wait_run(timeout=60).wait(timeout=timeout) for r in self.rooms]

    def assert_private(self):
        """What one member keeps to itself is in no file of another, nor in the clear in its own state."""
        for owner, part in self.private:
            for m in self.members:
                for file in (m.dir / "state").rglob("*"):
                    if not file.is_file():
                        continue
                    if m is owner and file.name == "link":
                        continue  # of a run whose result is not here, mode 0600
                    self.assertNotIn(part.encode(), file.read_bytes(), f"{owner.name}'s in {file}")


class Lean(Scripts):
    def test_a_script_runs_unattended_and_each_member_has_its_result(self):
        ident = self.proposed("count")
        b = self.members[1]
        shown = b.command("proposal", "show", ident[:12])
        self.assertEqual(shown.returncode, OK, shown.stderr)
        self.assertIn("waits for the input `links` of beta", shown.stdout)
        self.assertIn("json.dump", shown.stdout)  # the script, in full
        early = self.members[0].command("--yes", "proposal", "approve", ident)
        self.assertNotEqual(early.returncode, OK)
        self.assertIn("inputs are missing", early.stderr)
        self.give_links(ident)
        shown = b.command("proposal", "show", ident[:12])
        self.assertIn("input `links` of alpha", shown.stdout)
        self.assertIn("RunInstances", shown.stdout)
        self.assertIn("UserData", shown.stdout)
        self.approve_all(ident)
        runs = self.ends(ident)
        self.assertEqual([r.state for r in runs], ["done"] * len(runs), [r.fields for r in runs])
        self.assertEqual({r.id for r in runs}, {runs[0].id})
        self.assertEqual({r.fields["instance_id"] for r in runs}, {runs[0].fields["instance_id"]})
        rows = [10] + [10 * i for i in range(2, len(self.members) + 1)]
        for r in runs:
            self.assertEqual(json.loads(r.result()), {"rows": rows, "total": sum(rows)})
        for m in self.members:
            known = m.say("show", runs[0].id[:12])
            self.assertEqual((known["state"], known["client_token"]), ("succeeded", runs[0].fields["client_token"]))
            log = m.say("log", "--verify")
            self.assertTrue(log["verified"])
            texts = [e["text"] for e in log["entries"]]
            self.assertEqual(sum("run-script count: status 200" in t for t in texts), 1, texts)
        self.assertEqual(json.loads(self.members[0].command("node", "result", runs[0].id).stdout)["total"], sum(rows))
        self.assert_private()


    def test_a_script_that_fails_is_told_with_its_report(self):
        ident = self.proposed("fails", FAILS)
        self.give_links(ident)
        self.approve_all(ident)
        runs = self.ends(ident)
        self.assertEqual([r.state for r in runs], ["failed"] * len(runs), [r.fields for r in runs])
        for r in runs:
            self.assertIn("exit status 7", r.fields["detail"])
            self.assertIn(b"FLEXROOM-FAILED", r.result())
        self.assertEqual({r.proposal(ident).state for r in self.rooms}, {"done"})  # the request was answered

    def test_kills_before_the_run_and_while_it_is_followed_lose_nothing(self):
        before = self.started()
        ident = self.proposed("slow", SLOW)
        b = self.members[1]
        b.stop_node(signal.SIGKILL)
        b.start_node()
        self.all_up()
        self.give_links(ident)
        b.stop_node(signal.SIGKILL)
        self.members[0].approve(ident)
        b.start_node()
        self.all_up()
        for m in self.members[1:]:
            m.approve(ident)
        runs = [r.proposal(ident).wait_run(timeout=60) for r in self.rooms]
        wait_until(lambda: all(r.refresh().state == "machine runs" for r in runs), "the machine")
        for m in self.members:
            m.stop_node(signal.SIGKILL)
        for m in self.members:
            m.start_node()
        self.all_up()
        runs = self.ends(ident, 120)
        self.assertEqual([r.state for r in runs], ["done"] * len(runs), [r.fields for r in runs])
        self.assertEqual([json.loads(r.result())["slept"] for r in runs], [8] * len(runs))
        self.assertEqual(self.started() - before, 1)
        self.assertEqual([len(r.runs(ident)) for r in self.rooms], [1] * len(runs))

    def test_killed_in_the_middle_it_is_never_begun_twice(self):
        for moment in (0.0, 0.1, 0.3):
            before = self.started()
            ident = self.proposed(f"middle{round(10 * moment)}")
            self.give_links(ident)
            self.approve_all(ident)
            b = self.rooms[1]
            wait_until(lambda: b.status()["doing"].startswith("running") or b.runs(ident), "the run", 30)
            time.sleep(moment)
            self.members[1].stop_node(signal.SIGKILL)
            self.members[1].start_node()
            self.all_up()
            # What was not armed is tried again; what was is not, and the others' node says what it knows.
            wait_until(lambda: all(r.proposal(ident).state in ("done", "unknown") for r in self.rooms), "an end", 120)
            self.assertLessEqual(self.started() - before, 1)
            states = [r.runs(ident)[0].state for r in self.rooms]
            if {"done", "machine runs"} & set(states):
                self.assertEqual(self.started() - before, 1, states)
            self.assertNotIn("running", states)

    def test_its_machine_is_ended_by_another_proposal(self):
        ident = self.proposed("stopped", SLOW.replace(b"8", b"50"))
        self.give_links(ident)
        self.approve_all(ident)
        runs = [r.proposal(ident).wait_run(timeout=60) for r in self.rooms]
        wait_until(lambda: all(r.refresh().state == "machine runs" for r in runs), "the machine")
        stop = self.members[1].say("propose", "stop", runs[0].id[:12])["proposal"]
        self.assertIn(runs[0].fields["instance_id"], self.rooms[1].proposal(stop["id"]).text())
        self.everywhere(stop["id"])
        self.approve_all(stop["id"])
        self.assertEqual([r.state for r in self.ends(stop["id"])], ["done"] * len(runs))
        wait_until(lambda: all(r.refresh().state == "stopped" for r in runs), "the end of the machine")
        for m in self.members:
            self.assertEqual(m.say("show", runs[0].id[:12])["state"], "stopped")

    def test_a_member_that_lost_its_private_part_says_so_and_nothing_runs(self):
        before = self.started()
        ident = self.proposed("lost")
        b = self.members[1]
        b.stop_node()
        kept = b.dir / "kept"
        kept.mkdir()
        for file in (b.dir / "state").glob("state.db*"):
            shutil.copy2(file, kept)
        b.start_node()
        self.all_up()
        self.give_links(ident)
        self.members[0].approve(ident)
        b.stop_node()
        for file in (b.dir / "state").glob("state.db*"):
            file.unlink()
        for file in kept.glob("state.db*"):
            shutil.copy2(file, b.dir / "state")
        b.start_node()
        self.all_up()
        wait_until(lambda: self.rooms[1].proposal(ident).state == "complete", "its own statements, given back")
        shown = b.command("proposal", "show", ident)
        self.assertIn("whose private part is not here", shown.stdout)
        late = b.command("--yes", "proposal", "approve", ident)
        self.assertNotEqual(late.returncode, OK)
        self.assertIn("it has to be proposed again", late.stderr)
        self.assertEqual(self.started(), before)

    def test_what_is_wrong_is_said_where_it_is_written(self):
        m = self.members[0]
        links = self.links(m)
        links.write_text(links.read_text().replace("Expires=3600", "Expires=1").replace(
            "X-Amz-Date=2", "X-Amz-Date=1"))
        done = m.command("propose", "run-script", str(self.job("early")), "--links", str(links))
        self.assertEqual(done.returncode, BAD_INPUT, done.stdout + done.stderr)
        self.assertIn("expired", done.stderr)
        ident = [p.id for p in self.rooms[0].inbox() if p.title == "early"][0]
        twice = self.links(m)
        m.say("proposal", "input", ident, "--links", str(twice))
        done = m.command("proposal", "input", ident, "--links", str(twice))
        self.assertIn("another value is another proposal", done.stderr)
        done = m.command("proposal", "input", ident, "--inputs", str(twice), "--links", str(twice))
        self.assertIn("either --links or --inputs", done.stderr)
        m.say("--yes", "proposal", "withdraw", ident)


QUESTION = "what is it that only one of us may ask"
ADDRESS = "POST https://llm.flexroom.example/v1/chat/completions"


class Private(Scripts):
    """A recipe with a value that one member keeps to itself."""
    NAMES = ("alpha", "beta", "gamma")
    OPEN_CALLS = f'open_calls = ["{ADDRESS} header authorization", "{ADDRESS} json /messages/0/content"]\n'

    @classmethod
    def before_nodes(cls):
        cls.share("token", "joint/model-token", (cls.cloud / "api-token").read_text().strip().encode(), "urlsafe",
                  provider="sandbox", purposes=[ADDRESS + " header authorization: Bearer {{}}"])
        text = (node_test.ROOT / "examples/recipes/ask-model-privately.toml").read_text()
        (cls.members[0].dir / "ask.toml").write_text(text.replace('"hospital-a"', '"beta"'))

    def test_waits_for_the_member_whose_value_it_takes_and_tells_it_to_nobody(self):
        a, b, c = self.members
        ident = a.say("propose", "call", str(a.dir / "ask.toml"))["proposal"]["id"]
        self.everywhere(ident)
        self.assertIn("waits for the input `question` of beta", c.command("proposal", "show", ident).stdout)
        file = b.dir / "inputs.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"question": QUESTION + " \u00e9"}))
        wrong = b.command("proposal", "input", ident, "--inputs", str(file))
        self.assertEqual(wrong.returncode, BAD_INPUT, wrong.stderr)
        self.assertNotIn("may ask", wrong.stderr)
        file.write_text(json.dumps({"question": QUESTION}))
        other = c.dir / "inputs.json"
        other.touch(mode=0o600)
        other.write_text(json.dumps({"question": "another"}))
        done = c.command("proposal", "input", ident, "--inputs", str(other))  # of who is not asked
        self.assertNotEqual(done.returncode, OK)
        b.say("proposal", "input", ident, "--inputs", str(file))
        wait_until(lambda: all(r.proposal(ident).state == "complete" for r in self.rooms), "the input everywhere")
        self.approve_all(ident)
        runs = self.ends(ident)
        self.assertEqual([r.state for r in runs], ["done"] * 3, [r.fields for r in runs])
        self.assertEqual({r.status for r in runs}, {200}, [r.result() for r in runs])
        self.assertIn(b"%d words" % len(QUESTION.split()), runs[0].result())
        file.unlink()
        for m in self.members:
            for path in m.dir.rglob("*"):
                if path.is_file():
                    self.assertNotIn(QUESTION.encode(), path.read_bytes(), path)


class LeanOfThree(Scripts):
    NAMES = ("alpha", "beta", "gamma")
    test_a_script_runs_unattended_and_each_member_has_its_result = \
        Lean.test_a_script_runs_unattended_and_each_member_has_its_result


if __name__ == "__main__":
    node_test.FLEXROOM, node_test.NODE = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
    unittest.main(verbosity=2)
