#!/usr/bin/python3
"""docs/onboarding.md as it stands there: every command of its console blocks is run, by three members, an issuer and the
people who send files and telephone; then what the page says of altered files, repeated steps, links and shares.

usage: onboarding_test.py FLEXROOM_BINARY [unittest arguments]
"""
import datetime
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import json_schema  # noqa: E402

SCHEMA = json_schema.load(ROOT / "docs/json-schema.json")
FLEXROOM = ""
OK, BAD_INPUT, REFUSED = 0, 3, 4
NAMES = ("hospital-a", "hospital-b", "hospital-c")
SECONDS = 120  # a command that takes longer hangs
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Onboarding(unittest.TestCase):
    """One sandbox; the tests share nothing else."""

    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="flexroom-onboarding-"))
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.cloud = cls.work / "cloud"
        with open(cls.work / "sandbox.log", "wb") as log:
            cls.sandbox = subprocess.Popen([FLEXROOM, "sandbox", "--dir", cls.cloud], stdout=log, stderr=log)
        cls.addClassCleanup(cls.stop_sandbox)
        end = time.monotonic() + SECONDS
        while b"stop with Ctrl-C" not in (cls.work / "sandbox.log").read_bytes():
            assert time.monotonic() < end and cls.sandbox.poll() is None, (cls.work / "sandbox.log").read_text()
            time.sleep(0.02)
        cls.port = json.loads((cls.cloud / "endpoints.json").read_text())["port"]
        cls.accounts = {a["account"]: a for a in json.loads((cls.cloud / "accounts.json").read_text())}
        scripts = cls.s3("joint")
        scripts.create_bucket(Bucket="scripts")
        scripts.put_object(Bucket="scripts", Key="hello", Body=b"hello, room\n", ACL="public-read")

    @classmethod
    def stop_sandbox(cls):
        cls.sandbox.send_signal(signal.SIGTERM)
        cls.sandbox.wait(20)

    @classmethod
    def s3(cls, account):
        keys = cls.accounts[account]
        return boto3.client("s3", region_name="us-east-1", aws_access_key_id=keys["access_key_id"],
                            aws_secret_access_key=keys["secret_access_key"], verify=str(cls.cloud / "ca.pem"),
                            endpoint_url=f"https://localhost:{cls.port}",
                            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        self.ports = {name: free_port() for name in NAMES}
        for name in (*NAMES, "issuer"):
            (self.folder / name / "received").mkdir(parents=True)
            (self.folder / name).chmod(0o700)
            shutil.copy(self.cloud / "ca.pem", self.folder / name / "ca.pem")

    # ------------------------------------------------------------------------------- people and shells

    def environment(self, who, **more):
        keys = self.accounts["hospital-a"]
        return {"PATH": os.environ["PATH"], "KEY": SECRET, "MEMBER": who, "AWS_ACCESS_KEY_ID": keys["access_key_id"],
                "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"], **more}

    def start(self, who, line, stdin=subprocess.DEVNULL, **environment):
        for name, port in self.ports.items():
            line = line.replace(f"{name[-1]}.example:7100", f"127.0.0.1:{port}")
        line = re.sub(r"(\S+)=\"FOUR WORDS\"", lambda m: f'{m[1]}="{self.heard(m[1])}"', line)
        line = re.sub(r"(?<![\w/.-])flexroom ", shlex.quote(FLEXROOM) + " ", line)
        if "room new" in line:  # the sandbox of a user is at the usual port
            line += f" --connect-to '*:443=127.0.0.1:{self.port}'"
        return subprocess.Popen(["bash", "-c", line], cwd=self.folder / who, stdin=stdin, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.environment(who, **environment))

    def finish(self, who, line, process):
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"{who}$ {line}: hangs\n{process.communicate()}") from None
        return process.returncode, out, err

    def run_at(self, who, line, code=OK, **more):
        got, out, err = self.finish(who, line, self.start(who, line, **more))
        self.assertEqual(got, code, f"{who}$ {line}\n{out}{err}")
        return out + err

    def run_all(self, line, codes=(OK,) * 3):
        started = [(who, self.start(who, line)) for who in NAMES]
        ended = [self.finish(who, line, process) for who, process in started]
        self.assertEqual([code for code, _, _ in ended], list(codes), f"all$ {line}\n{ended}")
        return [out + err for _, out, err in ended]

    def send(self, sender, file, *receivers):
        for receiver in receivers:
            shutil.copy(self.folder / sender / file, self.folder / receiver / "received")

    def heard(self, who):
        """What that member's person says at the telephone: what its own program shows."""
        text = self.run_at(who, "flexroom room words")
        return re.search(r"The four words of this member are\n\n +(\w+ \w+ \w+ \w+)\n", text)[1]

    def follow(self, until=None):
        """The page, up to a heading that begins with `until`."""
        page = (ROOT / "docs/onboarding.md").read_text()
        if until:
            page = page[:page.index(f"\n## {until}")]
        count = 0
        for block in re.findall(r"^```console\n(.*?)^```$", page, re.M | re.S):
            for line in block.splitlines():
                if sent := re.fullmatch(r"# (\S+) sends (\S+) to (.+)", line):
                    self.send(sent[1], sent[2], *sent[3].split(", "))
                    if sent[2] == "room.toml" and sent[1] == "hospital-a":  # it is public: the issuer has it too
                        shutil.copy(self.folder / "hospital-a/room.toml", self.folder / "issuer/room.toml")
                    continue
                who, line = line.split("$ ", 1)
                self.said = self.run_all(line) if who == "all" else self.run_at(who, line)
                count += 1
        return count

    def member(self, name):
        return self.folder / name

    def room(self, name):
        return (self.member(name) / "room.toml").read_text()

    # ------------------------------------------------------------------------------------------ tests

    def test_the_page_as_it_stands_there(self):
        self.assertGreaterEqual(self.follow(), 18)
        self.assertEqual(len({self.room(name) for name in NAMES}), 1)
        listed = self.run_at("hospital-b", "flexroom --json secret list")
        self.assertIn('"joint-key"', listed)
        self.assertNotIn(SECRET, listed)
        # What an issuer leaves: files of mode 0600 whose shares are the value together.
        shares = [json.loads((self.folder / "issuer/shares" / f"{name}.json").read_text()) for name in NAMES]
        value = bytes(len(SECRET))
        for name, one in zip(NAMES, shares):
            self.assertEqual(stat.S_IMODE((self.folder / f"issuer/shares/{name}.json").stat().st_mode), 0o600)
            share = bytes.fromhex(one["share"])
            value = bytes(a ^ b for a, b in zip(value, share))
            self.assertEqual(hashlib.sha256(bytes.fromhex(one["salt"]) + share).hexdigest(),
                             one["commitments"][NAMES.index(name)])
        self.assertEqual(value, SECRET.encode())
        # Done once, an own key of room.toml may change, and nobody is asked for words again.
        for name in NAMES:
            path = self.member(name) / "room.toml"
            path.write_text(path.read_text().replace('ca_file = "ca.pem"', 'ca_file = "./ca.pem"'))
        self.run_all("flexroom init")
        text = self.room("hospital-a")
        other = re.findall(r'certificate = "([0-9a-f]+)"', text)[1]
        (self.member("hospital-a") / "room.toml").write_text(text.replace(other, "ab" * 32))
        self.assertIn("the words of hospital-b were not compared",
                      self.run_at("hospital-a", "flexroom init", code=REFUSED))

    def test_no_room_is_set_up_before_words_were_compared(self):
        self.follow(until="3.")
        said = self.run_at("hospital-b", "flexroom --yes init", code=REFUSED)
        self.assertIn("the words of hospital-a were not compared yet", said)
        self.assertFalse((self.member("hospital-b") / "state").exists())
        # One person answers, wrongly and rightly; the other member's are still missing.
        for words, wanted in (("abandon ability able about", "do not fit the entry of hospital-a"),
                              (self.heard("hospital-a").upper().replace(" ", " - "), "the words of hospital-c")):
            process = self.start("hospital-b", "flexroom init", stdin=subprocess.PIPE)
            out, err = process.communicate(words + "\n", timeout=SECONDS)
            self.assertEqual(process.returncode, REFUSED, out + err)
            self.assertIn(wanted, out + err)
            self.assertNotIn(self.heard("hospital-c"), out + err)
        now = json.loads(self.run_at("hospital-b", "flexroom --json room words").splitlines()[-1])
        self.assertEqual((now["compared"], now["missing"]), (["hospital-a"], ["hospital-c"]))
        self.assertEqual(json_schema.problems(now, SCHEMA, SCHEMA), [])

    def test_an_altered_file_gives_other_words(self):
        """Somebody between them has keys of his own in the place of hospital-b's at the founder, and of the founder's at
        hospital-b: both rooms are well-formed, the words are not."""
        self.follow(until="2.")
        founder = self.member("hospital-a")
        invitation = (founder / "breast-study.invitation.toml").read_text()
        evil = self.member("hospital-c")  # his own machine
        own = self.run_at("hospital-c", f"flexroom --json init --identity hospital-a --dir x --address 127.0.0.1:{free_port()}")
        theirs = json.loads(own)["certificate"]
        real = re.search(r'certificate = "([0-9a-f]+)"', invitation)[1]
        altered = invitation.replace(real, theirs)
        (self.member("hospital-b") / "received/breast-study.invitation.toml").write_text(altered)
        self.run_at("hospital-b", "flexroom room join received/breast-study.invitation.toml --as hospital-b --address b.example:7100")
        # The honest reply is to another invitation: the founder is told.
        self.send("hospital-b", "hospital-b.reply.toml", "hospital-a")
        self.assertIn("answers another invitation",
                      self.run_at("hospital-a", "flexroom room add received/hospital-b.reply.toml", code=BAD_INPUT))
        # So he writes a reply of his own, and the room that hospital-b will see.
        (evil / "received/breast-study.invitation.toml").write_text(invitation)
        for name in ("hospital-b", "hospital-c"):
            self.run_at("hospital-c", f"flexroom room join received/breast-study.invitation.toml --as {name} --dir as-{name} "
                                      f"--address {name[-1]}.example:7100")
            self.send("hospital-c", f"as-{name}/{name}.reply.toml", "hospital-a")
            self.run_at("hospital-a", f"flexroom room add received/{name}.reply.toml")
        self.run_at("hospital-a", "flexroom room seal")
        room = self.room("hospital-a")
        of_b = re.search(r'certificate = "([0-9a-f]+)"', (self.member("hospital-b") / "hospital-b.reply.toml").read_text())[1]
        certificates = re.findall(r'certificate = "([0-9a-f]+)"', room)
        (self.member("hospital-b") / "received/room.toml").write_text(
            room.replace(real, theirs).replace(certificates[1], of_b))
        self.run_at("hospital-b", "flexroom room finish received/room.toml")
        for at, other in (("hospital-a", "hospital-b"), ("hospital-b", "hospital-a")):
            said = self.run_at(at, f'flexroom room words --words {other}="{self.heard(other)}"', code=REFUSED)
            self.assertIn(f"do not fit the entry of {other}", said)

    def test_each_step_may_be_repeated_and_overwrites_nothing(self):
        self.follow(until="3.")
        before = {path: path.read_bytes() for name in NAMES for path in self.member(name).rglob("*") if path.is_file()}
        page = (ROOT / "docs/onboarding.md").read_text()
        for line in re.findall(r"^(hospital-\w\$ flexroom room .*)$", page[:page.index("\n## 3.")], re.M):
            who, command = line.split("$ ", 1)
            self.assertRegex(self.run_at(who, command), "already|All 3 are in")
        self.assertEqual({path: path.read_bytes() for path in before}, before)
        self.run_at("hospital-b", "flexroom room join received/breast-study.invitation.toml --as hospital-x --address "
                                  "b.example:7100", code=BAD_INPUT)
        self.run_at("hospital-a", "flexroom room new other --as hospital-a --address a.example:7100 --members 3 --provider "
                                  "sandbox --opens us --root us", code=BAD_INPUT)

    def test_what_is_not_given_is_asked_for(self):
        answers = "hospital-a\na.example:7100\n2\naws\nhospital-a\nits director\n"
        process = self.start("hospital-a", "flexroom room new other", stdin=subprocess.PIPE)
        out, err = process.communicate(answers, timeout=SECONDS)
        self.assertEqual(process.returncode, OK, out + err)
        self.assertIn("Who opens the account: hospital-a. Who holds its root: its director.", out)
        self.assertIn("All 2 members are needed for every run", out)
        self.assertRegex(self.run_at("hospital-b", "flexroom room new other", code=BAD_INPUT),
                         "--as:? is missing, and nobody answered")

    # -------------------------------------------------------------------------------- links

    KEYS = ("half.csv", "folder/a b+c=ü~'.csv")

    def links(self, *more, code=OK, **environment):
        region = [] if "--region" in more else ["--region", "us-east-1"]
        line = " ".join(map(shlex.quote, ("links", "make", *region, *more)))
        return self.run_at("hospital-a", "flexroom " + line, code=code, **environment)

    def read_links(self, name="links.toml"):
        path = self.member("hospital-a") / name
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        return dict(re.findall(r'^(\w+) = "(.*)"$', path.read_text(), re.M))

    def fetch(self, method, url, body=None):
        """As the machine would: by name, at the sandbox's port. Returns status and body."""
        parts = urllib.parse.urlsplit(url)
        context = ssl.create_default_context(cafile=str(self.cloud / "ca.pem"))
        with socket.create_connection(("127.0.0.1", self.port)) as raw:
            with context.wrap_socket(raw, server_hostname=parts.hostname) as s:
                body = body or b""
                s.sendall(f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: "
                          f"{len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
                answer = b""
                while data := s.recv(1 << 16):
                    answer += data
        head, _, rest = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), rest

    def test_links_work_end_and_are_refused_with_another_key(self):
        store = self.s3("hospital-a")
        store.create_bucket(Bucket="a-links")
        for n, key in enumerate(self.KEYS):
            store.put_object(Bucket="a-links", Key=key, Body=b"data of " + str(n).encode())
            for style in ([], ["--path-style"]):
                name = f"links-{n}{'-path' if style else ''}.toml"
                self.links("--bucket", "a-links", "--data", key, "--result", f"r/{key}", "--loader", "l", "--out", name, *style)
                urls = self.read_links(name)
                self.assertEqual(self.fetch("GET", urls["data_url"])[1], f"data of {n}".encode())
                self.assertEqual(self.fetch("PUT", urls["result_url"], b"done")[0], 200)
                self.assertEqual(self.fetch("GET", urls["result_get_url"]), (200, b"done"))
                self.assertEqual(self.fetch("PUT", urls["loader_put_url"], b"x")[0], 200)
                # For that request alone.
                self.assertEqual(self.fetch("PUT", urls["data_url"], b"mine")[0], 403)
                self.assertEqual(self.fetch("GET", urls["result_url"])[0], 403)
        self.links("--bucket", "a-links", "--data", "half.csv", "--result", "r", "--out", "short.toml", "--lasts", "1s")
        self.links("--bucket", "a-links", "--data", "half.csv", "--result", "r", "--out", "wrong.toml",
                   AWS_SECRET_ACCESS_KEY=SECRET)
        status, body = self.fetch("GET", self.read_links("wrong.toml")["data_url"])
        self.assertEqual((status, b"SignatureDoesNotMatch" in body), (403, True), body)
        time.sleep(2)
        status, body = self.fetch("GET", self.read_links("short.toml")["data_url"])
        self.assertEqual((status, b"expired" in body), (403, True), body)

    def botocore_url(self, method, url, key, secret, token, date):
        """The same request, signed by botocore."""
        class Clock(datetime.datetime):
            @classmethod
            def utcnow(cls):
                return datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ")

            @classmethod
            def now(cls, tz=None):
                return cls.utcnow().replace(tzinfo=tz)

        class Module:
            datetime = Clock
        before, botocore.auth.datetime = botocore.auth.datetime, Module if hasattr(botocore.auth.datetime, "datetime") else Clock
        try:
            parts = urllib.parse.urlsplit(url)
            expires = dict(urllib.parse.parse_qsl(parts.query))["X-Amz-Expires"]
            request = botocore.awsrequest.AWSRequest(method=method, url=f"https://{parts.netloc}{parts.path}")
            signer = botocore.auth.S3SigV4QueryAuth(botocore.credentials.Credentials(key, secret, token), "s3", "us-east-1",
                                                    expires=int(expires))
            signer.add_auth(request)
            return request.url
        finally:
            botocore.auth.datetime = before

    def test_links_are_those_of_botocore_to_the_letter(self):
        for n, (token, key) in enumerate((t, k) for t in (None, "FwoGZXIvYXdzEJr//////////w==") for k in self.KEYS):
            environment = {"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}
            if token:
                environment["AWS_SESSION_TOKEN"] = token
            self.links("--bucket", "a-data", "--data", key, "--result", "r", "--out", f"{n}.toml", "--endpoint",
                       "https://store.example:9000", **environment)
            urls = self.read_links(f"{n}.toml")
            for name, method in (("data_url", "GET"), ("result_url", "PUT"), ("result_get_url", "GET")):
                date = re.search(r"X-Amz-Date=(\w+)", urls[name])[1]
                self.assertEqual(urls[name], self.botocore_url(method, urls[name], "AKIAIOSFODNN7EXAMPLE", SECRET, token, date))

    def test_links_are_refused_before_anything_is_written(self):
        good = {"--bucket": "a-data", "--data": "half.csv", "--result": "r"}
        for change, wanted in (({"--bucket": "A_data"}, "no bucket's name"), ({"--bucket": "a.data"}, "--path-style"),
                               ({"--data": "a/../b"}, "'\\.\\.'"), ({"--data": "/a"}, "'/'"), ({"--result": "half.csv"}, "--data"),
                               ({"--lasts": "8d"}, "7 days"), ({"--endpoint": "http://x.example"}, "https"),
                               ({"--endpoint": "https://x.example/y"}, "has a path"), ({"--region": "us east"}, "no region")):
            arguments = [x for pair in {**good, **change}.items() for x in pair]
            self.assertRegex(self.links(*arguments, code=BAD_INPUT), wanted)
        arguments = [x for pair in good.items() for x in pair]
        self.assertRegex(self.links(*arguments, code=BAD_INPUT, AWS_SECRET_ACCESS_KEY=""),
                         "AWS_SECRET_ACCESS_KEY:? is not set")
        self.assertFalse((self.member("hospital-a") / "links.toml").exists())
        self.links(*arguments)
        before = self.read_links()
        self.assertIn("never overwritten", self.links(*arguments, code=BAD_INPUT))
        self.assertEqual(self.read_links(), before)
        self.assertNotIn(self.accounts["hospital-a"]["secret_access_key"], str(before))

    # -------------------------------------------------------------------------------- shares

    def test_a_value_is_cut_from_a_descriptor_and_refused_whole(self):
        split = "flexroom secret split --name k --for a b --dir out "
        for line, wanted in (("echo -n 'x y' | " + split + "--class b64", "byte 2 of 3 .*none of class b64"),
                             ("echo abc | " + split + "--class hex", "ends in a newline"),
                             ("echo -n abc | " + split + "--class hex --purpose nonsense", "."),
                             ("echo -n abc | " + split + "--class words", "none of the known ones"),
                             ("true | " + split + "--class raw", "has 0 bytes"),
                             ("head -c 5000 /dev/zero | " + split + "--class raw", "has 4097 bytes"),
                             ("echo -n abc | " + split.replace("a b", "a a") + "--class hex", "different names")):
            self.assertRegex(self.run_at("issuer", line, code=BAD_INPUT), wanted)
            self.assertEqual(list((self.member("issuer")).glob("out/*")), [], line)
        self.run_at("issuer", split + "--class hex --from-fd 5 5< <(printf %s abcd)")
        files = {path: path.read_bytes() for path in self.member("issuer").glob("out/*")}
        self.assertEqual({path.name for path in files}, {"a.json", "b.json"})
        self.assertIn("never overwritten", self.run_at("issuer", "echo -n ab | " + split + "--class hex", code=BAD_INPUT))
        self.assertEqual({path: path.read_bytes() for path in self.member("issuer").glob("out/*")}, files)


if __name__ == "__main__":
    FLEXROOM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=2)
