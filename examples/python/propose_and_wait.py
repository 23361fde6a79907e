#!/usr/bin/python3
"""Proposes a GET, waits until all members approved and the nodes ran it, prints the answer.

usage: propose_and_wait.py SOCKET URL
"""
import sys

import flexroom

room = flexroom.Room(sys.argv[1])
print("member", room.status()["member"], "of room", room.status()["room"])
proposal = room.propose_get(sys.argv[2])
print("proposed:", proposal.fields["kind"], proposal.title)
run = proposal.wait_run(timeout=600)  # meanwhile people approve: `flexroom proposal approve ID`
run.wait(timeout=600, progress=True)
print("run:", run.state, run.status)
print("answer:", len(run.result()), "bytes")
