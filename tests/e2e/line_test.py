#!/usr/bin/python3
"""What somebody who sees the courier's line to the services learns from sizes and pauses, with and without `pad`,
`slots` and `cover` (docs/spec/tls-complete.md 8): a whole story (get, call, run-script) recorded on that line, and a
classifier that is to tell a signed call from what else goes to the same host.

usage: line_test.py FLEXROOM_BINARY [unittest arguments]

Only sizes are held against a bound here: pauses depend on the machine and on what else it does. With LINE_TEST_ROUNDS=16
calls of each kind it prints the figures of docs/threat-model.md, pauses and answers included.
"""
import contextlib
import os
import pathlib
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cli_test  # noqa: E402
from cli_test import OK, Room  # noqa: E402

ROUNDS = int(os.environ.get("LINE_TEST_ROUNDS", "4"))
STS = "sts.us-east-1.amazonaws.com"
TERMS = 'pad = "1024"\nslots = "every 1 s"\ncover = "GET /"\n'


def records(stream):
    """(type, length of the payload) of the TLS records in it."""
    out, at = [], 0
    while at + 5 <= len(stream):
        size = int.from_bytes(stream[at + 3:at + 5], "big")
        out.append((stream[at], size))
        at += 5 + size
    return out


def server_name(stream):
    """Of the ClientHello at the begin, or nothing."""
    at = stream.find(b"\x00\x00", 5 + 4 + 2 + 32 + 1 + 32)
    while 0 <= at < 512:  # server_name: type 0, two lengths, name type 0, length
        size = int.from_bytes(stream[at + 7:at + 9], "big")
        name = bytes(stream[at + 9:at + 9 + size])
        if size and name.endswith((b".com", b".example")):
            return name.decode()
        at = stream.find(b"\x00\x00", at + 1)
    return ""


class Line:
    """The courier's line: forwards connections and keeps what is seen of each: bytes both ways, and times."""

    def __init__(self, target):
        self.target, self.seen, self.lock = target, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            one = {"up": bytearray(), "down": bytearray(), "pieces": []}
            with self.lock:
                self.seen.append(one)
            threading.Thread(target=self.forward, args=(one, near, far), daemon=True).start()

    def forward(self, one, near, far):
        with near, far:
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = threading.Thread(target=self.pump, args=(one, far, near, "down"), daemon=True)
            answers.start()
            self.pump(one, near, far, "up")
            answers.join()

    @staticmethod
    def pump(one, a, b, way):
        try:
            while data := a.recv(1 << 18):
                one[way] += data
                one["pieces"].append((time.monotonic(), way))
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:  # one end was reset
            for end in (a, b):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def take(self):
        """Connections with a request since the last time, as features."""
        with self.lock:
            seen, self.seen = self.seen, []
        return [f for f in map(features, seen) if f]

    def close(self):
        self.listener.close()


def features(one):
    """What is seen of a connection: its host, lengths of what the client sent behind its hello, the pause before that, and
    the length of the answer. Nothing where no request was sent (a look at the service)."""
    up = [size for kind, size in records(one["up"]) if kind == 23]  # Finished, then the request
    if len(up) < 2 or max(up[1:]) <= 19:  # a look at the service ends with an alert
        return None
    flight = [at for at, (_, way) in enumerate(one["pieces"]) if way == "up"][1:]
    down = [t for t, way in one["pieces"][:flight[-1]] if way == "down"]
    return {"host": server_name(one["up"]), "sizes": tuple(up),
            "pause": one["pieces"][flight[-1]][0] - down[0],
            "answer": len(one["down"])}


def accuracy(samples, keys):
    """Of the nearest neighbour, learnt from every other sample and asked for the rest; where several are as near, those
    that are more often. `samples`: (is_call, features)."""
    def vector(f):
        out = []
        for key in keys:
            value = f[key]
            out += [len(value), *value[:6]] if isinstance(value, tuple) else [value * 1000]
        return out

    def distance(a, b):
        a, b = vector(a), vector(b)
        size = max(len(a), len(b))
        a, b = a + [0] * (size - len(a)), b + [0] * (size - len(b))
        return sum((x - y) ** 2 for x, y in zip(a, b))

    by_label = {label: [f for is_call, f in samples if is_call == label] for label in (True, False)}
    count = min(map(len, by_label.values())) // 2 * 2
    learnt = [(label, f) for label, all_of in by_label.items() for f in all_of[:count:2]]
    asked = [(label, f) for label, all_of in by_label.items() for f in all_of[1:count:2]]
    right = 0.0
    for label, f in asked:
        nearest = min(distance(f, other) for _, other in learnt)
        votes = [is_call for is_call, other in learnt if distance(f, other) == nearest]
        share = votes.count(label) / len(votes)
        right += 1 if share > 0.5 else 0.5 if share == 0.5 else 0
    return right / len(asked)


