#!/usr/bin/python3
"""What resident nodes take, on this machine (docs/testing.md): from the last approval to the answer at three round trip
times, the start of a node that has much to remember, pages of the API, and the disk of a run. Prints figures; fails where
one is far beyond its limit.

usage: node_numbers.py FLEXROOM_BINARY FLEXROOM_NODE_BINARY [--members N] [--proposals N] [--runs N]
"""
import argparse
import asyncio
import json
import os
import pathlib
import shutil
import signal
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import node_test  # noqa: E402
from node_test import URL, wait_until  # noqa: E402

STOCKED = 200_000  # triples: more than a run takes
LIMITS = {0.1: 0.5, 20: 1.0, 50: 2.5}  # seconds, of two members; of three half as much again


class Wire:
    """Connections to its port reach `target`; each byte arrives `delay` seconds after it was sent."""

    def __init__(self):
        self.delay, self.target, self.ready = 0.0, 0, threading.Event()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.run, daemon=True).start()
        self.ready.wait()

    def run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()

    async def accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self.pump(reader, far_writer), self.pump(far_reader, writer))

    async def pump(self, reader, writer):
        line = asyncio.Queue()

        async def arrive():
            while (due := await line.get()) is not None:
                at, data = due
                await asyncio.sleep(max(0.0, at - self.loop.time()))
                writer.write(data)
            writer.close()

        arriving = asyncio.ensure_future(arrive())
        try:
            while data := await reader.read(1 << 18):
                line.put_nowait((self.loop.time() + self.delay, data))
        except OSError:
            pass
        line.put_nowait(None)
        try:
            await arriving
        except OSError:
            pass


class Rig(node_test.Nodes):
    STOCK = 48

    @classmethod
    def address_of(cls, member):
        member.wire = Wire()
        member.wire.target = int(member.listen.rpartition(":")[2])
        return f"127.0.0.1:{member.wire.port}"

    @classmethod
    def set_rtt(cls, rtt_ms):
        for m in cls.members:
            m.wire.delay = rtt_ms / 2000

    @classmethod
    def last_approval_to_answer(cls, name):
        """One run, up to the answer at every member."""
        ident = cls.rooms[0].propose_get(URL + "story.txt", times=1, not_after=int(time.time()) + 3600 + name).id
        wait_until(lambda: all([p for p in r.inbox() if p.id == ident] for r in cls.rooms), "the proposal everywhere")
        for m in cls.members[:-1]:
            m.approve(ident)
        wait_until(lambda: all(sum(d["counts"] for d in r.proposal(ident).decisions) == len(cls.members) - 1
                               for r in cls.rooms), "all approvals but one everywhere")
        # Nothing else is under way: stock that is made meanwhile is not what is timed.
        wait_until(lambda: all(r.status()["doing"] == "idle" and r.status()["stock_triples"] >= STOCKED for r in cls.rooms),
                   "rest", 300)
        time.sleep(1)
        cls.members[-1].approve(ident)
        runs = [r.proposal(ident).wait_run(timeout=120, poll=0.01).wait(timeout=120, poll=0.01) for r in cls.rooms]
        assert all(r.state == "done" for r in runs), [r.fields for r in runs]


def measured(rig, rtt, times):
    """By the events of the last member's node, whose clock is the same for both ends of what is timed."""
    rig.set_rtt(rtt)
    out = []
    for k in range(times + 1):
        room, seen = rig.rooms[-1], []

        def listen():
            for event in room.events(after=start):
                seen.append((time.monotonic(), event))
                if event["event"] == "run" and event.get("state") == "done":
                    return

        start = room.status()["last_event"]
        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        rig.last_approval_to_answer(1000 * k + int(10 * rtt))
        listener.join(60)
        approved = [at for at, e in seen if e["event"] == "proposal" and e.get("said") == "APPROVE"][-1]
        done = [at for at, e in seen if e["event"] == "run" and e.get("state") == "done"][-1]
        if k > 0:  # the first one has the stock's files read, and links that were just made
            out.append(done - approved)
    return out


def disk(member):
    return sum(f.stat().st_size for f in (member.dir / "state").rglob("*") if f.is_file() and "pool" not in str(f))


def timed(what):
    begin = time.monotonic()
    what()
    return time.monotonic() - begin


def remembered(rig, arguments, bad):
    """A node with many closed proposals, log entries and runs: its start and its pages."""
    m = rig.members[0]
    for k in range(arguments.proposals):
        ident = rig.rooms[0].propose_get(URL + f"closed-{k}.txt").id
        m.say("--yes", "proposal", "reject", ident, "--reason", "one of many")
    record = next((m.dir / "state/node/runs").glob("*.json"))
    fields = json.loads(record.read_text())
    for k in range(arguments.runs):
        fields["id"] = f"{k:064x}"
        copy = record.with_name(fields["id"] + ".json")
        copy.touch(mode=0o600)
        copy.write_text(json.dumps(fields))
    m.stop_node()
    seconds = timed(m.start_node)
    room = m.room()
    first = timed(lambda: room._get("/v1/log", limit=100))
    log = room._get("/v1/log", limit=1)["total"]
    figures = {"proposals": len(room.proposals()), "log entries": log, "runs": len(room.runs()), "start": seconds}
    figures["first page of the log after a start"] = first
    for name, target in (("page of the log", "/v1/log"), ("page of proposals", "/v1/proposals"),
                         ("page of runs", "/v1/runs")):
        figures[name] = statistics.median(timed(lambda t=target: room._get(t, limit=100)) for _ in range(5))
        if figures[name] > 0.2:
            bad.append(f"{name}: {figures[name]:.3f} s")
    if seconds > 1:
        bad.append(f"start {seconds:.2f} s")
    for key, value in figures.items():
        print(f"  {key}: {value:.3f} s" if isinstance(value, float) else f"  {key}: {value}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("flexroom")
    parser.add_argument("node")
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--proposals", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    node_test.FLEXROOM, node_test.NODE = os.path.abspath(arguments.flexroom), os.path.abspath(arguments.node)
    Rig.NAMES = tuple(f"m{i}" for i in range(arguments.members))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bad = []
    try:
        Rig.setUpClass()
        wait_until(lambda: all(r.status()["stock_triples"] >= STOCKED for r in Rig.rooms), "the stock", 300)
        print(f"n = {arguments.members}, from the last approval to the answer, with stock, median and worst of "
              f"{arguments.times}:")
        before = disk(Rig.members[0])
        for rtt, limit in LIMITS.items():
            seconds = measured(Rig, rtt, arguments.times)
            limit *= 1 if arguments.members == 2 else 1.5
            print(f"  RTT {rtt} ms: {statistics.median(seconds):.2f} s, {max(seconds):.2f} s (limit {limit:.2f} s)")
            if statistics.median(seconds) > limit:
                bad.append(f"RTT {rtt} ms: {statistics.median(seconds):.2f} s")
        runs = len(LIMITS) * (arguments.times + 1)
        growth = (disk(Rig.members[0]) - before) / runs / 1024
        print(f"  disk: {growth:.1f} KiB a run, with proposal, approvals and log")
        if growth > 64:
            bad.append(f"disk {growth:.1f} KiB a run")
        Rig.set_rtt(0)
        print("a node that has much to remember:")
        remembered(Rig, arguments, bad)
    finally:
        Rig.stop_all()
        shutil.rmtree(Rig.work, ignore_errors=True)
    if bad:
        print("beyond its limit: " + "; ".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
