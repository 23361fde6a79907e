"""Flexroom from Python: what a member's resident node does, over its control socket.

    import flexroom
    room = flexroom.Room("/run/flexroom/node.sock")
    proposal = room.propose_get("https://example.org/")
    ...                                   # the members' people approve
    run = proposal.wait_run()
    run.wait(progress=True)
    print(run.result())

Only Python's standard library is needed. Objects are those of the node's API (docs/api/openapi.json)
and of `flexroom --json`. Nothing here approves: a voice takes the member's key, or those of its people
(`flexroom proposal approve`).
"""
from .room import (Busy, Conflict, Error, Forbidden, NoNode, NotFound, Proposal, Refused, Room, Run,
                   RunFailed, TimedOut)

__all__ = ["Busy", "Conflict", "Error", "Forbidden", "NoNode", "NotFound", "Proposal", "Refused", "Room", "Run",
           "RunFailed", "TimedOut"]
__version__ = "0.1.0"
