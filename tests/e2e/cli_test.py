#!/usr/bin/python3
"""The command line end to end: whole runs of two members against the sandbox cloud, and the faults.

usage: cli_test.py FLEXROOM_BINARY [unittest arguments]
       cli_test.py FLEXROOM_BINARY --but CLASS...     all that is in none of these classes

Everything is a process of its own, as for a user: the sandbox, two members, the commands. What is
asserted is what a user sees (exit code, message), what the service saw (its log) and what is on disk.
"""
import base64
import calendar
import contextlib
import ctypes
import fcntl
import functools
import hashlib
import json
import os
import pathlib
import pty
import random
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
import urllib.parse

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import json_schema  # noqa: E402

FLEXROOM = ""
OK, USAGE, BAD_INPUT, REFUSED, NETWORK, CHEAT, UNKNOWN, SERVICE, OUTPUT_LOST = 0, 2, 3, 4, 5, 6, 7, 8, 9
RESULT_ELSEWHERE, GOES_ON = 10, 11
MEMBERS = ("alpha", "beta")
SECRET = "joint/key"
# What lets a secret sign.
SIGNS = {"provider": "sandbox", "entropy": 128, "purposes": ["sigv4 ec2 us-east-1", "sigv4 sts us-east-1"]}
DIRTY_MAX = 16
COMMAND_SECONDS = 120  # a command that takes longer hangs
EC2 = "ec2.us-east-1.amazonaws.com"

# What the members agree to run: counts the rows of each half, returns the sum to each.
SCRIPT = b"""import json, sys
rows = [len(open(p).readlines()) for p in sys.argv[1:]]
for i in range(len(rows)):
    json.dump({"rows": rows, "total": sum(rows)}, open(f"result-{i + 1}", "w"))
"""


def before_exec():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # die with the parent
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # /dev/tty is what stands at stdin


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, seconds=COMMAND_SECONDS):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


class Forwarder:
    """A stretch of the wire: forwards connections, keeps the bytes while `recording`, and cuts a
    connection when `cut_after` bytes went through it in both directions together."""

    def __init__(self, target):
        self.target, self.recording, self.cut_after = target, False, None
        self.recorded, self.connections = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            connection = {"left": self.cut_after, "lock": threading.Lock(), "ends": (near, far)}
            for a, b in ((near, far), (far, near)):
                a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                kept = bytearray()
                self.recorded.append(kept)
                threading.Thread(target=self.pump, args=(connection, a, b, kept), daemon=True).start()

    def pump(self, connection, a, b, kept):
        try:
            self.forward(connection, a, b, kept)
        except OSError:  # one end was reset: the other one learns of it
            for end in connection["ends"]:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def forward(self, connection, a, b, kept):
        while data := a.recv(1 << 18):
            with connection["lock"]:
                if connection["left"] is not None:
                    data = data[:connection["left"]]
                    connection["left"] -= len(data)
            if data:
                b.sendall(data)
            if self.recording:
                kept += data
            if connection["left"] == 0:
                for end in connection["ends"]:
                    end.shutdown(socket.SHUT_RDWR)
                return
        b.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.close()


class Process:
    """One running command; its output goes to files, so that nothing blocks and all can be searched."""

    count = 0

    def __init__(self, logs, arguments, stdin=subprocess.DEVNULL, **options):
        Process.count += 1
        self.arguments = [str(a) for a in arguments]
        stem = logs / f"{Process.count:03d}"
        self.out_file, self.err_file = stem.with_suffix(".out"), stem.with_suffix(".err")
        with open(self.out_file, "wb") as out, open(self.err_file, "wb") as err:
            self.process = subprocess.Popen(
                [FLEXROOM, *self.arguments], stdin=stdin, stdout=out, stderr=err,
                preexec_fn=before_exec, start_new_session=True, **options)

    @property
    def out(self):
        return self.out_file.read_text(errors="replace")

    @property
    def err(self):
        return self.err_file.read_text(errors="replace")

    @property
    def text(self):
        return self.out + self.err

    def running(self):
        return self.process.poll() is None

    def command_line(self):
        try:
            return pathlib.Path(f"/proc/{self.process.pid}/cmdline").read_bytes()
        except OSError:
            return b""

    def wait(self, seconds=COMMAND_SECONDS):
        try:
            self.code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self} hangs:\n{self.text}") from None
        return self

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()

    def send(self, number):
        self.process.send_signal(number)

    schema = json_schema.load(ROOT / "docs/json-schema.json")

    def json_lines(self):
        """What --json wrote, each line held against the published schema."""
        values = [json.loads(line) for line in self.out.splitlines()]
        for value in values:
            wrong = json_schema.problems(value, self.schema, self.schema)
            assert not wrong, f"{self}: {value} against docs/json-schema.json: {wrong}"
        return values

    def __str__(self):
        return "flexroom " + " ".join(self.arguments)


class Member:
    def __init__(self, room, name):
        self.room, self.name = room, name
        self.dir = room.work / name
        self.port = free_port()
        self.config = self.dir / "member.toml"
        self.room_file, self.job, self.links = (self.dir / f for f in ("room.toml", "job.toml", "links.toml"))

    def start(self, *arguments, yes=True, json_output=False, **options):
        flags = ["--yes"] * yes + ["--json"] * json_output
        return self.room.start("--member", self.config, *flags, *arguments, **options)

    def run(self, *arguments, **options):
        return self.start(*arguments, **options).wait()

    def counters(self):
        return self.run("status", json_output=True).json_lines()[-1]

    def log(self):
        return self.run("log", "--verify", json_output=True).json_lines()[-1]["entries"]

    def newest_run(self):
        """The folder of the run that was written last, whatever the clocks of other tests were."""
        return max((self.dir / "state/runs").glob("*/*/run.json"), key=lambda p: p.stat().st_mtime_ns).parent

    def state_of_newest_run(self):
        return self.run("show", self.newest_run().name, json_output=True).json_lines()[-1]["state"]

    def last_result(self):
        """Of the newest run, as its folder holds it."""
        shown = self.run("show", "last", json_output=True).json_lines()[-1]
        (folder,) = (self.dir / "state/runs").glob(f"*/{shown['id'][:16]}")
        return json.loads((folder / shown["result"]).read_text())

    def run_script(self, *more, **options):
        return self.start("run-script", self.job, "--links", self.links, *more, **options)


class Room(unittest.TestCase):
    """One sandbox and one room of two members, both ready to run: an epoch, the secret, links, a job."""

    TRIPLES = 'triples = "masked"\n'  # what a new room says

    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="flexroom-cli-"))
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.logs = cls.work / "logs"
        cls.logs.mkdir()
        cls.processes, cls.seen_command_lines = [], set()
        cls.addClassCleanup(cls.stop_all)
        cls.cloud = cls.work / "cloud"
        cls.sandbox, cls.port = cls.start_sandbox(cls.cloud)
        cls.members = [Member(cls, name) for name in MEMBERS]
        cls.a, cls.b = cls.members
        # Between the members (the first one listens), and between the courier and the service.
        cls.mesh_wire, cls.service_wire = Forwarder(cls.a.port), Forwarder(cls.port)
        cls.addClassCleanup(cls.mesh_wire.close)
        cls.addClassCleanup(cls.service_wire.close)
        cls.make_room()
        cls.make_objects()
        cls.shares = cls.share_files("good", SECRET, cls.accounts["joint"]["secret_access_key"].encode(), **SIGNS)
        cls.ready()

    @classmethod
    def ready(cls):
        for command in (["init"], ["secret", "import", "{dir}/good.json"]):
            for done in cls.both(*command):
                assert done.code == OK, f"{done}: {done.code}\n{done.text}"

    @classmethod
    def start(cls, *arguments, **options):
        started = Process(cls.logs, arguments, **options)
        cls.processes.append(started)
        return started

    @classmethod
    def stop_all(cls):
        for p in cls.processes:
            if p.running():
                p.send(signal.SIGTERM)  # the sandbox ends its instances
        for p in cls.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.process.wait(5)
            p.kill()

    @classmethod
    def start_sandbox(cls, directory, *arguments):
        (directory / "endpoints.json").unlink(missing_ok=True)
        p = cls.start("sandbox", "--dir", directory, *arguments)
        wait_until(lambda: "stop with Ctrl-C" in p.out or not p.running(), "start of the sandbox")
        return p, json.loads((directory / "endpoints.json").read_text())["port"]

    @classmethod
    def make_room(cls):
        entries = ""
        for m in cls.members:
            port = cls.mesh_wire.port if m is cls.a else m.port
            made = cls.start("--json", "init", "--identity", m.name, "--dir", m.dir,
                             "--address", f"127.0.0.1:{port}").wait()
            with m.config.open("a") as config:
                config.write(f'listen = "127.0.0.1:{m.port}"\n')
            r = made.json_lines()[-1]
            entries += "[[member]]\n" + "".join(
                f'{k} = "{r[k]}"\n' for k in ("name", "address", "certificate")) + "\n"
        cls.room_text = (f'[room]\nname = "test-room"\n{cls.TRIPLES}\n{entries}[provider.sandbox]\n'
                         f'hosts = ["*.amazonaws.com", "*.flexroom.example"]\n'
                         f'ca_file = "{cls.cloud}/ca.pem"\nconnect_to = ["*:443=127.0.0.1:{cls.service_wire.port}"]\n')
        cls.write_room(cls.room_text)

    @classmethod
    def write_room(cls, text):
        for m in cls.members:
            m.room_file.write_text(text)

    @classmethod
    def s3(cls, account, presign=False):
        keys = cls.accounts[account]
        return boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"], verify=str(cls.cloud / "ca.pem"),
            endpoint_url=None if presign else f"https://localhost:{cls.port}",
            config=Config(signature_version="s3v4",
                          s3={"addressing_style": "virtual" if presign else "path"}))

    @classmethod
    def make_objects(cls):
        """Buckets, objects and pre-signed URLs from an independent client, as each member would."""
        cls.accounts = {a["account"]: a for a in json.loads((cls.cloud / "accounts.json").read_text())}
        cls.private_parts = {}
        for i, (m, account) in enumerate(zip(cls.members, ("hospital-a", "hospital-b")), 1):
            bucket, key, result = f"{m.name}-data", f"half-{os.urandom(8).hex()}", f"result-{os.urandom(8).hex()}"
            client, presign = cls.s3(account), cls.s3(account, presign=True).generate_presigned_url
            client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key=key, Body=b"row\n" * (10 * i))
            urls = {name: presign(method, Params={"Bucket": bucket, "Key": object_key}, ExpiresIn=3600)
                    for name, method, object_key in (("data_url", "get_object", key),
                                                     ("result_url", "put_object", result),
                                                     ("result_get_url", "get_object", result))}
            m.links.write_text("".join(f'{k} = "{v}"\n' for k, v in urls.items()))
            m.links.chmod(0o600)
            cls.private_parts[m.name] = [key, result] + [
                u.rsplit("X-Amz-Signature=", 1)[1] for u in urls.values()]
            m.result_object = (account, bucket, result)
        joint = cls.s3("joint")
        joint.create_bucket(Bucket="scripts")
        joint.put_object(Bucket="scripts", Key="count.py", Body=SCRIPT, ACL="public-read")
        cls.job_text = f"""[job]
name = "count"
provider = "sandbox"
region = "us-east-1"
image_id = "ami-0123456789abcdef0"
instance_type = "t3.large"
access_key_id = "{cls.accounts['joint']['access_key_id']}"
secret = "{SECRET}"
deadline_minutes = 1

[script]
url = "https://scripts.s3.amazonaws.com/count.py"
sha256 = "{hashlib.sha256(SCRIPT).hexdigest()}"
interpreter = "/usr/bin/python3"
"""
        cls.write_job(cls.job_text)

    @classmethod
    def write_job(cls, text):
        for m in cls.members:
            m.job.write_text(text)

    @classmethod
    def share_files(cls, file, name, value, value_class="b64", **more):
        """What an issuer gives the members: XOR shares and commitments to them. Returns the shares."""
        first = os.urandom(len(value))
        shares = [first, bytes(x ^ y for x, y in zip(first, value))]
        salts = [os.urandom(16) for _ in shares]
        commitments = [hashlib.sha256(salt + share).hexdigest() for salt, share in zip(salts, shares)]
        for m, share, salt in zip(cls.members, shares, salts):
            path = m.dir / f"{file}.json"
            path.touch(mode=0o600)
            path.write_text(json.dumps({"name": name, "kind": "test", "class": value_class,
                                        "length": len(value), "share": share.hex(), "salt": salt.hex(),
                                        "commitments": commitments, **more}))
        return shares

    @classmethod
    def finish(cls, *started):
        """Waits for all, sampling the command lines that every user of the machine can see."""
        end = time.monotonic() + COMMAND_SECONDS
        while any(p.running() for p in started) and time.monotonic() < end:
            cls.seen_command_lines.update(p.command_line() for p in started)
            time.sleep(0.02)
        return [p.wait(1) for p in started]

    @classmethod
    def both(cls, *arguments, **options):
        """The same command at both members at the same time; {dir} is each member's directory."""
        return cls.finish(*(m.start(*(str(x).format(dir=m.dir) for x in arguments), **options)
                            for m in cls.members))

    @classmethod
    def both_run_script(cls, *more, **options):
        return cls.finish(*(m.run_script(*more, **options) for m in cls.members))

    def room_with(self, timeout=None, text=None):
        text = text or self.room_text
        if timeout:
            text = text.replace("[room]\n", f"[room]\ntimeout_seconds = {timeout}\n")
        self.write_room(text)
        self.addCleanup(self.write_room, self.room_text)

    def requests(self, service="ec2"):
        """What reached the sandbox, from its own log."""
        return [line for line in self.sandbox.text.splitlines() if f"Z {service} " in line]

    def assert_ended(self, done, codes, *patterns):
        codes = codes if isinstance(codes, tuple) else (codes,)
        self.assertIn(done.code, codes, f"{done}\n{done.text}")
        for pattern in patterns:
            self.assertRegex(done.text, pattern, str(done))
        if done.code != OK and "--json" not in done.arguments:
            # After a question the message follows on the same line.
            messages = re.findall(r"(?:^|\[y/N\] )flexroom: ", done.err, re.MULTILINE)
            self.assertEqual(len(messages), 1, f"one clear message expected: {done}\n{done.text}")

    def assert_nothing_contacted(self, before):
        self.assertEqual(self.requests(), before)

    @contextlib.contextmanager
    def changed(self, path, text):
        old = path.read_bytes()
        path.write_text(text)
        try:
            yield
        finally:
            path.write_bytes(old)

    @contextlib.contextmanager
    def read_only(self, folder):
        """Nothing can be written there, by root neither."""
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
            yield
        finally:
            subprocess.run(["umount", "-l", folder], check=True)

    def state_hash(self, but=()):
        """Everything that members keep, except what SQLite rewrites when it only opens a file."""
        digest = hashlib.sha256()
        for m in self.members:
            for name in sorted({"secret list", "log", "status"} - set(but)):
                digest.update(m.run(*name.split(), json_output=True).out.encode())
        return digest.hexdigest()