class CourierLine(Room):
    @classmethod
    def make_room(cls):
        super().make_room()
        cls.line = Line(cls.port)
        cls.addClassCleanup(cls.line.close)
        courier = cls.b  # the second member
        courier.room_file.write_text(cls.text_of(courier, ""))

    @classmethod
    def text_of(cls, member, terms):
        text = cls.room_text
        if member is cls.b:
            text = text.replace(f":{cls.service_wire.port}\"", f":{cls.line.port}\"")
        return text + terms

    @classmethod
    def ready(cls):
        super().ready()
        text = (cli_test.ROOT / "examples/recipes/who-am-i.toml").read_text()
        text = text.replace("joint/aws-secret-key", cli_test.SECRET)
        for m in cls.members:
            (m.dir / "who.toml").write_text(text)

    def story(self, rounds):
        """Calls, gets and a run-script; what the line shows of each."""
        key = "access-key-id=" + self.accounts["joint"]["access_key_id"]
        out = {"get": [], "call": [], "run-script": []}
        self.line.take()
        for _ in range(rounds):
            for done in self.both("get", f"https://{STS}/"):
                self.assertIn(done.code, (OK, cli_test.SERVICE), done.text)
            out["get"] += self.line.take()
            for done in self.both("call", "{dir}/who.toml", "--arg", key):
                self.assert_ended(done, OK, "GetCallerIdentity")
            out["call"] += self.line.take()
        for done in self.both_run_script("--no-follow"):
            self.assert_ended(done, OK)
        out["run-script"] = [f for f in self.line.take() if f["host"].startswith("ec2")]
        return out

    def plan_names_the_cost(self):
        """The table of tls-complete.md 8.2, and this call."""
        key = "access-key-id=" + self.accounts["joint"]["access_key_id"]
        done = self.a.run("plan", self.a.dir / "who.toml", "--arg", key, json_output=True)
        self.assert_ended(done, OK)
        padding = done.json_lines()[-1]["padding"]
        self.assertEqual((padding["pad"], padding["sent_bytes"]), ("1024", 1024))
        self.assertEqual([(one["mean_ands"], one["largest_ands"]) for one in padding["ranges"][:2]],
                         [(129292, 261120), (161280, 322560)])
        self.assertGreater(padding["more_ands"], 0)
        self.assert_ended(self.a.run("plan", self.a.dir / "who.toml", "--arg", key), OK,
                          "padding      1024: the request goes out as 1024 bytes, [0-9]+ ANDs more than without")

    def test_padding_and_cover_leave_less_to_learn(self):
        bare = self.story(ROUNDS)
        for m in self.members:
            m.room_file.write_text(self.text_of(m, TERMS))
        self.plan_names_the_cost()
        padded = self.story(ROUNDS)
        cover = []
        end = time.monotonic() + 60 + 3 * ROUNDS
        while len(cover) < ROUNDS and time.monotonic() < end:
            done = self.b.run("cover", "--for", f"{ROUNDS + 2}s", json_output=True)
            self.assert_ended(done, OK)
            cover += [f for f in self.line.take() if f["host"] == STS]
        self.assertGreaterEqual(len(cover), ROUNDS)

        def told(background, calls, keys):
            return accuracy([(False, f) for f in background] + [(True, f) for f in calls], keys)

        figures = {}
        for name, keys in (("sizes of requests", ["sizes"]), ("and pauses", ["sizes", "pause"]),
                           ("and answers", ["sizes", "pause", "answer"])):
            figures[name] = (told(bare["get"], bare["call"], keys), told(cover, padded["call"], keys))
        for name, (without, with_both) in figures.items():
            print(f"\n{name}: {without:.2f} without, {with_both:.2f} with pad and cover", end="", flush=True)

        # Without, lengths alone tell a signed call from a get: each has its own.
        self.assertFalse({f["sizes"] for f in bare["get"]} & {f["sizes"] for f in bare["call"]})
        self.assertGreaterEqual(figures["sizes of requests"][0], 0.9)
        # With it, call, get and cover are as long: nothing is left to learn from that.
        lengths = {f["sizes"] for f in padded["get"] + padded["call"] + cover}
        self.assertEqual(len(lengths), 1, lengths)
        self.assertLessEqual(figures["sizes of requests"][1], figures["sizes of requests"][0] - 0.3)
        # The run-script is longer than a call, and its length is one of few.
        inner = [size - 16 for f in padded["run-script"] for size in f["sizes"][1:]]
        self.assertTrue(inner and all(size % 1024 == 0 or size == 16385 for size in inner), inner)


if __name__ == "__main__":
    cli_test.FLEXROOM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
