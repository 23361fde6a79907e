#!/usr/bin/env python3
"""After the demo: both hospitals' nodes run, a proposal waits, and hospital-a's console is open. Until Ctrl-C.

usage: tour.py FLEXROOM FLEXROOM_NODE WORK    (called by ./demo --tour; WORK is where the demo worked)
"""
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

URL = "https://mail.flexroom.example/domains"
MEMBERS = ("hospital-a", "hospital-b")


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def main(flexroom, node, work):
    started = []

    def start(log, *words):
        with open(work / log, "ab") as out:
            started.append(subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL))
        return started[-1]

    def say(member, *words):
        done = subprocess.run([flexroom, "--member", work / member / "member.toml", "--json", *words], capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None

    def wait_for(what, condition):
        end = time.monotonic() + 60
        while not (value := condition()):
            if time.monotonic() > end:
                sys.exit(f"./demo --tour: {what} within a minute; see the .log files in {work}")
            time.sleep(0.2)
        return value

    # Ctrl-C, or whoever ends this: what it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        port = re.search(r'connect_to = \["\*:443=127\.0\.0\.1:(\d+)"\]', (work / "room.toml").read_text()).group(1)
        start("sandbox.log", flexroom, "sandbox", "--dir", work / "cloud", "--port", port)
        for member in MEMBERS:
            config = work / member / "member.toml"
            if "[console]" not in config.read_text():
                with config.open("a") as file:
                    file.write(f"\n[node]\nstock_max_mib = 0\n[console]\nport = {free_port()}\n")
            start(f"{member}-node.log", node, "--member", config)
        for member in MEMBERS:
            wait_for(f"{member}'s node reaches no other", lambda m=member: any(p["up"] for p in (say(m, "node", "status") or {}).get("peers", [])))
        proposal = say("hospital-b", "propose", "get", URL)["proposal"]["id"]
        wait_for("the proposal is not at hospital-a", lambda: say("hospital-a", "proposal", "show", proposal))
        short = proposal[:12]
        print(f"\nThe nodes of both hospitals run. hospital-b proposes to ask {URL} together; it waits for both.\n"
              f"In another terminal, in {work.parent.parent}:\n"
              f"  {flexroom} --member {work}/hospital-b/member.toml proposal approve {short}\n"
              f"  {flexroom} --member {work}/hospital-a/member.toml proposal approve {short}\n"
              f"and it runs. A new link to the page: {flexroom} --member {work}/hospital-a/member.toml console\n"
              f"Ctrl-C ends all of it.\n\nhospital-a's console, once and within a minute:\n  {say('hospital-a', 'console')['link']}", flush=True)
        while all(one.poll() is None for one in started):
            time.sleep(0.5)
        sys.exit(f"./demo --tour: a node or the sandbox ended; see the .log files in {work}")
    except KeyboardInterrupt:
        pass
    finally:
        for one in started:
            one.terminate()
        for one in started:
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                one.kill()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve())