class TerminalAnswer:
    """Starts a command at a pseudo-terminal and answers its question."""

    def __init__(self, member, answer, *arguments):
        self.master, slave = pty.openpty()
        self.p = member.start(*arguments, yes=False, stdin=slave)
        os.close(slave)
        self.answer = answer

    def give(self):
        wait_until(lambda: "[y/N]" in self.p.err or not self.p.running(), "the question")
        os.write(self.master, self.answer.encode() + b"\n")
        return self.p

    def close(self):
        os.close(self.master)


def forms(secret):
    """The forms in which bytes could be found: raw, hex, base64 at each alignment."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for shift in range(3):
        body = base64.b64encode(b"\0" * shift + secret)
        # Characters that depend on the neighbours are cut off at both ends.
        start = (8 * shift + 5) // 6
        inner = body.rstrip(b"=")[start:-1]
        if len(inner) >= 12:
            found.add(inner)
    return found


def record_digest(meta):
    """RO("record", metadata) outside any epoch or session: every part with its length before it."""
    parts = [b"record", b"flexroom/1", bytes(32), bytes(32), bytes(32), bytes(8), b"\xff" * 4, b"\xff" * 4, meta]
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def set_of(meta):
    """The set of a row, from its metadata (docs/formats.md)."""
    at = 32 + 16 + 4

    def skip_texts(count):
        nonlocal at
        for _ in range(count):
            at += 4 + int.from_bytes(meta[at:at + 4], "big")

    skip_texts(3)
    at += 4 + 32
    at += 1
    skip_texts(meta[at - 1])
    at += 4
    skip_texts(2)
    assert meta[at + 16:] in (b"", b"\x01"), "given, or born inside"
    return meta[at:at + 16]


def unsealed_rows(member):
    """(kind, plaintext) of the rows of state.db, opened as the store does: XChaCha20-Poly1305 under
    state.key; associated data are length-prefixed kind, id and metadata."""
    sodium = ctypes.CDLL("libsodium.so.23")
    key = (member.dir / "identity/state.key").read_bytes()

    def field(data):
        return len(data).to_bytes(4, "big") + data

    def unseal(sealed, associated):
        out = ctypes.create_string_buffer(max(1, len(sealed) - 40))
        size = ctypes.c_ulonglong()
        failed = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
            out, ctypes.byref(size), None, sealed[24:], ctypes.c_ulonglong(len(sealed) - 24),
            associated, ctypes.c_ulonglong(len(associated)), sealed[:24], key)
        assert failed == 0, "a row does not open: has the format changed?"
        return out.raw[:size.value]

    with contextlib.closing(sqlite3.connect(member.dir / "state/state.db")) as db:
        for kind, label, sealed in db.execute("SELECT kind, label, sealed FROM rows"):
            plain = unseal(label, field(b"flexroom store label/1") + field(kind))
            size = int.from_bytes(plain[:4], "big")
            identifier, meta = plain[4:4 + size], plain[4 + size:]
            associated = field(b"flexroom store/1") + field(kind) + field(identifier) + field(meta)
            if kind.startswith(b"row"):  # a secret's row belongs to its record and set
                associated = field(b"flexroom/row/1") + identifier + set_of(meta) + record_digest(meta)
            yield kind.decode(), unseal(sealed, associated)


def mounting(test):
    """Of a test that mounts something: where this user may not, it runs once more, in a user and a mount namespace of
    its own, in which anybody may."""
    def may_mount():
        with tempfile.TemporaryDirectory() as folder:
            if subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode != 0:
                return False
            return subprocess.run(["umount", folder]).returncode == 0

    @functools.wraps(test)
    def run(self):
        if may_mount():
            return test(self)
        space = ["unshare", "--user", "--map-root-user", "--mount"]
        tried = subprocess.run([*space, "true"], capture_output=True, text=True)
        if tried.returncode != 0:
            self.skipTest(f"mounting needs root or a user namespace: {tried.stderr.strip()}")
        name = self.id().removeprefix("__main__.")
        again = subprocess.run([*space, sys.executable, __file__, FLEXROOM, name], capture_output=True, text=True)
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertNotIn("skipped", again.stderr)
    return run


class Canaries(Room):
    """Every class of tests ends with a search for what must not leak."""

    def canaries(self):
        """(what, bytes, the only places where they may be) for everything that must not leak."""
        found = [("secret key", self.accounts["joint"]["secret_access_key"].encode(), ())]
        for m, share in zip(self.members, self.shares):
            found.append((f"import share of {m.name}", share, ()))
            for part in self.private_parts[m.name]:
                found.append((f"private link of {m.name}", part.encode(), (m.links,)))
            identity = m.dir / "identity"
            for name in ("state.key", "once.key"):
                found.append((f"{name} of {m.name}", (identity / name).read_bytes(), (identity / name,)))
            pem = (identity / "tls.key").read_text().splitlines()
            # PKCS#8 of a P-256 key: 36 bytes of header, then the private number.
            found.append((f"TLS key of {m.name}", base64.b64decode("".join(pem[1:-1]))[36:68],
                          (identity / "tls.key",)))
            text = (identity / "member.key").read_bytes().strip()
            found.append((f"signing key of {m.name}", bytes.fromhex(text.decode()), (identity / "member.key",)))
            rows = list(unsealed_rows(m))
            epoch = next(plain for kind, plain in rows if kind == "epoch")
            magic = b"flexroom epoch 1"
            self.assertEqual(epoch[4:4 + len(magic)], magic)
            delta = 4 + len(magic) + 32 + 8
            found.append((f"Delta of {m.name}", epoch[delta:delta + 16], ()))
            found.append((f"OT seeds of {m.name}", epoch[-32:], ()))
            shares = [plain for kind, plain in rows if kind != "epoch" and len(plain) >= 64]
            self.assertTrue(shares, "the stored secret has shares")
            for plain in shares:
                middle = len(plain) // 2
                found.append((f"stored share of {m.name}", plain[middle - 16:middle + 16], ()))
        return found

    def test_y_every_file_of_a_run_is_documented(self):
        page = (ROOT / "docs/formats.md").read_text().split("## Runs")[1].split("\n## ")[0]
        names = re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)
        known = [re.escape(name).replace("RESULT", "result").replace(r"\.", r"(-\d+)?\.", 1) + r"[.\w-]*"
                 if "RESULT" in name else re.escape(name).replace(r"\.", r"(-\d+)?\.", 1) for name in names]
        for m in self.members:
            for path in (m.dir / "state/runs").glob("*/*/*"):
                self.assertTrue(any(re.fullmatch(pattern, path.name) for pattern in known), path)

    def test_z_no_secret_is_anywhere(self):
        """Runs last: everything that the other tests wrote is searched."""
        for m in self.members:
            (m.dir / "good.json").unlink(missing_ok=True)  # as docs/secrets.md says
        for m in self.members:
            for command in (["secret", "list"], ["secret", "show", SECRET], ["log", "--verify"], ["status"]):
                for json_output in (False, True):
                    self.assert_ended(m.run(*command, json_output=json_output), OK)
        self.assertGreater(len(self.seen_command_lines), 4)
        places = {path: path.read_bytes()
                  for top in (self.logs, *(m.dir for m in self.members))
                  for path in top.rglob("*") if path.is_file()}
        for sandbox in (p for p in self.processes if p.arguments[:1] == ["sandbox"]):
            del places[sandbox.out_file], places[sandbox.err_file]  # the provider knows the names of its objects
        for path, data in places.items():
            places[path] = data + b"\0" + data.replace(b"\n", b"")  # PEM breaks its lines
        for i, line in enumerate(self.seen_command_lines):
            places[f"command line {i}"] = line
        canaries = self.canaries()
        for what, secret, allowed in canaries:
            self.assertGreaterEqual(len(secret), 16, what)
            for form in forms(secret):
                # A run that is not over keeps its member's own result link, to collect it later.
                where = [str(p) for p, data in places.items() if form in data and p not in allowed and
                         not (isinstance(p, pathlib.Path) and p.name == "link" and p.stat().st_mode & 0o77 == 0
                              and what == f"private link of {p.relative_to(self.work).parts[0]}")]
                self.assertEqual(where, [], f"{what} was found")
        # The search finds what is there: each allowed place holds its secret.
        for what, secret, allowed in canaries:
            for path in allowed:
                self.assertTrue(any(form in places[path] for form in forms(secret)), f"{what} in {path}")


class Road(Canaries):
    """Everything goes well, and refusals before anything is contacted."""

    def test_a_whole_road(self):
        again = self.both("init")
        for done in again:
            self.assert_ended(done, OK, "was set up before")
        runs = self.both_run_script(json_output=True)
        for m, done in zip(self.members, runs):
            self.assert_ended(done, OK)
            lines = done.json_lines()
            self.assertTrue(lines[-1]["ok"])
            events = {line.get("event") for line in lines}
            self.assertLessEqual({"proposal", "timeline", "started", "result"}, events)
            saved = m.last_result()
            self.assertEqual(saved, {"rows": [10, 20], "total": 30})
        self.assertEqual(len(self.requests()), 1, "one RunInstances")
        digests = [[line["digest"] for line in done.json_lines() if line.get("event") == "proposal"]
                   for done in runs]
        self.assertEqual(digests[0], digests[1])

        for m in self.members:
            self.assert_ended(m.run("log", "--verify"), OK, "signed by all", "all signatures are right")
            entries = m.log()
            self.assertTrue(all(e["joint"] for e in entries[:-1]))
            self.assertRegex(entries[-2]["text"], "status 200 i-")
            self.assertEqual(entries[-2]["status"], 200)
            self.assertRegex(entries[-1]["text"], "run-script count, run [0-9a-f]{12}: the script ended")
            self.assertFalse(entries[-1]["joint"])
            status = m.counters()
            self.assertEqual((status["epoch"], status["burned"], status["needs_operator"], status["strikes"]),
                             (True, False, False, 0))
        told = [[(e["proposal"], e["outcome"], e["text"]) for e in m.log()] for m in self.members]
        self.assertEqual(told[0], told[1])
        self.assertEqual([outcome for _, outcome, _ in told[0]], ["configuration"] + ["approved", "done"] * 2 + ["done"])

    def test_runs_have_a_history(self):
        before = self.a.run("runs", json_output=True).json_lines()[-1]["runs"]
        for done in self.both_run_script("--no-follow"):
            self.assert_ended(done, OK)
        ids = []
        for m in self.members:
            runs = m.run("runs", json_output=True).json_lines()[-1]["runs"]
            self.assertEqual(runs[-1]["state"], "running")
            ids.append(runs[-1]["id"])
            wait_until(lambda m=m: m.run("result", "last").code == OK, "the result")
            self.assertEqual(m.last_result(), {"rows": [10, 20], "total": 30})
            self.assert_ended(m.run("result", ids[-1][:12]), OK, "total")  # still there
            self.assert_ended(m.run("show", "last"), OK, "state        succeeded")
            self.assert_ended(m.run("show", "ff00ff00ff00"), BAD_INPUT, "is no run of this room")
        self.assertEqual(ids[0], ids[1])
        self.assertEqual(len(self.a.run("runs", json_output=True).json_lines()[-1]["runs"]), len(before) + 1)

    def test_result_that_cannot_be_had_is_said_with_whose_link_and_how(self):
        for done in self.both_run_script("--no-follow"):
            self.assert_ended(done, OK)
        shown = self.a.run("show", "last", json_output=True).json_lines()[-1]
        (link,) = (self.a.dir / "state/runs").glob(f"*/{shown['id'][:16]}/link")
        good, entries = link.read_text(), len(self.a.log())
        link.write_text(good[:-4] + "0000")
        for _ in range(2):
            self.assert_ended(self.a.run("result", "last"), GOES_ON, "Run [0-9a-f]{12} goes on, as instance i-",
                              "result_get_url of alpha is of no use any more \\(403 SignatureDoesNotMatch\\)")
            self.assertEqual(len(self.a.log()), entries + 1, "said once")
        self.assertEqual(self.a.log()[-1]["outcome"], "note")
        self.assertRegex(self.a.log()[-1]["text"], "not known: result_get_url of alpha: 403 SignatureDoesNotMatch")
        link.write_text(good)
        wait_until(lambda: self.b.run("result", "last").code == OK, "the end of the script")
        account, bucket, key = self.a.result_object
        self.s3(account).put_object(Bucket=bucket, Key=key, Body=b"x" * ((64 << 20) + 1))
        for _ in range(2):
            done = self.a.run("result", "last")
            self.assertEqual(done.code, RESULT_ELSEWHERE, done.text)
            self.assertIn("result of alpha is over 64 MiB", done.out)
            self.assertEqual(len(self.a.log()), entries + 2, "said once")
        self.assertEqual(self.a.log()[-1]["outcome"], "done")
        self.assertIn("too large to fetch", self.a.log()[-1]["text"])

    @mounting
    def test_result_that_cannot_be_saved_is_printed(self):
        for done in self.both_run_script("--no-follow"):
            self.assert_ended(done, OK)
        wait_until(lambda: self.b.run("result", "last").code == OK, "the end of the script")
        entries = len(self.a.log())
        with self.read_only(self.a.dir / "state/runs"):
            done = self.a.run("result", "last")
            self.assert_ended(done, OUTPUT_LOST, "not all could be written down",
                              "saved nowhere", "flexroom result [0-9a-f]{12}` fetches it again")
            self.assertEqual(json.loads(done.out), {"rows": [10, 20], "total": 30})
            done = self.a.run("result", "last", json_output=True)
            self.assertEqual(done.code, OUTPUT_LOST)
            (came,) = [line for line in done.json_lines() if line.get("event") == "result"]
            self.assertEqual(json.loads(bytes.fromhex(came["body_hex"])), {"rows": [10, 20], "total": 30})
            self.assertEqual(done.json_lines()[-1]["exit"], OUTPUT_LOST)
        self.assertEqual(len(self.a.log()), entries, "entered when it is kept")
        self.assert_ended(self.a.run("result", "last"), OK, "saved as")
        self.assertEqual(self.a.last_result(), {"rows": [10, 20], "total": 30})
        self.assertEqual(len(self.a.log()), entries + 1)

    def write_slow_job(self):
        slow = b"import time\ntime.sleep(50)\n"
        self.s3("joint").put_object(Bucket="scripts", Key="slow.py", Body=slow, ACL="public-read")
        self.write_job(self.job_text.replace("count.py", "slow.py").replace(
            hashlib.sha256(SCRIPT).hexdigest(), hashlib.sha256(slow).hexdigest()))
        self.addCleanup(self.write_job, self.job_text)

    @mounting
    def test_interrupt_while_following_leaves_the_run_alone(self):
        self.write_slow_job()
        runs = self.a.run_script(), self.b.run_script(json_output=True)
        wait_until(lambda: "runs the agreed script" in runs[0].out and '"started"' in runs[1].out, "the start")
        for p in runs:
            p.send(signal.SIGINT)
        a, b = self.finish(*runs)
        self.assert_ended(a, GOES_ON, "stopped by the operator", "Run [0-9a-f]{12} goes on, as instance i-[0-9a-f]+",
                          "`flexroom show", "`flexroom result", "`flexroom stop")
        last = b.json_lines()[-1]
        self.assertEqual((b.code, last["ok"], last["exit"]), (GOES_ON, False, GOES_ON))
        self.assertIn(last["instance_id"], last["error"])
        for m in self.members:
            self.assertEqual(m.state_of_newest_run(), "running")
        # The machine ends although the folder of one member takes nothing any more.
        question = TerminalAnswer(self.a, "y", "stop", "last")
        self.addCleanup(question.close)
        other = self.b.start("stop", "last")
        wait_until(lambda: "[y/N]" in question.p.err or not question.p.running(), "the question")
        with self.read_only(self.a.dir / "state/runs"):
            self.assert_ended(question.give().wait(), OUTPUT_LOST, "Instance i-[0-9a-f]+ of run [0-9a-f]{12} ends",
                              "could not be written down")
        self.assert_ended(other.wait(), OK)
        self.assertEqual([m.state_of_newest_run() for m in self.members], ["running", "stopped"])

    @mounting
    def test_looking_needs_no_disk_to_write_to(self):
        if not list((self.a.dir / "state").glob("runs/*/*/run.json")):  # alone, or in a namespace of its own
            for done in self.both_run_script("--no-follow"):
                self.assert_ended(done, OK)
        looks = ["runs"], ["show", "last"], ["log"], ["log", "show", "2"], ["log", "export"], ["status"]
        before = [self.a.run(*command).out for command in looks]
        with self.read_only(self.a.dir / "state"):
            for command, said in zip(looks, before):
                done = self.a.run(*command)
                self.assert_ended(done, OK)
                self.assertEqual(done.out, said)

    def test_run_is_stopped_by_all_members(self):
        self.write_slow_job()
        for done in self.both_run_script("--no-follow"):
            self.assert_ended(done, OK)
        self.assert_ended(self.a.run("result", "last"), GOES_ON, "no result is there", "looks again")
        for m, done in zip(self.members, self.both("stop", "last")):
            self.assert_ended(done, OK, "Instance i-[0-9a-f]+ of run [0-9a-f]{12} ends")
            self.assert_ended(m.run("show", "last"), OK, "state        stopped")

    def test_one_damaged_record_stops_nothing_else(self):
        for done in self.both_run_script("--no-follow"):
            self.assert_ended(done, OK)
        file = self.a.newest_run() / "run.json"
        whole = file.read_bytes()
        self.addCleanup(file.write_bytes, whole)
        file.write_bytes(whole[:100])
        damaged = f"{re.escape(str(file))}.* is damaged"
        listed = self.a.run("runs", json_output=True)
        self.assert_ended(listed, OK, damaged)
        self.assertNotIn(file.parent.name, [run["id"][:16] for run in listed.json_lines()[-1]["runs"]])
        for run in (file.parent.name, file.parent.name[:6], "last"):
            self.assert_ended(self.a.run("show", run), BAD_INPUT, damaged, "put a good copy back")
        for done, m in zip(self.both_run_script("--no-follow"), self.members):
            self.assert_ended(done, OK, *[damaged] * (m is self.a))
        self.assertNotEqual(self.a.newest_run(), file.parent)
        self.assertEqual(self.a.newest_run().name, self.b.newest_run().name)
        self.assertEqual(file.read_bytes(), whole[:100])

    def test_last_is_the_same_run_at_all_members_whatever_their_clocks(self):
        library = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")))
        ahead = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": "+200", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        for done in self.finish(self.a.run_script("--no-follow"), self.b.run_script("--no-follow", env=ahead)):
            self.assert_ended(done, OK)
        first = self.a.newest_run().name
        for done in self.both_run_script("--no-follow"):
            self.assert_ended(done, OK)
        second = self.a.newest_run().name
        self.assertNotEqual(first, second)
        for m in self.members:
            self.assertEqual(m.run("show", "last", json_output=True).json_lines()[-1]["id"][:16], second)
        # What the members mean is compared before anything else, and named.
        refused = self.finish(self.a.start("stop", first), self.b.start("stop", "last"))
        for done in refused:
            self.assert_ended(done, REFUSED, "differ in command", f"stop run {first}", f"stop run {second}")
        for done in self.both("stop", "last"):
            self.assert_ended(done, OK, f"run {second[:12]} ends")
        for done in self.both("stop", first):
            self.assert_ended(done, OK, f"run {first[:12]} ends")

    def test_result_of_an_earlier_run_is_not_taken(self):
        account, bucket, key = self.a.result_object
        self.s3(account).put_object(Bucket=bucket, Key=key, Body=b'{"stale": "from an earlier run"}')
        for done in self.both_run_script():
            self.assert_ended(done, OK)
            self.assertNotIn("from an earlier run", done.text)
        saved = self.a.last_result()
        self.assertEqual(saved, {"rows": [10, 20], "total": 30})

    def test_another_group_for_a_provider_is_refused_and_no_strike(self):
        before = self.requests()
        with self.changed(self.b.room_file, self.room_text + 'groups = ["p256"]\n'):
            for done in self.both("get", "https://scripts.s3.amazonaws.com/count.py"):
                self.assert_ended(done, REFUSED, "make room.toml")
        self.assert_nothing_contacted(before)
        for m in self.members:
            self.assertEqual((m.counters()["strikes"], m.counters()["burned"]), (0, False))

    def test_get_and_plan_with_the_other_suite(self):
        text = self.room_text + '[provider.sandbox.host."amazonaws.com"]\nsuite = "chacha20"\n'
        with self.changed(self.a.room_file, text), self.changed(self.b.room_file, text):
            for done in self.both("get", "https://scripts.s3.amazonaws.com/count.py"):
                self.assert_ended(done, OK)
                self.assertIn(SCRIPT.decode(), done.out)
            other = self.a.run("plan", self.a.job, "--links", self.a.links, json_output=True).json_lines()[-1]
        usual = self.a.run("plan", self.a.job, "--links", self.a.links, json_output=True).json_lines()[-1]
        self.assertEqual((usual["suite"], other["suite"]), ("aes128", "chacha20"))
        self.assertLess(other["request_ands"], usual["request_ands"] * 0.7)
        for plan, order in (
            (usual, ["aes128", "chacha20", "aes256"]),
            (other, ["chacha20", "aes128", "aes256"]),
        ):
            self.assertEqual([one["suite"] for one in plan["suites"]], order)
            self.assertEqual(plan["suites"][0]["ands"], plan["ands"])
        # Some gates fold with what is new in each plan.
        self.assertAlmostEqual(usual["suites"][0]["ands"], other["suites"][1]["ands"], delta=200)

    def test_get_and_plan_with_aes256(self):
        text = self.room_text + '[provider.sandbox.host."amazonaws.com"]\nsuite = "aes256"\n'
        with self.changed(self.a.room_file, text), self.changed(self.b.room_file, text):
            for done in self.both("get", "https://scripts.s3.amazonaws.com/count.py"):
                self.assert_ended(done, OK)
                self.assertIn(SCRIPT.decode(), done.out)
            plan = self.a.run("plan", self.a.job, "--links", self.a.links, json_output=True).json_lines()[-1]
        self.assertEqual(plan["suite"], "aes256")
        self.assertEqual([one["suite"] for one in plan["suites"]], ["aes256", "aes128", "chacha20"])
        self.assertGreater(plan["handshake_ands"], 800_000)
        # What it costs beside the default: 2.5 times a handshake, 1.4 times a record.
        self.assertGreater(plan["suites"][0]["ands"], plan["suites"][1]["ands"] + 700_000)

    def test_b_get_prints_the_body_at_both(self):
        expected = SCRIPT.decode()
        for done in self.both("get", "https://scripts.s3.amazonaws.com/count.py"):
            self.assert_ended(done, OK)
            self.assertIn(expected, done.out)

    def test_answer_does_not_command_the_terminal(self):
        self.s3("joint").put_object(Bucket="scripts", Key="odd.txt", Body=b"a\x1b[2Jb", ACL="public-read")
        master, slave = pty.openpty()
        url = "https://scripts.s3.amazonaws.com/odd.txt"
        processes = [self.a.start("get", url), self.b.start("get", url)]
        for p in processes:
            self.assert_ended(p.wait(), OK)
        self.assertEqual(processes[0].out_file.read_bytes(), b"a\x1b[2Jb")  # a file gets it as it is
        at_terminal = subprocess.Popen([FLEXROOM, "--yes", "--member", str(self.a.config), "get", url],
                                       stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.DEVNULL,
                                       preexec_fn=before_exec, start_new_session=True)
        os.close(slave)
        self.assert_ended(self.b.run("get", url), OK)
        self.assertEqual(at_terminal.wait(60), OK)
        self.assertEqual(os.read(master, 100), b"a?[2Jb\r\n")
        os.close(master)

    def test_service_error_of_get_is_exit_8(self):
        for done in self.both("get", "https://scripts.s3.amazonaws.com/nothing-here"):
            self.assert_ended(done, SERVICE)

    def test_what_is_said_of_flow_files_fits_the_schema(self):
        before = self.requests()
        file = ROOT / "share/flows/quota-state.toml"
        checked, planned, schema = (self.a.run(*what, json_output=True) for what in (
            ("recipe", "check", file), ("plan", file), ("recipe", "schema")))
        for done in (checked, planned, schema):
            self.assert_ended(done, OK)
        checked, planned, schema = (done.json_lines()[-1] for done in (checked, planned, schema))
        self.assertEqual((checked["kind"], checked["name"]), ("flow", "quota-state"))
        self.assertEqual(planned["flow"], "quota-state")
        self.assertIn("leaves", planned["plan"])
        self.assertEqual(schema["schema"], json.loads((ROOT / "share/flows/flow.schema.json").read_text()))
        self.assertEqual(self.requests(), before)

    def test_a_draft_of_a_recorded_call_hides_what_was_sent_and_got(self):
        body = '{"user": "somebody-we-know", "password": "correct-horse-battery"}'
        capture = self.work / "capture.txt"
        capture.write_text("POST /login?lang=en HTTP/1.1\r\nHost: signin.flexroom.example\r\nContent-Type: application/json\r\n"
                           f"Cookie: visit=abcdefgh12345678\r\n\r\n{body}\r\nHTTP/1.1 200 OK\r\n"
                           "Set-Cookie: session=Zm9vYmFyYmF6cXV4MTIzNDU2; Path=/\r\nContent-Type: application/json\r\n\r\n"
                           '{"token": "0123456789abcdef0123456789abcdef"}')
        new = ("recipe", "new", "--from", capture, "--name", "login", "--provider", "sandbox")
        capture.chmod(0o644)
        done = self.a.run(*new)
        self.assert_ended(done, BAD_INPUT)
        self.assertIn(f"chmod 600 {capture}", done.err)
        capture.chmod(0o600)
        done = self.a.run(*new, "--show", "lang")
        self.assert_ended(done, OK)
        self.assertIn("POST /login?lang=en HTTP/1.1", done.out)
        for slot in ("visit={{visit}}", '{"user":"{{user}}","password":"{{password}}"}', "cookie session", "json /token"):
            self.assertIn(slot, done.out)
        said = self.a.run(*new, json_output=True)
        self.assertIn("lang={{lang}}", said.json_lines()[-1]["draft"])
        for hidden in ("abcdefgh12345678", "somebody-we-know", "correct-horse", "Zm9vYmFy", "0123456789abcdef"):
            self.assertNotIn(hidden, done.out + said.out)
        draft = self.work / "login.toml"
        draft.write_text(done.out)
        self.assert_ended(self.a.run("recipe", "check", draft), OK)
        draft.write_text(done.out.replace('class = "hex"', 'class = "hexx"'))
        wrong = self.a.run("recipe", "check", draft)
        self.assert_ended(wrong, BAD_INPUT)
        self.assertRegex(wrong.err, r"login\.toml:\d+:\d+: .*hexx")
        self.assert_ended(self.a.run("recipe", "new", "--from", self.work / "nothing"), BAD_INPUT)

    def test_plan_contacts_nobody(self):
        before = self.requests()
        done = self.a.run("plan", self.a.job, "--links", self.a.links, json_output=True)
        self.assert_ended(done, OK)
        plan = done.json_lines()[-1]
        self.assertGreater(plan["ands"], 10**6)
        # By the room's own kind of triples, and of tags; the suite that is offered is the first one counted.
        self.assertGreater(plan["preprocessing_bytes_each_way"] / plan["ands"], 26.9)
        self.assertLess(plan["preprocessing_bytes_each_way"] / plan["ands"], 27.5)
        self.assertEqual([one["suite"] for one in plan["suites"]], ["aes128", "chacha20", "aes256"])
        self.assertEqual(plan["suites"][0]["ands"], plan["ands"])
        self.assertNotIn("digest", plan)
        self.assertEqual((plan["kind"], plan["title"]), ("run-script (lean)", "count"))
        self.assertTrue(any("links" in what for what in plan["not_known_yet"]))
        fields = {(f["section"], f["name"]): f["value"] for f in plan["fields"]}
        self.assertEqual(fields["Script", "script"] + "\n", SCRIPT.decode())
        self.assertIn("alpha-data.s3", fields["Links", "data of alpha"])
        self.assertIn("known when the members meet", fields["Links", "links of beta"])
        self.assert_nothing_contacted(before)
        people = self.a.run("plan", self.a.job, "--links", self.a.links)
        self.assertIn("    | rows = [len(open(p).readlines())", people.out)
        self.assertIn("not known yet: the other members' links", people.out)

    def test_what_is_approved_is_seen_and_stays(self):
        """Script, request, decoded parameters and the links' end are shown, signed, and in the log."""
        self.write_job(self.job_text.replace("[script]", 'price_per_hour = "0.6 USD"\n\n[script]'))
        self.addCleanup(self.write_job, self.job_text)
        a, b = self.a.run_script("--no-follow", "--diff"), self.b.run_script("--no-follow", json_output=True)
        for done in self.finish(a, b):
            self.assert_ended(done, OK)
        (event,) = [line for line in b.json_lines() if line.get("event") == "proposal"]
        shown = event["text"]
        self.assertIn(shown.rstrip("\n"), a.err)
        fields = {(f["section"], f["name"]): f["value"] for f in event["fields"]}
        self.assertEqual(fields["Script", "script"] + "\n", SCRIPT.decode())
        self.assertEqual(fields["Parameters", "form InstanceType"], "t3.large")
        self.assertTrue(fields["Parameters", "form UserData, decoded from base64"].startswith("#!/bin/bash\nm(){\n"))
        self.assertTrue(fields["Request", "as it leaves"].startswith("POST / HTTP/1.1\nHost: " + EC2 + "\n"))
        self.assertIn("{{signature: 64 bytes, SigV4 over this request with secret joint/key}}",
                      fields["Request", "as it leaves"])
        self.assertIn("at most 0.0100 USD", fields["", "machine costs"])
        for m in self.members:
            link = m.links.read_text().split('"')[1]
            signed = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query))
            self.assertEqual(signed["X-Amz-Expires"], "3600")
            end = time.strptime(signed["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
            end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(calendar.timegm(end) + 3600))
            self.assertEqual(fields["Links", f"data of {m.name} expires"], end)
            for private in self.private_parts[m.name]:
                self.assertNotIn(private, shown)
            entries = m.log()
            number = max(k for k, e in enumerate(entries, 1) if e["outcome"] == "approved")
            kept = m.run("log", "show", str(number))
            self.assertIn(shown.rstrip("\n"), kept.out)
        # Once more: nothing changed but what is new in every run.
        again = self.a.run_script("--no-follow", "--diff"), self.b.run_script("--no-follow")
        for done in self.finish(*again):
            self.assert_ended(done, OK)
            self.assertRegex(done.err, "  as approved before; parts that are new in every run: .*client token")
            self.assertNotIn("changed since it was last approved", done.err)
        # Another script: its plan says which line.
        other = SCRIPT.replace(b"sum(rows)", b"max(rows)")
        (self.a.dir / "other.py").write_bytes(other)
        job = self.job_text.replace("[script]\n", '[script]\nfile = "other.py"\n').replace(
            hashlib.sha256(SCRIPT).hexdigest(), hashlib.sha256(other).hexdigest())
        with self.changed(self.a.job, job):
            plain = self.a.run("plan", self.a.job, "--links", self.a.links)
            self.assert_ended(plain, OK, "not as it was last approved: --diff")
            done = self.a.run("--diff", "plan", self.a.job, "--links", self.a.links)
        changes = done.out.replace("\n    : ", "")  # a long line goes on behind that
        self.assertRegex(changes, r"  Script: script\n    @ line 1\n(      .*\n)+    - .*sum\(rows\).*\n    \+ .*max\(rows\)")
        self.assertRegex(changes, r"  machine costs\n    - at most 0\.0100 USD.*\n    \+ \(no price given in the job\)")

    def test_the_same_get_is_as_approved_before(self):
        url = "https://scripts.s3.amazonaws.com/seen-before"
        for first in (True, False):
            for done in self.both("get", url):
                self.assert_ended(done, SERVICE)
                self.assertEqual("as approved before, to the letter" in done.err, not first, done.err)

    def test_a_script_that_cannot_be_shown_is_approved_by_nobody(self):
        joint = self.s3("joint")
        joint.put_object(Bucket="scripts", Key="other.py", Body=SCRIPT + b"#", ACL="public-read")
        joint.put_object(Bucket="scripts", Key="long.py", Body=b"#" * ((1 << 20) + 1), ACL="public-read")
        before = self.requests(), len(self.a.log())
        for name, words in (("missing.py", "cannot be fetched: 40[34]"), ("other.py", "not the script of the agreed SHA-256"),
                            ("long.py", "more than 1048576 bytes")):
            with self.subTest(name), self.changed(self.a.job, self.job_text.replace("count.py", name)):
                for command in ("run-script", "plan"):  # alone: nobody is joined
                    done = self.a.run(command, self.a.job, "--links", self.a.links)
                    self.assert_ended(done, BAD_INPUT, words, "script.url")
        with self.changed(self.a.room_file, self.room_text.replace(f":{self.service_wire.port}\"", f":{free_port()}\"")):
            done = self.a.run("run-script", self.a.job, "--links", self.a.links)
            self.assert_ended(done, BAD_INPUT, "script.url: cannot be fetched", "`file` in .script.")
        self.assertEqual((self.requests(), len(self.a.log())), before)

    def test_wrong_arguments_are_exit_2(self):
        for arguments in ([], ["no-such-command"], ["run-script"], ["get"], ["sandbox", "--fail-rate", "2"]):
            done = self.start(*arguments).wait()
            self.assertEqual(done.code, USAGE, done.text)

    def test_an_account_is_made_by_those_who_know_that_it_can_be_lost(self):
        before = self.requests(), len(self.a.log())
        done = self.a.run("create-account", "--arg", "person=alpha")  # alone: nobody is joined
        self.assert_ended(done, BAD_INPUT, "lost with any member that is gone for good", "--i-know")
        self.assertEqual((self.requests(), len(self.a.log())), before)

    def test_wrong_arguments_are_named(self):
        for arguments, wrong in ((["foo"], "no command 'foo'"), (["secret", "foo"], "no command 'foo'"),
                                 (["secret"], "needs a command"), (["call"], "RECIPE"),
                                 (["log", "foo"], "foo"), (["--member"], "--member"),
                                 (["stats"], "did you mean `status`?"),
                                 (["secret", "imprt"], "did you mean `import`?"),
                                 (["stock", "--fil", "3"], "no option '--fil'; did you mean `--fill`?"),
                                 (["init", "--new-epoc"], "did you mean `--new-epoch`?"),
                                 (["get", "u", "v", "w"], "does not take these: 'v', 'w'"),
                                 (["sandbox", "--port", "99999"], "99999")):
            with self.subTest(arguments):
                done = self.start(*arguments).wait()
                self.assertEqual(done.code, USAGE, done.text)
                self.assertIn(wrong, done.err)
                done = self.start("--json", *arguments).wait()
                self.assertEqual(done.code, USAGE, done.text)
                (last,) = done.json_lines()
                self.assertEqual((last["ok"], last["class"], last["exit"]), (False, "usage", USAGE))
                self.assertIn(wrong, last["error"])

    def test_every_command_has_help_with_an_example(self):
        commands = re.findall(r"^  ([a-z-]+) ", self.start("--help").wait().out.split("Subcommands:")[1], re.M)
        self.assertEqual(len(commands), 33)
        for command in commands:
            done = self.start(command, "--help").wait()
            self.assert_ended(done, OK, "For example", f"flexroom {command}")

    def test_output_that_cannot_be_written(self):
        """A closed or full descriptor ends nothing; for standard output the exit code says so."""
        full = "/dev/full"
        for arguments, code in ((["status"], OUTPUT_LOST), (["--help"], OUTPUT_LOST),
                                (["--json", "status"], OUTPUT_LOST), (["log", "export"], OUTPUT_LOST),
                                (["log", "show", "1"], OUTPUT_LOST), (["frob"], USAGE)):
            for redirect in (f">{full}", ">&-", f">{full} 2>{full}", ">&- 2>&- <&-"):
                command = shlex.join([FLEXROOM, "--member", str(self.a.config), *arguments])
                done = subprocess.run(["sh", "-c", f"exec {command} {redirect}"], capture_output=True,
                                      timeout=COMMAND_SECONDS)
                self.assertEqual(done.returncode, code, (command, redirect, done))
        done = subprocess.run(["sh", "-c", f"exec {shlex.join([FLEXROOM, '--member', str(self.a.config)])} "
                               "status 2>&-"], capture_output=True, timeout=COMMAND_SECONDS)
        self.assertEqual(done.returncode, OK)

    def test_calls_outlive_their_screen(self):
        """Nobody hears what is said: the call is made and stands in the log at both."""
        url = "https://scripts.s3.amazonaws.com/nothing-here"
        a = subprocess.Popen(["sh", "-c", f"exec {shlex.join([FLEXROOM, '--yes', '--member', str(self.a.config)])} "
                              f"get {url} >/dev/full 2>/dev/full"], stdin=subprocess.DEVNULL,
                             preexec_fn=before_exec, start_new_session=True)
        self.assert_ended(self.b.run("get", url), SERVICE)
        self.assertEqual(a.wait(COMMAND_SECONDS), SERVICE)
        self.assertEqual([m.log()[-1]["outcome"] for m in self.members], ["failed", "failed"])
        self.assertEqual([m.log()[-1]["status"] for m in self.members], [403, 403])
        self.assertTrue(all(m.log()[-1]["joint"] for m in self.members))

    def test_doctor(self):
        done = self.a.run("doctor", self.a.job, "--links", self.a.links, json_output=True)
        checks = {c["name"]: c for c in done.json_lines()[-1]["checks"]}
        for name in ("configuration", "identity", "disk", "port", f"service {EC2}:443", "links"):
            self.assertEqual(checks[name]["state"], "ok", checks)
        self.assert_ended(done, OK)

    def test_differing_jobs_name_the_field(self):
        before = self.requests()
        with self.changed(self.b.job, self.job_text.replace("t3.large", "p4d.24xlarge")):
            for done in self.both_run_script():
                self.assert_ended(done, REFUSED, "form InstanceType")
                self.assertRegex(done.text, r"t3\.large")
                self.assertRegex(done.text, r"p4d\.24xlarge")
        self.assert_nothing_contacted(before)
        self.assertEqual({m.counters()["burned"] for m in self.members}, {False})

    def test_operator_says_no(self):
        before = self.requests()
        asked = TerminalAnswer(self.a, "n", "run-script", self.a.job, "--links", self.a.links)
        other = self.b.run_script()
        asked.give()
        said_no, told = self.finish(asked.p, other)
        asked.close()
        self.assert_ended(said_no, REFUSED, "operator said no", "nothing was contacted")
        self.assert_ended(told, REFUSED, "alpha said no", "nothing was contacted")
        self.assert_nothing_contacted(before)

    def test_no_terminal_and_no_rule_is_refused(self):
        before = self.requests()
        self.room_with(timeout=3)
        not_asked = self.a.run_script(yes=False)
        other = self.b.run_script()
        done, told = self.finish(not_asked, other)
        self.assert_ended(done, BAD_INPUT, "no terminal", "--yes")
        self.assert_ended(told, NETWORK, "alpha", "timeout_seconds")
        self.assert_nothing_contacted(before)


    def test_no_core_dumps_and_no_debugger(self):
        with tempfile.TemporaryDirectory(prefix="flexroom-cli-") as name:
            directory = pathlib.Path(name)
            binary = directory / "flexroom"
            shutil.copy(FLEXROOM, binary)
            shutil.copytree(self.a.dir, directory / "alpha")
            shutil.copy(self.cloud / "ca.pem", directory)
            (directory / "alpha/room.toml").write_text(self.room_text.replace(str(self.cloud), name))
            user = 65534 if os.geteuid() == 0 else os.geteuid()
            if os.geteuid() == 0:
                for path in (directory, *directory.rglob("*")):
                    os.chown(path, user, user)
            process = subprocess.Popen([binary, "--member", directory / "alpha/member.toml", "init"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                       user=user, start_new_session=True)
            try:
                self.assertIn(b"waiting for beta", process.stderr.readline())
                proc = pathlib.Path(f"/proc/{process.pid}")
                limit = next(l for l in (proc / "limits").read_text().splitlines() if "core file" in l)
                self.assertEqual(limit.split()[4:6], ["0", "0"])
                # The kernel gives the files of a process that is not dumpable to root.
                self.assertEqual(proc.joinpath("environ").stat().st_uid, 0)
            finally:
                process.kill()
                process.wait()
                process.stderr.close()


class Refresh(Canaries):
    """All secrets get new rows and serve on; whoever is killed, both stay together. A new epoch loses none."""

    TRIPLES = ""  # a room of before

    def secrets(self, member):
        return member.run("secret", "list", json_output=True).json_lines()[-1]["secrets"]

    def sets(self):
        """Of every record of both members; one, if they are together."""
        return {s["set"] for m in self.members for s in self.secrets(m)}

    def test_a_gives_new_rows_and_serves(self):
        before = self.secrets(self.a)
        old_rows = [next(plain for kind, plain in unsealed_rows(m) if kind.startswith("row@")) for m in self.members]
        for done in self.both("secret", "refresh"):
            self.assert_ended(done, OK, "all secrets get new rows", re.escape(SECRET) + " v1",
                              "1 secrets have new rows; the old ones are erased")
        after = self.secrets(self.a)
        for b, a in zip(before, after):
            self.assertEqual({**b, "set": ""}, {**a, "set": ""})
        self.assertEqual(self.secrets(self.b), after)
        self.assertTrue(self.sets().isdisjoint(s["set"] for s in before))
        for m, old in zip(self.members, old_rows):
            self.assertFalse(any(old[-64:] in plain for _, plain in unsealed_rows(m)))
            self.assertRegex(m.log()[-1]["text"], "^secret refresh: 1 secrets have new rows")
            status = m.counters()
            self.assertEqual((status["burned"], status["dirty"], status["refresh_due"]), (False, 0, False))
        for done in self.both_run_script():
            self.assert_ended(done, OK)
        # The signing key of the day belongs to the version and serves on.
        for done in self.both("secret", "refresh"):
            self.assert_ended(done, OK)
        for done in self.both_run_script():
            self.assert_ended(done, OK)

    def test_b_a_new_epoch_loses_nothing(self):
        before = self.sets()
        old_keys = [next(plain for kind, plain in unsealed_rows(m) if kind == "epoch") for m in self.members]
        for done in self.both("init", "--new-epoch"):
            self.assert_ended(done, OK)
        self.assertEqual(self.sets(), before)
        for m, old in zip(self.members, old_keys):
            self.assertFalse(any(old[-64:] in plain for _, plain in unsealed_rows(m)))
        for done in self.both_run_script():
            self.assert_ended(done, OK)

    def test_the_operator_says_no(self):
        before = self.sets()
        question = TerminalAnswer(self.a, "n", "secret", "refresh")
        self.addCleanup(question.close)
        other = self.b.start("secret", "refresh")
        self.assert_ended(question.give().wait(), REFUSED, "said no")
        self.assert_ended(other.wait(), (REFUSED, NETWORK))
        self.assertEqual(self.sets(), before)

    def test_one_member_alone_with_the_command_changes_nothing(self):
        before = self.sets()
        runs = self.a.start("secret", "refresh"), self.b.start("init")
        for done in self.finish(*runs):
            self.assertIn(done.code, (NETWORK, REFUSED), done.text)
        self.assertEqual(self.sets(), before)

    def test_killed_at_any_time_both_end_with_one_set(self):
        for i, pause in enumerate((0.0, 0.02, 0.05, 0.1, 0.2)):
            runs = [m.start("secret", "refresh", json_output=True) for m in self.members]
            wait_until(lambda: all('"proposal"' in p.out or not p.running() for p in runs), "the proposal")
            time.sleep(pause)
            runs[i % 2].kill()
            runs[1 - i % 2].wait()
            for done in self.both("init"):  # any contact settles it
                self.assert_ended(done, OK)
            self.assertEqual(len(self.sets()), 1)
            for m in self.members:
                self.assertFalse([kind for kind, _ in unsealed_rows(m) if "staged" in kind or kind.endswith("/next")])
                self.assertFalse(m.counters()["burned"])
        for done in self.both_run_script():
            self.assert_ended(done, OK)


class Recipes(Canaries):
    """Calls with slots: a token that no member knows, a question that one member knows."""

    ADDRESS = "POST https://llm.flexroom.example/v1/chat/completions"
    QUESTION = "does finding 7731-epsilon mean anything at all"

    @classmethod
    def ready(cls):
        super().ready()
        cls.token = (cls.cloud / "api-token").read_text().strip().encode()
        cls.room_text += f'open_calls = ["{cls.ADDRESS} header authorization", "{cls.ADDRESS} json /messages/0/content"]\n'
        cls.write_room(cls.room_text)
        cls.token_shares = cls.share_files(
            "token", "joint/model-token", cls.token, "urlsafe", provider="sandbox",
            purposes=[cls.ADDRESS + " header authorization: Bearer {{}}"])
        for done in cls.both("secret", "import", "{dir}/token.json"):
            assert done.code == OK, done.text
        for m in cls.members:
            (m.dir / "token.json").unlink()
        examples = pathlib.Path(__file__).resolve().parents[2] / "examples/recipes"
        cls.recipes = cls.work / "recipes"
        cls.recipes.mkdir()
        for recipe in examples.glob("ask-model*.toml"):
            text = recipe.read_text().replace('member = "hospital-a"', f'member = "{cls.a.name}"')
            (cls.recipes / recipe.name).write_text(text)
        cls.question_file = cls.a.dir / "question.json"
        cls.question_file.touch(mode=0o600)
        cls.question_file.write_text(json.dumps({"question": cls.QUESTION}))

    def canaries(self):
        found = super().canaries()
        found.append(("API token", self.token, ()))
        found.append(("question", self.QUESTION.encode(), (self.question_file,)))
        for m, share in zip(self.members, self.token_shares):
            found.append((f"token share of {m.name}", share, ()))
        return found

    def answers(self):
        return self.requests("token-api")

    def altered(self, name, old, new):
        text = (self.recipes / "ask-model.toml").read_text()
        self.assertIn(old, text)
        path = self.recipes / name
        path.write_text(text.replace(old, new))
        return path

    def test_a_question_paid_with_a_token_nobody_knows(self):
        for done in self.both("call", self.recipes / "ask-model.toml", json_output=True):
            self.assert_ended(done, OK)
            last = done.json_lines()[-1]
            self.assertEqual(last["status"], 200)
            self.assertIn("You sent 5 words", bytes.fromhex(last["body_hex"]).decode())
        for m in self.members:
            self.assertEqual(m.log()[-1]["text"], "call ask-model: status 200")

    def test_b_question_that_only_one_member_knows(self):
        recipe = self.recipes / "ask-model-privately.toml"
        runs = (self.a.start("call", recipe, "--inputs", self.question_file),
                self.b.start("call", recipe))
        for done in self.finish(*runs):
            self.assert_ended(done, OK, f"You sent {len(self.QUESTION.split())} words", "200 bytes of class json-safe")

    def test_its_owner_without_the_file_is_told_before_anybody_is_asked(self):
        before = self.answers()
        done = self.a.run("call", self.recipes / "ask-model-privately.toml")
        self.assert_ended(done, BAD_INPUT, "--inputs")
        self.assertEqual(self.answers(), before)

    def test_token_in_another_place_is_refused(self):
        before = self.answers()
        for name, old, new in (("field.toml", "Authorization: Bearer {{token}}", "X-Note: {{token}}"),
                               ("path.toml", "POST /v1/chat/completions", "POST /v1/files"),
                               ("text.toml", "How many words is this?", "{{token}}")):
            recipe = self.altered(name, old, new)
            if name == "text.toml":
                recipe.write_text(recipe.read_text().replace("Authorization: Bearer {{token}}\n", ""))
            done = self.a.run("call", recipe)
            self.assert_ended(done, BAD_INPUT, "none of its purposes|does not list")
        self.assertEqual(self.answers(), before)

    def test_call_that_the_room_does_not_list_is_refused(self):
        before = self.answers()
        self.write_room(re.sub("open_calls = .*\n", "", self.room_text))
        self.addCleanup(self.write_room, self.room_text)
        done = self.a.run("call", self.recipes / "ask-model.toml")
        self.assert_ended(done, BAD_INPUT, "open_calls", re.escape(self.ADDRESS))
        self.assertEqual(self.answers(), before)

    def test_different_recipes_are_refused(self):
        before = self.answers()
        other = self.altered("other.toml", "How many words", "How few words")
        runs = (self.a.start("call", self.recipes / "ask-model.toml"), self.b.start("call", other))
        for done in self.finish(*runs):
            self.assert_ended(done, REFUSED, "recipe sha256")
        self.assertEqual(self.answers(), before)

    def test_plan_says_what_leaves_and_what_it_costs(self):
        before = self.answers()
        done = self.b.run("plan", self.recipes / "ask-model.toml", json_output=True)
        self.assert_ended(done, OK)
        plan = done.json_lines()[-1]
        self.assertGreater(plan["ands"], 480_000)
        self.assertIn("joint/model-token", plan["slots"]["token"])
        self.assertIn("    | Authorization: Bearer {{token: ", plan["text"])
        self.assertEqual(plan["not_known_yet"], [])
        for m, done in zip(self.members, self.both("call", self.recipes / "ask-model.toml", json_output=True)):
            self.assert_ended(done, OK)
            (event,) = [line for line in done.json_lines() if line.get("event") == "proposal"]
            self.assertEqual((event["digest"], event["text"]), (plan["digest"], plan["text"]))
            self.assertIn({"section": "Parameters", "name": "json /model", "value": "small-1"}, event["fields"])
        before = self.answers()
        self.assertEqual(self.answers(), before)

    def test_wrong_token_is_a_service_error_that_repeats_nothing(self):
        self.share_files("wrong", "joint/wrong-token", b"x" * len(self.token), "urlsafe", provider="sandbox",
                         purposes=[self.ADDRESS + " header authorization: Bearer {{}}"])
        for done in self.both("secret", "import", "{dir}/wrong.json"):
            self.assert_ended(done, OK)
        recipe = self.altered("wrong.toml", "joint/model-token", "joint/wrong-token")
        for done in self.both("call", recipe):
            self.assert_ended(done, SERVICE, "invalid_api_key")


class CodeService:
    """An HTTPS service of its own that takes one-time codes; the certificates are made here."""

    HOST = "codes.example.org"

    def __init__(self, folder):
        folder.mkdir()
        self.ca = folder / "ca.pem"
        openssl = lambda *a: subprocess.run(["openssl", *map(str, a)], check=True, capture_output=True, cwd=folder)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=codes CA", "-addext", "keyUsage=critical,keyCertSign")
        (folder / "leaf.ext").write_text(f"subjectAltName=DNS:{self.HOST}\nextendedKeyUsage=serverAuth\n"
                                         "keyUsage=critical,digitalSignature\nbasicConstraints=CA:FALSE\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "leaf.key",
                "-out", "leaf.csr", "-subj", "/CN=codes")
        openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "leaf.ext", "-out", "leaf.pem")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
        self.codes, self.listener = [], socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                plain = self.listener.accept()[0]
            except OSError:
                return
            with contextlib.suppress(OSError), self.context.wrap_socket(plain, server_side=True) as tls:
                asked = b""
                while b"}" not in asked:  # the courier also looks whether the service is there
                    piece = tls.recv(4096)
                    if not piece:
                        break
                    asked += piece
                else:
                    self.codes.append(json.loads(asked.partition(b"\r\n\r\n")[2])["code"])
                    tls.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                    tls.unwrap()


class Drawn(Canaries):
    """A mailbox whose password nobody knows, and codes of a key that no member knows."""

    MAIL = "https://mail.flexroom.example"

    @classmethod
    def ready(cls):
        super().ready()
        cls.room_text += "open_calls = " + json.dumps(
            [f"POST {cls.MAIL}/{page} json /{field}" for page in ("accounts", "token") for field in ("address", "password")]) + "\n"
        cls.service = CodeService(cls.work / "codes")
        cls.addClassCleanup(cls.service.listener.close)
        cls.room_text += f"""
[provider.codes]
hosts = ["{CodeService.HOST}"]
ca_file = "{cls.service.ca}"
connect_to = ["*:443=127.0.0.1:{cls.service.port}"]
open_calls = ["POST https://{CodeService.HOST}/code json /code"]
"""
        cls.write_room(cls.room_text)
        cls.everywhere("identity.toml", f"""provider = "sandbox"
[born."mail/address"]
alphabet = "base32"
length = 26
suffix = "@example-mail.test"
identifies = true
purposes = ["POST {cls.MAIL}/accounts json /address={{{{}}}}", "POST {cls.MAIL}/token json /address={{{{}}}}"]
[born."mail/password"]
alphabet = "base64url"
length = 22
suffix = "Aa1!"
purposes = ["POST {cls.MAIL}/accounts json /password={{{{}}}}", "POST {cls.MAIL}/token json /password={{{{}}}}"]
[born."name/given"]
list = "names/given.txt"
""")
        cls.everywhere("names/given.txt", "".join(f"Name{k:03}\n" for k in range(256)))
        cls.drawn = cls.both("secret", "draw", "{dir}/identity.toml", json_output=True)
        for done in cls.drawn:
            assert done.code == OK, done.text

    @classmethod
    def everywhere(cls, name, text):
        for m in cls.members:
            (m.dir / name).parent.mkdir(exist_ok=True)
            (m.dir / name).write_text(text)
        return "{dir}/" + name

    def mail_recipe(self, page):
        return self.everywhere(f"{page}.toml", f"""[recipe]
name = "{page}"
provider = "sandbox"
host = "mail.flexroom.example"
open = "everything to all"
request = \"\"\"
POST /{page} HTTP/1.1
Host: mail.flexroom.example
Content-Type: application/json
Accept-Encoding: identity
Connection: close
Content-Length: {{{{content-length}}}}

{{"address": "{{{{address}}}}", "password": "{{{{password}}}}"}}\"\"\"

[slot.address]
source = "secret"
secret = "mail/address"
class = "json-safe"
length = 44

[slot.password]
source = "secret"
secret = "mail/password"
encoding = "json-u"
class = "json-safe"
length = 26
""")

    def test_a_nobody_is_said_to_know_them(self):
        for done in self.drawn:
            drawn = done.json_lines()[-1]["drawn"]
            self.assertEqual([one["known_to"] for one in drawn], ["nobody"] * 3)
            self.assertEqual(sorted(one["entropy"] for one in drawn), [8, 130, 132])
        for m in self.members:
            done = m.run("secret", "list")
            self.assert_ended(done, OK, "mail/address .*nobody: drawn inside", SECRET + " .*its issuer")
            self.assertRegex(m.log()[-1]["text"], "^secret draw mail/address version 1, mail/password version 1")

    def test_b_again_under_the_same_name_is_refused(self):
        before = self.state_hash(but={"log"})
        for done in self.both("secret", "draw", "{dir}/identity.toml"):
            self.assert_ended(done, BAD_INPUT, "exists already, as version 1")
        self.assertEqual(self.state_hash(but={"log"}), before)

    def test_c_other_lists_are_refused(self):
        (self.b.dir / "names/given.txt").write_text("".join(f"Nome{k:03}\n" for k in range(256)))
        for done in self.both("secret", "draw", "{dir}/identity.toml"):
            self.assert_ended(done, REFUSED, "another file, or another list")

    def test_d_the_mail_service_got_the_same_values_twice(self):
        """A mailbox is opened with them, and they sign in there: the service compares what it got."""
        for page, status in (("accounts", 201), ("token", 200)):
            for done in self.both("call", self.mail_recipe(page), json_output=True):
                self.assert_ended(done, OK)
                self.assertEqual(done.json_lines()[-1]["status"], status)
        (box,) = json.loads((self.cloud / "mailboxes.json").read_text()).items()
        self.assertRegex(box[0], r"^[a-z2-7]{26}@example-mail\.test$")
        self.assertRegex(box[1]["password"], r"^[A-Za-z0-9_-]{22}Aa1!$")

    def test_e_codes_of_a_key_that_no_member_knows_enrol_a_second_factor(self):
        """Two calls, two steps of 30 seconds: the sandbox's IAM holds both codes against its seed."""
        keys = self.accounts["joint"]
        iam = boto3.client("iam", region_name="us-east-1", aws_access_key_id=keys["access_key_id"],
                           aws_secret_access_key=keys["secret_access_key"], verify=str(self.cloud / "ca.pem"),
                           endpoint_url=f"https://localhost:{self.port}")
        device = iam.create_virtual_mfa_device(VirtualMFADeviceName="second")["VirtualMFADevice"]
        # Botocore takes the text for base64.
        seed = base64.b32decode(base64.b64encode(device["Base32StringSeed"]))
        type(self).seed = seed
        place = f"POST https://{CodeService.HOST}/code json /code={{{{}}}}"
        self.share_files("seed", "mfa/seed", seed, "raw", provider="codes", entropy=160, purposes=[place + " as totp"])
        for done in self.both("secret", "import", "{dir}/seed.json"):
            self.assert_ended(done, OK)
        for m in self.members:
            (m.dir / "seed.json").unlink()
        text = f"""[recipe]
name = "code"
provider = "codes"
host = "{CodeService.HOST}"
open = "everything to all"
request = \"\"\"
POST /code HTTP/1.1
Host: {CodeService.HOST}
Content-Type: application/json
Accept-Encoding: identity
Connection: close
Content-Length: {{{{content-length}}}}

{{"code": "{{{{code}}}}"}}\"\"\"

[slot.code]
source = "totp"
secret = "mfa/seed"
key_length = {len(seed)}
"""
        recipe = self.everywhere("code.toml", text)
        enabled = False
        for _ in range(5):  # on a busy machine two calls may be further apart than two steps
            for done in self.both("call", recipe):
                self.assert_ended(done, OK, r"code \(TOTP\) of secret mfa/seed version 1")
            self.assertRegex(self.service.codes[-1], "^[0-9]{6}$")
            self.assertEqual(len(set(self.service.codes)), len(self.service.codes), "each step once")
            if len(self.service.codes) < 2:
                continue
            with contextlib.suppress(iam.exceptions.ClientError):
                iam.enable_mfa_device(UserName="joint", SerialNumber=device["SerialNumber"],
                                      AuthenticationCode1=self.service.codes[-2],
                                      AuthenticationCode2=self.service.codes[-1])
                enabled = True
                break
        self.assertTrue(enabled, "the sandbox held two codes against its seed")
        calls = len(self.service.codes)
        # The key itself stands nowhere, not even with the words of its purpose behind it.
        stolen = self.everywhere("stolen.toml", text.replace("{{code}}", "{{code}} as totp").replace(
            'source = "totp"', 'source = "secret"').replace("key_length", 'encoding = "hex"\nclass = "raw"\nlength'))
        for done in self.both("call", stolen):
            self.assert_ended(done, BAD_INPUT, "none of its purposes")
        self.assertEqual(len(self.service.codes), calls)

    def canaries(self):
        found = super().canaries()
        found.append(("TOTP key", self.seed, ()))
        # The mailbox's address is in the answer of the service, which all read here: it is opened by
        # this test's recipe. Its password is nowhere.
        for box in json.loads((self.cloud / "mailboxes.json").read_text()).values():
            found.append(("drawn password", box["password"].encode(), ()))
        return found


class BadInput(Canaries):
    """Files that are wrong: place and remedy, exit 3, nothing changed, no peer needed."""

    def refused(self, member, path, text, *patterns, command=None):
        before, requests = self.state_hash(), self.requests()
        with self.changed(path, text):
            done = member.run(*(command or ["run-script", member.job, "--links", member.links]))
            self.assert_ended(done, BAD_INPUT, *patterns)
        self.assertEqual(self.state_hash(), before)
        self.assert_nothing_contacted(requests)

    def test_syntax_names_line_and_column(self):
        for path in (self.a.room_file, self.a.config, self.a.job, self.a.links):
            with self.subTest(path.name):
                text = "# first line\n" + path.read_text().replace(" = ", " = = ", 1)
                line = next(i for i, l in enumerate(text.splitlines(), 1) if " = = " in l)
                self.refused(self.a, path, text, rf"{path.name}:{line}:\d+")

    def test_unknown_keys_are_named(self):
        for path in (self.a.room_file, self.a.config, self.a.job, self.a.links):
            with self.subTest(path.name):
                lines = path.read_text().splitlines()
                at = next(i for i, l in enumerate(lines) if " = " in l)
                lines.insert(at, 'intrest = "typo"')
                self.refused(self.a, path, "\n".join(lines) + "\n",
                             rf"{path.name}:{at + 1}:\d+", "unknown key `intrest`")

    def test_wrong_type_and_missing_key(self):
        self.refused(self.a, self.a.job, self.job_text.replace("deadline_minutes = 1", 'deadline_minutes = "1"'),
                     r"job.toml:\d+:\d+", "deadline_minutes")
        self.refused(self.a, self.a.job, re.sub('image_id = .*\n', "", self.job_text), "image_id", "missing")

    def test_missing_files(self):
        done = self.a.run("run-script", self.a.dir / "no-such.toml")
        self.assert_ended(done, BAD_INPUT, "no-such.toml", "cannot be read")
        done = self.start("--member", self.work / "nobody.toml", "status").wait()
        self.assert_ended(done, BAD_INPUT, "nobody.toml")

    def test_a_pipe_is_no_file_of_a_room(self):
        """Nothing waits for somebody to write into it."""
        roots, recipe, identity = self.a.dir / "roots.pem", self.a.dir / "recipe.toml", self.a.dir / "identity"
        shutil.copy(self.cloud / "ca.pem", roots)
        recipe.write_text("")
        job = ["run-script", self.a.job, "--links", self.a.links]
        looked = [(path, job) for path in (roots, identity / "tls.crt", identity / "member.key", self.a.job, self.a.links)]
        looked += [(recipe, ["call", recipe]), (self.a.dir / "trace", ["--trace", self.a.dir / "trace", "init"])]
        with self.changed(self.a.room_file, re.sub("ca_file = .*", 'ca_file = "roots.pem"', self.room_text)):
            for path, command in looked:
                kept = path.with_name(path.name + ".kept")
                if path.exists():
                    path.rename(kept)
                os.mkfifo(path, 0o600)
                with self.subTest(path.name):
                    problem = "cannot be written" if path.name == "trace" else "is not a file"
                    self.assert_ended(self.a.run(*command), BAD_INPUT, path.name, problem)
                path.unlink()
                if kept.exists():
                    kept.rename(path)
        roots.unlink()
        recipe.unlink()

    def test_links_readable_by_others(self):
        self.a.links.chmod(0o640)
        try:
            self.assert_ended(self.a.run("plan", self.a.job, "--links", self.a.links), BAD_INPUT,
                              "readable by other users", "chmod 600")
        finally:
            self.a.links.chmod(0o600)

    def test_links_that_have_ended(self):
        """Said by each command that looks at them, before anybody is waited for."""
        lines = self.a.links.read_text().splitlines(keepends=True)
        at = next(i for i, line in enumerate(lines) if line.startswith("data_url"))
        lines[at] = re.sub(r"20\d{6}(?=T\d{6}Z|%2F|/)", "20200101", lines[at])
        ended = "".join(lines)
        for command in ("plan", "run-script"):
            self.refused(self.a, self.a.links, ended, "data_url", "expired at 2020-01-0", "sign a new link",
                         command=[command, self.a.job, "--links", self.a.links])
        with self.changed(self.a.links, ended):
            done = self.a.run("doctor", self.a.job, "--links", self.a.links, json_output=True)
        links = next(c for c in done.json_lines()[-1]["checks"] if c["name"] == "links")
        self.assertNotEqual(links["state"], "ok")
        self.assertIn("sign a new link", links["remedy"])

    def test_identity_that_cannot_be_made_leaves_nothing(self):
        for name, directory, wrong in (('bad"name', self.work / "new", "is not a name"),
                                       ("name", "/proc/none/x", "/proc/none")):
            done = self.start("init", "--identity", name, "--dir", directory).wait()
            self.assert_ended(done, BAD_INPUT, wrong, "remedy")
            self.assertFalse(pathlib.Path(directory).exists())

    def test_script_changed_after_approval(self):
        script = self.a.dir / "count.py"
        script.write_bytes(SCRIPT)
        job = self.job_text.replace("[script]\n", '[script]\nfile = "count.py"\n')
        with self.changed(self.a.job, job):
            self.assert_ended(self.a.run("plan", self.a.job, "--links", self.a.links), OK)
        script.write_bytes(SCRIPT + b"# one more line\n")
        self.refused(self.a, self.a.job, job, r"job.toml:\d+:\d+", "sha256", "the script changed")

    def test_wrong_fingerprint_of_myself(self):
        own = re.findall('certificate = "(.*)"', self.room_text)[0]
        self.refused(self.a, self.a.room_file, self.room_text.replace(own, "0" * 64),
                     "another certificate for alpha", own)

    def test_wrong_fingerprint_of_the_other(self):
        requests = self.requests()
        theirs = re.findall('certificate = "(.*)"', self.room_text)[1]
        self.room_with(timeout=15)
        with self.changed(self.a.room_file, self.a.room_file.read_text().replace(theirs, "0" * 64)):
            done, other = self.both("init")
        self.write_room(self.room_text)
        self.assert_ended(done, (REFUSED, NETWORK), "beta", "certificate|fingerprint")
        self.assert_ended(other, (REFUSED, NETWORK), "alpha")
        self.assert_nothing_contacted(requests)
        for done in self.both("init"):
            self.assert_ended(done, OK)

    def test_secret_file_readable_by_others(self):
        path = self.a.dir / "good.json"
        path.chmod(0o644)
        try:
            self.assert_ended(self.a.run("secret", "import", path), BAD_INPUT, "readable by other users", "chmod 600")
        finally:
            path.chmod(0o600)

    def test_secret_file_without_sense(self):
        path = self.a.dir / "odd.json"
        path.touch(mode=0o600)
        whole = {"name": "x", "class": "raw", "length": 1, "share": "00"}
        for text in ("", "{", "[]", *(json.dumps({**whole, **odd}) for odd in (
                {"name": 7}, {"length": 0, "share": ""}, {"length": 99999}, {"length": 2}, {"length": -1},
                {"length": 2**32 + 1}, {"share": "zz"}, {"class": "no-such"}, {"class": "b64"}, {"clas": "raw"},
                {"purposes": ["anywhere"]}, {"kind": "sigv4-signing-key"}, {"name": ""}, {"name": "x" * 129}))):
            with self.subTest(text):
                path.write_text(text)
                self.assert_ended(self.a.run("secret", "import", path), BAD_INPUT, "odd.json")

    def test_byte_outside_its_class(self):
        before = self.state_hash(but=["log"])
        self.share_files("outside", "joint/odd", b"abc!defghijk")
        for done in self.both("secret", "import", "{dir}/outside.json"):
            self.assert_ended(done, REFUSED, "outside class b64", "nothing was stored")
        self.assertEqual(self.state_hash(but=["log"]), before)
        for m in self.members:
            self.assertEqual({m.counters()["burned"], m.counters()["strikes"]}, {False, 0})

    def test_locked_database(self):
        database = sqlite3.connect(self.a.dir / "state/state.db", isolation_level=None)
        try:
            database.execute("BEGIN EXCLUSIVE")
            self.assert_ended(self.a.run("status"), OK)  # looking waits for nobody
            self.assert_ended(self.a.run("init"), BAD_INPUT, "state.db", "in use by another")
        finally:
            database.close()
        self.assert_ended(self.a.run("status"), OK)

    @mounting
    def test_full_disk(self):
        state, copy = self.a.dir / "state", self.a.dir / "state-copy"
        shutil.copytree(state, copy)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", state], check=True)
        filler = state / "filler"
        try:
            shutil.copytree(copy, state, dirs_exist_ok=True)
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as f:
                while True:
                    f.write(b"\0" * 4096)
            self.share_files("more", "joint/more", b"x" * 4000)
            self.room_with(timeout=60)
            for looks in ["runs"], ["log"], ["log", "show", "1"], ["log", "export"]:
                self.assert_ended(self.a.run(*looks), OK)
            full, other = self.both("secret", "import", "{dir}/more.json")
            self.assert_ended(full, BAD_INPUT, "full", "free some space")
            self.assert_ended(other, (REFUSED, NETWORK))
            filler.unlink()
            self.write_room(self.room_text)
            for done in self.both("secret", "import", "{dir}/more.json"):
                self.assert_ended(done, OK)
            for m in self.members:
                versions = [s for s in m.run("secret", "list", json_output=True).json_lines()[-1]["secrets"]
                            if s["name"] == "joint/more"]
                self.assertEqual(len(versions), 1)
        finally:
            kept = self.a.dir / "state-new"
            shutil.copytree(state, kept, ignore=shutil.ignore_patterns("filler"))
            subprocess.run(["umount", state], check=True)
            shutil.rmtree(state)
            kept.rename(state)
            state.chmod(0o700)
            shutil.rmtree(copy)


class Faults(Canaries):
    """Members, network and service fail; the next run works."""

    SMALL = "https://scripts.s3.amazonaws.com/count.py"

    @classmethod
    def ready(cls):
        super().ready()
        wrong = bytearray(cls.accounts["joint"]["secret_access_key"].encode())
        wrong[0] = ord("A") if wrong[0] != ord("A") else ord("B")
        cls.share_files("wrong", "joint/wrong", bytes(wrong), **SIGNS)

    def assert_works_again(self):
        for done in self.both("get", self.SMALL):
            self.assert_ended(done, OK)
        for m in self.members:
            status = m.counters()
            self.assertLessEqual(status["dirty"], DIRTY_MAX)
            self.assertEqual((status["burned"], status["needs_operator"]), (False, False))

    def wait_for_preprocessing(self, *running):
        def reached():
            return all("AND triples" in p.out or not p.running() for p in running)
        wait_until(reached, "preprocessing")  # what follows must happen before the request leaves

    def test_a_new_epoch_says_what_becomes_of_the_secrets_before_it_asks(self):
        before = self.state_hash(but={"log"})
        answers = [TerminalAnswer(m, "n", "init", "--new-epoch") for m in self.members]
        for done in self.finish(*(answer.give() for answer in answers)):
            self.assert_ended(done, REFUSED, "the operator said no")
            question = next(line for line in done.err.splitlines() if "A new epoch of room" in line)
            self.assertIn("the secrets stay", question)
        for answer in answers:
            answer.close()
        self.assertEqual(self.state_hash(but={"log"}), before)

    def test_member_missing(self):
        self.room_with(timeout=3)
        done = self.a.run("init")  # the room's default, five minutes, would be a command that hangs
        self.assert_ended(done, NETWORK, "beta")
        self.assertRegex(done.text, "waiting for beta")

    def test_killed_during_preprocessing(self):
        before = self.requests()
        runs = [m.run_script(json_output=True) for m in self.members]
        self.wait_for_preprocessing(*runs)
        runs[1].kill()
        survivor = runs[0].wait()
        self.assert_ended(survivor, NETWORK)
        self.assertIn("beta", survivor.json_lines()[-1]["error"])
        self.assert_nothing_contacted(before)
        self.assertIn("nothing", self.a.log()[-1]["outcome"])
        self.assert_works_again()

    def test_interrupt_ends_both(self):
        before = self.requests()
        runs = [m.run_script(json_output=True) for m in self.members]
        self.wait_for_preprocessing(*runs)
        runs[0].send(signal.SIGINT)
        for done in self.finish(*runs):  # within COMMAND_SECONDS: before any timeout of the room
            self.assert_ended(done, NETWORK)
        self.assertRegex(runs[0].text, "stopped by the operator|stopping")
        self.assert_nothing_contacted(before)
        self.assert_works_again()

    def test_interrupt_while_waiting_for_the_other(self):
        run = self.a.start("init")
        wait_until(lambda: "waiting for beta" in run.err, "waiting")
        run.send(signal.SIGINT)
        self.assert_ended(run.wait(), NETWORK)

    def test_wrong_secret_is_a_service_error(self):
        for done in self.both("secret", "import", "{dir}/wrong.json"):
            self.assert_ended(done, OK)
        self.write_job(self.job_text.replace(SECRET, "joint/wrong"))
        self.addCleanup(self.write_job, self.job_text)
        for m, done in zip(self.members, self.both_run_script("--no-follow")):
            self.assertEqual(done.code, SERVICE, done.text)
            self.assertRegex(done.text, "SignatureDoesNotMatch|AuthFailure")
            last = m.log()[-1]
            self.assertEqual(last["outcome"], "failed")
            self.assertGreaterEqual(last["status"], 400)
            self.assertRegex(last["text"], "status 40[0-9] (SignatureDoesNotMatch|AuthFailure)")
            exported = json.loads(m.run("log", "export").out.splitlines()[-1])
            self.assertEqual((exported["says"], exported["status"]), ("failed", last["status"]))
            self.assert_ended(m.run("log", "show", str(len(m.log()))), OK, "status        40[0-9]")

    def test_object_altered_after_approval(self):
        for m in self.members:  # approved from a copy here
            (m.dir / "count.py").write_bytes(SCRIPT)
        self.write_job(self.job_text.replace("[script]\n", '[script]\nfile = "count.py"\n'))
        self.addCleanup(self.write_job, self.job_text)
        joint = self.s3("joint")
        joint.put_object(Bucket="scripts", Key="count.py", Body=SCRIPT + b"# altered\n", ACL="public-read")
        self.addCleanup(joint.put_object, Bucket="scripts", Key="count.py", Body=SCRIPT, ACL="public-read")
        for m, done in zip(self.members, self.both_run_script()):
            self.assertEqual(done.code, SERVICE, done.text)
            self.assertIn("FLEXROOM-FAILED", done.text)
            self.assertIn("script: not the one of the agreed SHA-256", done.text)
            last = m.log()[-1]
            self.assertEqual(last["outcome"], "failed")
            self.assertIn("the script failed: script: not the one of the agreed SHA-256", last["text"])
            self.assertEqual(m.state_of_newest_run(), "failed")
            self.assertEqual(m.run("result", m.newest_run().name).code, SERVICE)
            self.assertEqual(m.log()[-1], last, "said once")
            account, bucket, key = m.result_object
            kept = self.s3(account).get_object(Bucket=bucket, Key=key)["Body"].read()
            self.assertNotIn(b'"total"', kept, "no result of another script")

    def certificates(self, name, days=30, names=(EC2, "*.s3.amazonaws.com"), usage="serverAuth", self_signed=False):
        """A server certificate for the service's host from a CA of our own."""
        d = self.work / name
        d.mkdir()
        ext = d / "ext"
        ext.write_text(f"subjectAltName={','.join('DNS:' + n for n in names)}\nextendedKeyUsage={usage}\n")
        ca = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
              "-keyout", d / "ca.key", "-out", d / "ca.pem", "-days", "30", "-subj", "/CN=test CA"]
        csr = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-keyout", d / "key.pem", "-out", d / "csr", "-subj", f"/CN={EC2}"]
        issuer = ["-signkey", d / "key.pem"] if self_signed else ["-CA", d / "ca.pem", "-CAkey", d / "ca.key",
                                                                  "-CAcreateserial"]
        sign = ["openssl", "x509", "-req", "-in", d / "csr", *issuer, "-out", d / "cert.pem",
                "-days", str(days), "-extfile", ext]
        for command in (ca, csr, sign):
            subprocess.run(command, check=True, capture_output=True)
        return d

    def serve_plain(self, behave):
        """A server that does `behave(connection)` with each TCP connection."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def loop():
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), plain:
                    behave(plain)

        threading.Thread(target=loop, daemon=True).start()
        return listener.getsockname()[1]

    def serve(self, directory, behave, versions=ssl.TLSVersion.TLSv1_3):
        """A TLS server that does `behave(connection)` with each connection."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
        context.maximum_version = versions

        def behave_with_tls(plain):
            with context.wrap_socket(plain, server_side=True) as tls:
                behave(tls)

        return self.serve_plain(behave_with_tls)

    def room_with_service(self, ca, port, timeout=None, everywhere=False):
        """EC2 is that server, or all of the provider is; the same provider: a secret is bound to it."""
        roots = self.work / f"roots-{port}.pem"
        roots.write_text(pathlib.Path(ca).read_text() + (self.cloud / "ca.pem").read_text())
        hosts = [f'"*:443=127.0.0.1:{port}"'] if everywhere else [
            f'"{EC2}:443=127.0.0.1:{port}"', f'"*:443=127.0.0.1:{self.service_wire.port}"']
        text = re.sub('ca_file = .*\n', f'ca_file = "{roots}"\n', self.room_text)
        text = re.sub('connect_to = .*\n', f'connect_to = [{", ".join(hosts)}]\n', text)
        self.room_with(timeout=timeout, text=text)

    def assert_run_script_fails(self, ca, port, code, *words):
        """A run against that server ends with one message at both members, and nothing reached the cloud."""
        requests = self.requests()
        self.room_with_service(ca, port, timeout=20)
        try:
            for m, done in zip(self.members, self.both_run_script("--no-follow")):
                self.assert_ended(done, code, *words)
                self.assertEqual(len(re.findall("^flexroom: ", done.err, re.MULTILINE)), 1, done.err)
                self.assertIn("may have happened" if code == UNKNOWN else "nothing happened", m.log()[-1]["outcome"])
        finally:
            self.write_room(self.room_text)
        self.assert_nothing_contacted(requests)

    def test_certificates_that_do_not_verify(self):
        asked = []
        cases = {"expired": ({"days": 0}, "expired"), "wrong-name": ({"names": ["ec2.example.com"]}, "name"),
                 "wrong-usage": ({"usage": "clientAuth"}, "not meant for TLS servers"), "self-signed": ({"self_signed": True}, "self"),
                 "wrong-root": ({}, "certificate")}
        served = {name: self.certificates(name, **how) for name, (how, _) in cases.items()}
        time.sleep(1)  # past notAfter
        for name, (_, word) in cases.items():
            with self.subTest(name):
                root = self.cloud if name == "wrong-root" else served[name]
                port = self.serve(served[name], lambda tls: asked.append(tls.recv(100)))
                self.assert_run_script_fails(root / "ca.pem", port, NETWORK, "certificate", word)
        self.assertEqual([a for a in asked if a], [])
        self.assert_works_again()

    def test_servers_that_speak_something_else(self):
        ca = self.cloud / "ca.pem"
        retry = bytes.fromhex("0303" "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
        hello = retry + b"\x00" + bytes.fromhex("1301" "00" "000c" "002b00020304" "003300020018")

        def ask_again(plain):  # HelloRetryRequest for P-384, with the session id of the ClientHello
            client = plain.recv(4096)
            session = client[43:44 + client[43]]
            body = retry + session + hello[35:]
            message = b"\x02" + len(body).to_bytes(3, "big") + body
            plain.sendall(b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message)
            plain.recv(4096)

        def silent(plain):  # until the client gives up
            while plain.recv(4096):
                pass

        cases = {"old-tls": (self.serve(self.certificates("old"), lambda tls: None, ssl.TLSVersion.TLSv1_2),
                             "TLS 1.3|protocol_version"),
                 "retry": (self.serve_plain(ask_again), "HelloRetryRequest"),
                 "garbage": (self.serve_plain(lambda plain: (plain.recv(4096), plain.sendall(b"\x8c" + os.urandom(4095)))), "unknown type 140"),
                 "plain-http": (self.serve_plain(lambda plain: (plain.recv(4096), plain.sendall(
                     b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))), "does not speak TLS"),
                 "silent": (self.serve_plain(silent), "did not answer|lost the connection"),
                 "closes": (self.serve_plain(lambda plain: plain.recv(4096)), "closed|ended")}
        for name, (port, word) in cases.items():
            with self.subTest(name):
                self.assert_run_script_fails(ca, port, NETWORK, word)
        self.assert_works_again()

    def test_answer_with_two_lengths_is_not_believed(self):
        d = self.certificates("two-lengths")
        answer = (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"4\r\nabcd\r\n0\r\n\r\n")
        port = self.serve(d, lambda tls: (tls.recv(20000), tls.sendall(answer)))
        self.assert_run_script_fails(d / "ca.pem", port, UNKNOWN, "may have been carried out",
                                     "Content-Length and Transfer-Encoding")
        self.assert_works_again()

    def test_clocks_apart(self):
        library = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")))
        ahead = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": "+20m", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        requests = self.requests()
        a, b = self.a.run_script("--no-follow"), self.b.run_script("--no-follow", env=ahead)
        for done in self.finish(a, b):
            self.assert_ended(done, (REFUSED, NETWORK))
        for member in (a, b):
            apart = re.search(r"clock is (\d+) s away from ours .* Set the clocks", member.text)
            self.assertIsNotNone(apart, member.text)
            self.assertLess(abs(int(apart[1]) - 1200), 120)  # each looked when it got there
        self.assert_nothing_contacted(requests)
        self.assert_works_again()

    def test_nothing_listens(self):
        self.room_with_service(self.cloud / "ca.pem", free_port(), everywhere=True)
        for done in self.both("get", self.SMALL):
            self.assert_ended(done, NETWORK)

    def test_answer_cut_off_may_have_happened(self):
        d = self.certificates("cut")
        got = []
        port = self.serve(d, lambda tls: got.append(tls.recv(20000)))
        self.room_with_service(d / "ca.pem", port)
        for m, done in zip(self.members, self.both_run_script("--no-follow")):
            self.assert_ended(done, UNKNOWN, "may have been carried out", "with client token [0-9a-f-]{36}")
            self.assertEqual(m.state_of_newest_run(), "unknown")
        asked = [g for g in got if g.startswith(b"POST / HTTP/1.1\r\nHost: " + EC2.encode())]
        self.assertEqual(len(asked), 1, "nothing is tried again")
        for m in self.members:
            self.assertRegex(m.log()[-1]["outcome"], "may have happened")

    def test_what_came_of_an_answer_is_kept_with_the_run(self):
        d = self.certificates("half")
        half = b"<instanceId>i-0123456789abcdef0</instan"
        answers = {"not whole": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + half,
                   "names no instance": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(half) + half}
        for what, answer in answers.items():
            with self.subTest(what):
                port = self.serve(d, lambda tls: tls.recv(20000) and tls.sendall(answer))
                self.room_with_service(d / "ca.pem", port)
                for m, done in zip(self.members, self.both_run_script("--no-follow")):
                    self.assert_ended(done, UNKNOWN, "kept as .*answer.partial",
                                      "names instance i-0123456789abcdef0: `flexroom stop [0-9a-f]{12}`")
                    self.assertEqual(m.state_of_newest_run(), "unknown")
                    kept = m.newest_run() / "answer.partial"
                    self.assertIn(half, kept.read_bytes())
                    self.assertEqual(kept.stat().st_mode & 0o77, 0)
                if what != "not whole":
                    continue
                # The same members end that machine, whose answer may not come whole either.
                run = self.a.newest_run().name[:12]
                stopped = self.both("stop", run, json_output=True)
                for m, done in zip(self.members, stopped):
                    self.assertEqual(done.code, UNKNOWN, "\n".join(one.text for one in stopped))
                    last = done.json_lines()[-1]
                    self.assertRegex(last["partial_file"], "/answers/[0-9a-f]{16}.partial$")
                    kept = pathlib.Path(last["partial_file"])
                    self.assertEqual(kept.read_bytes(), bytes.fromhex(last["partial_hex"]))
                    self.assertIn(half, kept.read_bytes())
                    self.assertEqual(kept.stat().st_mode & 0o77, 0)
                self.write_room(self.room_text)
                for done in self.both("stop", run):
                    self.assert_ended(done, SERVICE, "InvalidInstanceID")

    def test_half_an_instance_id_is_none(self):
        d = self.certificates("less")
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<instanceId>i-0123456789abcd"
        self.room_with_service(d / "ca.pem", self.serve(d, lambda tls: tls.recv(20000) and tls.sendall(answer)))
        for m, done in zip(self.members, self.both_run_script("--no-follow", json_output=True)):
            self.assertEqual(done.code, UNKNOWN, done.text)
            last = done.json_lines()[-1]
            self.assertNotIn("names instance", last["error"])
            self.assertEqual(bytes.fromhex(last["partial_hex"]), answer)
        # The real service is asked for a machine with the run's client token, and has none.
        self.write_room(self.room_text)
        for done in self.both("stop", self.a.newest_run().name[:12]):
            self.assert_ended(done, UNKNOWN, "The service lists no machine")

    def test_an_answer_that_names_no_machine_names_the_client_token(self):
        d = self.certificates("none")
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.room_with_service(d / "ca.pem", self.serve(d, lambda tls: tls.recv(20000) and tls.sendall(answer)))
        for m, done in zip(self.members, self.both_run_script("--no-follow")):
            self.assert_ended(done, UNKNOWN, "names no instance", "client token is [0-9a-f-]{36}: ")
            (token,) = re.findall("client token is ([0-9a-f-]{36})", done.text)
            shown = m.run("show", m.newest_run().name)
            self.assert_ended(shown, OK, f"client token {token}")

    def test_what_came_of_an_open_answer_is_kept(self):
        d = self.certificates("open")
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nthe first half"
        self.room_with_service(d / "ca.pem", self.serve(d, lambda tls: tls.recv(20000) and tls.sendall(answer)),
                               everywhere=True)
        for m, done in zip(self.members, self.both("get", "https://scripts.s3.amazonaws.com/half")):
            self.assert_ended(done, NETWORK, "can be run again", "kept as .*/answers/[0-9a-f]{16}.partial")
            self.assertNotIn("was not sent", done.text)
            (kept,) = re.findall(r"kept as (\S+\.partial)", done.text)
            self.assertEqual(pathlib.Path(kept).read_bytes(), answer)

    def test_an_error_that_leaves_it_open_is_an_unknown_outcome(self):
        d = self.certificates("unclear")
        errors, asked = [(500, "InternalError"), (403, "UnauthorizedOperation")], []

        def behave(tls):
            if not (request := tls.recv(20000)):
                return  # the look at the certificate
            status, code = errors[len(asked) % 2]
            asked.append(request.partition(b"\r\n\r\n")[2])
            body = f"<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>"
            tls.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

        self.room_with_service(d / "ca.pem", self.serve(d, behave))
        for m, done in zip(self.members, self.both_run_script("--no-follow", json_output=True)):
            self.assert_ended(done, UNKNOWN)
            told = done.json_lines()[-1]
            self.assertEqual((told["ok"], told["status"], told["attempts"], told["unclear"]), (False, 403, 2, True))
            last = m.log()[-1]
            self.assertRegex(last["outcome"], "may have happened")
            self.assertRegex(last["text"], "status 403 UnauthorizedOperation at attempt 2")
            self.assertEqual(last["status"], 403)
            shown = m.run("show", m.newest_run().name)
            self.assert_ended(shown, OK, "state        unknown", "client token " + told["client_token"])
        self.assertEqual(len(asked), 2)
        self.assertEqual(asked[0], asked[1], "the same body")

    def test_a_refusal_that_is_not_of_the_services_form_is_shown(self):
        d = self.certificates("forms")
        html = "<html><body>503 over capacity</body></html>"
        cases = {(403, "application/json", '{"message":"the gateway says no"}'): (SERVICE, "The service refused"),
                 (503, "text/html", html): (UNKNOWN, "The service refused 5 attempts")}
        for (status, kind, body), (code, begins) in cases.items():
            with self.subTest(kind):
                answer = f"HTTP/1.1 {status} No\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                port = self.serve(d, lambda tls: tls.recv(20000) and tls.sendall(answer.encode()))
                self.room_with_service(d / "ca.pem", port)
                for m, done in zip(self.members, self.both_run_script("--no-follow")):
                    self.assertEqual(done.code, code, done.text)
                    self.assertIn(f"{begins}: {status} {body}", done.out)
                    self.assertEqual(m.log()[-1]["status"], status)

    def throttling_sandbox(self, count):
        """EC2 is a sandbox that throttles so many RunInstances."""
        directory = self.work / f"throttling-{count}"
        shutil.copytree(self.cloud, directory, ignore=shutil.ignore_patterns("vms"))
        sandbox, port = self.start_sandbox(directory, "--throttle-runs", str(count))
        self.addCleanup(sandbox.send, signal.SIGTERM)
        self.room_with_service(directory / "ca.pem", port)
        return sandbox

    def test_throttled_start_is_made_again(self):
        sandbox = self.throttling_sandbox(2)
        for m, done in zip(self.members, self.both_run_script("--no-follow", json_output=True)):
            self.assert_ended(done, OK)
            (proposal,) = [line for line in done.json_lines() if line.get("event") == "proposal"]
            self.assertIn("at most 5 times", json.dumps(proposal))
            notes = [line for line in done.json_lines() if line.get("event") == "note"]
            said = re.findall(r"answered 503 RequestLimitExceeded; attempt (\d) of 5", json.dumps(notes))
            self.assertEqual(said, ["2", "3"])
            last = m.log()[-1]
            self.assertEqual((last["outcome"], last["status"]), ("done", 200))
            self.assertRegex(last["text"], "status 200 i-[0-9a-f]+ at attempt 3")
        self.assertEqual(len(re.findall(r"Z ec2 POST \S+ 503", sandbox.text)), 2)
        self.assertEqual(len(re.findall(r"Z ec2 POST \S+ 200", sandbox.text)), 1)

    def test_interrupt_while_waiting_for_another_attempt(self):
        sandbox = self.throttling_sandbox(5)
        runs = [m.run_script("--no-follow") for m in self.members]
        wait_until(lambda: "attempt 4 of 5" in runs[0].err, "the third refusal")
        runs[0].send(signal.SIGINT)
        for m, done in zip(self.members, self.finish(*runs)):
            self.assert_ended(done, NETWORK, "refused the request before", "503 RequestLimitExceeded")
            self.assertIn("nothing happened", m.log()[-1]["outcome"])
            self.assertEqual(m.state_of_newest_run(), "not started")
        self.assertEqual(len(re.findall(r"Z ec2 POST \S+ 503", sandbox.text)), 3)

    def test_service_that_always_fails(self):
        lossy = self.work / "lossy"
        shutil.copytree(self.cloud, lossy, ignore=shutil.ignore_patterns("vms", "objects"))
        sandbox, port = self.start_sandbox(lossy, "--fail-rate", "1")
        self.addCleanup(sandbox.send, signal.SIGTERM)
        self.room_with_service(lossy / "ca.pem", port)
        for m, done in zip(self.members, self.both_run_script("--no-follow")):
            self.assertIn(done.code, (NETWORK, UNKNOWN, SERVICE), done.text)
            last = m.log()[-1]
            if done.code == UNKNOWN:
                self.assertRegex(last["outcome"], "may have happened")
            elif done.code == SERVICE:
                self.assertRegex(last["text"], "status 5")


class People(Room):
    """A member whose approvals are signatures of its people (docs/people.md); the other one has none."""

    URL = "https://scripts.s3.amazonaws.com/count.py"

    @classmethod
    def ready(cls):
        for done in cls.both("init"):
            assert done.code == OK, f"{done}: {done.code}\n{done.text}"
        cls.desk = cls.work / "desk"
        cls.desk.mkdir(mode=0o700)
        cls.passphrase = cls.desk / "passphrase"
        cls.passphrase.touch(mode=0o600)
        cls.passphrase.write_text("six random words\n")
        cls.keys = {}
        for name, seal in (("ann", ["--no-passphrase"]), ("bob", ["--new", f"file:{cls.passphrase}"]),
                           ("eve", ["--no-passphrase"])):
            made = cls.start("--json", "people", "key", cls.key(name), *seal).wait()
            assert made.code == OK, made.text
            cls.keys[name] = made.json_lines()[-1]
        cls.people_toml = cls.write_people("2 of (ann, bob, eve)")
        done = cls.a.run("people", "init", cls.people_toml)
        assert done.code == OK, done.text

    @classmethod
    def key(cls, name):
        return cls.desk / f"{name}.key"

    @classmethod
    def write_people(cls, approve):
        text = f'approve = "{approve}"\nadminister = "2 of (ann, bob, eve)"\n'
        for name, key in cls.keys.items():
            text += (f'[[person]]\nname = "{name}"\nroles = ["propose", "approve", "administer"]\n'
                     f'[[person.key]]\nkind = "file"\nkey = "{key["key"]}"\n')
        file = cls.desk / "people.toml"
        file.write_text(text)
        return file

    def sign(self, request, name):
        """On the person's own machine: no room, no member.toml."""
        return self.start("--member", self.desk / "none", "--yes", "people", "sign", request, "--sign-with",
                          self.key(name), "--key-passphrase", f"file:{self.passphrase}").wait()

    def test_a_rule_is_shown_with_four_words_of_each_key(self):
        shown = self.a.run("people", "show")
        self.assert_ended(shown, OK, r"approve +2 of \(ann, bob, eve\)")
        for name, key in self.keys.items():
            self.assertRegex(shown.out, rf"(?m)^  {name} +{key['words']}$")
            self.assertEqual(len(key["words"].split()), 4)
        self.assert_ended(self.b.run("people", "show"), OK, "has no people")
        told = [m.run("people", "show", json_output=True).json_lines()[-1]["people"] for m in self.members]
        self.assertEqual((told[0]["version"], told[1]), (1, None))
        self.assert_ended(self.a.run("people", "init", self.people_toml), BAD_INPUT, "has people already")

    def test_b_no_yes_stands_for_the_people(self):
        self.assert_ended(self.a.run("get", self.URL), BAD_INPUT, "signatures of its people", "--sign-with")
        config = self.a.config.read_text()
        self.a.config.write_text(config + "auto_approve = true\n")
        self.addCleanup(self.a.config.write_text, config)
        self.assert_ended(self.a.run("get", self.URL), BAD_INPUT, "neither --yes nor auto_approve")

    def test_c_too_few_signatures_approve_nothing(self):
        before = self.requests("s3")
        a, b = self.finish(self.a.start("get", self.URL, "--sign-with", self.key("ann"), "--sign-with", self.key("ann")),
                           self.b.start("get", self.URL))
        self.assert_ended(a, REFUSED, "1 more of this member's people must sign, of bob, eve")
        self.assert_ended(b, REFUSED, "alpha has nobody there to decide now")
        self.assertEqual(self.requests("s3"), before)

    def test_d_two_people_approve_one_of_them_elsewhere(self):
        voices = self.work / "voices"
        a = self.a.start("get", self.URL, "--sign-with", self.key("ann"), "--voices", voices)
        b = self.b.start("get", self.URL)
        request = voices / "bob.request"
        wait_until(request.exists, "a request to bob")
        # Another person's key does not stand for him.
        self.assert_ended(self.sign(request, "eve"), OK)
        wait_until((voices / "bob.refused").exists, "a refusal of eve's signature")
        signed = self.sign(request, "bob")
        self.assert_ended(signed, OK, "as +bob, who may approve", re.escape(self.URL.split("/")[-1]))
        for done in self.finish(a, b):
            self.assert_ended(done, OK)
        self.assertIn("was made with a key of eve", a.err)
        self.assertFalse(list(voices.glob("*.request")))
        consents = [e for e in self.a.log() if e["outcome"] == "this member's approval"]
        self.assertEqual([e["text"] for e in consents], ["approved by people under rule version 1"])

    def test_e_an_auditor_checks_who_approved(self):
        export = self.a.run("log", "export", "--evidence")
        self.assert_ended(export, OK, "is this member's word")
        closed = self.a.run("log", "export")
        for name, done, says in (("open", export, "signed by ann, bob"), ("closed", closed, "this member approved")):
            file = self.work / f"{name}.jsonl"
            file.write_text(done.out)
            checked = subprocess.run([sys.executable, ROOT / "examples/verify_log.py", file], capture_output=True, text=True)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
            self.assertIn(says, checked.stdout)
        self.assertNotIn("evidence\"", closed.out)

    def test_f_administrators_change_the_rule_over_files(self):
        change = self.work / "change"
        saved = self.work / "state-before"
        shutil.copytree(self.a.dir / "state", saved)
        rule = self.write_people("1 of (ann, bob, eve)")
        self.assert_ended(self.a.run("people", "propose", rule), BAD_INPUT, "--voices")
        self.assert_ended(self.a.run("people", "propose", rule, "--voices", change), OK, "2 of")
        for name in ("ann", "bob"):
            self.assert_ended(self.sign(change / f"{name}.request", name), OK, r"approve +1 of \(ann, bob, eve\)", "words")
        ann, bob = change / "ann.signature", change / "bob.signature"
        self.assert_ended(self.a.run("people", "apply", ann), BAD_INPUT, "of 1 of its people; the rule asks for 2")
        self.assert_ended(self.a.run("people", "apply", ann, bob), OK, "Rule version 2 holds: approve 1 of")
        self.assert_ended(self.a.run("people", "apply", ann, bob), BAD_INPUT, "no change waits")
        for done in self.finish(self.a.start("get", self.URL, "--sign-with", self.key("eve")),
                                self.b.start("get", self.URL)):
            self.assert_ended(done, OK)
        # A state.db of before does not bring the old rule back.
        kept = self.work / "state-after"
        shutil.copytree(self.a.dir / "state", kept)
        for file in (self.a.dir / "state").glob("state.db*"):
            file.unlink()
        for file in saved.glob("state.db*"):
            shutil.copy(file, self.a.dir / "state")
        self.assert_ended(self.a.run("people", "show"), BAD_INPUT, "state.db is older")
        shutil.rmtree(self.a.dir / "state")
        shutil.copytree(kept, self.a.dir / "state")
        self.assert_ended(self.a.run("people", "show"), OK, "rule version 2")

    def test_g_a_reset_says_that_it_was_one(self):
        rule = self.write_people("2 of (ann, eve, bob)")
        self.assert_ended(self.a.run("people", "reset", rule), REFUSED, "--i-know")
        self.assert_ended(self.a.run("people", "reset", rule, "--i-know"), OK, "approve 2 of")
        self.assertRegex(self.a.log()[-1]["text"], "reset by its machine's administrator")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    FLEXROOM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    del Canaries  # only what is derived from it has tests
    if sys.argv[1:2] == ["--but"]:
        classes = [name for name, thing in globals().items() if isinstance(thing, type)
                   and issubclass(thing, unittest.TestCase) and thing is not Room]
        if unknown := set(sys.argv[2:]) - set(classes):
            sys.exit(f"no such class: {unknown}")
        sys.argv[1:] = [name for name in classes if name not in sys.argv[2:]]
    unittest.main(verbosity=2)
