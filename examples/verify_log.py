#!/usr/bin/env python3
"""Checks logs of a Flexroom room without Flexroom: python3 verify_log.py LOG.jsonl [LOG.jsonl ...]

LOG.jsonl is what `flexroom log export` printed at one member. Trusted are the statements' bytes
alone, read as docs/log-format.md says; the readable fields beside them are ignored. Exit code 0:
every chain, signature and configuration is right. Printed are the certificates to compare with
those that the organisations know, and runs that one log holds and another, which goes as far, not.
"""
import base64, hashlib, json, struct, sys

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # RFC 8032
D, ROOT = -121665 * pow(121666, P - 2, P) % P, pow(2, (P - 1) // 4, P)
KINDS = {4: "REJECT", 7: "RESULT", 13: "NOTE", 14: "START", 15: "CHANGE"}
OUTCOMES = ["done", "nothing happened", "may have happened", "failed"]


class Bad(Exception):
    pass


def point(raw):
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if x * x % P == xx else x * ROOT % P
    if x * x % P != xx or y >= P or (x == 0 and raw[31] >> 7):
        return None
    x = x if x % 2 == raw[31] >> 7 else P - x
    return (x, y, 1, x * y % P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(k, p):
    out = (0, 1, 1, 0)
    while k:
        out, p, k = (add(out, p) if k & 1 else out), add(p, p), k >> 1
    return out


def verified(key, domain, message, signature):
    text = b"".join(struct.pack(">I", len(f)) + f for f in (b"flexroom", domain, message))
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    base = point(bytes([0x58] + [0x66] * 31))
    p, q = times(s, base), add(r, times(k, a))
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def oracle(tag, data):  # RO(tag, data) outside every session
    fields = [tag, b"flexroom/1", bytes(32), bytes(32), bytes(32), bytes(8), b"\xff" * 4, b"\xff" * 4, data]
    return hashlib.sha256(b"".join(struct.pack(">I", len(f)) + f for f in fields)).digest()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, n):
        if n > len(self.data) - self.at:
            raise Bad("ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.raw(n), "big")

    def field(self):
        return self.raw(self.number(4))

    def signatures(self):
        return [self.raw(64) for _ in range(self.number(4))]

    def end(self):
        if self.at != len(self.data):
            raise Bad("has bytes behind its end")


def need(condition, problem):
    if not condition:
        raise Bad(problem)


def statement(data):
    r = Reader(data)
    s = dict(room=r.raw(32), author=r.raw(16), incarnation=r.number(4), number=r.number(8),
             previous=r.raw(32), time=r.number(8), kind=KINDS.get(r.number(1)), body=r.field())
    s["text"], s["signature"] = data[:r.at], r.raw(64)
    r.end()
    need(s["kind"], "is of an unknown kind")
    return s


def configuration(data):
    r = Reader(data)
    need(r.number(1) == 2, "is a configuration of another format")
    c = dict(room=r.raw(32), number=r.number(4), previous=r.raw(32), name=r.field(), profile=r.field())
    c["members"] = [(r.raw(16), r.field().decode("ascii", "replace"), r.raw(32), r.raw(32), r.field())
                    for _ in range(r.number(4))]
    c["keys"], c["digest"] = {m[0]: m[2] for m in c["members"]}, oracle(b"conf", data)
    need(len(c["keys"]) == len(c["members"]), "lists a member twice")
    return c  # couriers, providers and quotas follow: not needed here


def change(s, state):
    r = Reader(s["body"])
    need(r.number(1) == 1, "is of another form")
    c, signatures = configuration(r.field()), r.signatures()
    r.end()
    need(c["room"] == s["room"] and len(signatures) == len(c["members"]), "is a configuration not all signed")
    for member, signature in zip(c["members"], signatures):
        need(verified(member[2], b"flexroom/configuration/1", c["digest"], signature),
             "is a configuration that %s did not sign" % member[1])
    before = state["newest"]
    if before and c["digest"] != before["digest"]:
        need(c["number"] > before["number"] and
             (c["number"] > before["number"] + 1 or c["previous"] == before["digest"]), "does not follow")
        if not set(c["keys"].items()) & set(before["keys"].items()):
            print("  NOTE: no key of the configuration before signed this one")
    if not before or c["digest"] != before["digest"]:
        for member in c["members"]:
            print("  member %-20s certificate %s" % (ascii(member[1])[1:-1], member[3].hex()))
    state["conf"] = state["newest"] = c
    return "configuration %d" % c["number"]


def start(s, state):
    r = Reader(s["body"])
    need(r.number(1) == 1 and r.raw(32) == state["conf"]["digest"], "was approved under another configuration")
    outer, r = r, Reader(r.field())
    outer.end()
    digest, session, proposal, signatures = r.raw(32), r.raw(32), r.field(), r.signatures()
    r.end()
    need(oracle(b"proposal", proposal) == digest, "holds another proposal than was signed")
    need(len(signatures) == len(state["conf"]["members"]), "is not approved by all")
    for member, signature in zip(state["conf"]["members"], signatures):
        need(verified(member[2], b"flexroom/proposal/1", session + digest, signature),
             "is not approved by " + member[1])
    state["runs"][session] = digest
    r = Reader(proposal[66:])
    return "approved %s %s, proposal %s" % (ascii(r.field())[2:-1], ascii(r.field())[2:-1], digest.hex()[:16])


def result(s, state):
    r = Reader(s["body"])
    need(r.number(1) == 1, "is of another form")
    begin = r.at
    proposal, _, outcome, status = r.raw(32), r.raw(32), r.number(1), r.number(4)
    text, place = r.field(), r.raw(40)
    signed, signatures = s["room"] + struct.pack(">Q", s["time"]) + s["body"][begin:r.at], r.signatures()
    r.end()
    if signatures:
        need(len(signatures) == len(state["conf"]["members"]) and place not in state["places"],
             "is not signed by all, or stands twice")
        state["places"].add(place)
        for member, signature in zip(state["conf"]["members"], signatures):
            need(verified(member[2], b"flexroom/result/1", signed, signature), "is not signed by " + member[1])
    return "%s: %s (status %d), proposal %s%s" % (OUTCOMES[outcome], ascii(text)[2:-1], status, proposal.hex()[:16],
                                                  "" if signatures else " [this member alone]")


def note(s, state):
    r = Reader(s["body"])
    need(r.number(1) == 1, "is of another form")
    proposal, text, other = r.raw(32), r.field(), r.field()
    r.end()
    if other:
        refusal = statement(other)
        need(refusal["kind"] == "REJECT" and refusal["room"] == s["room"] and refusal["body"][:32] == proposal and
             verified(state["conf"]["keys"].get(refusal["author"], bytes(32)), b"flexroom/statement/1",
                      refusal["text"], refusal["signature"]), "holds a refusal that proves nothing")
    return "note: " + ascii(text)[2:-1]


def verify(path):
    state = dict(conf=None, newest=None, runs={}, places=set())
    last = None
    print(path)
    for index, line in enumerate(open(path, encoding="utf-8"), 1):
        try:
            s = statement(base64.b64decode(json.loads(line)["statement"], validate=True))
            need(last is None or (s["room"], s["author"]) == (last["room"], last["author"]), "is of another log")
            if last is None or s["incarnation"] > last["incarnation"]:
                need(s["number"] == 1 and s["previous"] == bytes(32), "is not the first of its chain")
                state["conf"] = None
            else:
                need(s["incarnation"] == last["incarnation"] and s["number"] == last["number"] + 1 and
                     s["previous"] == oracle(b"statement", last["text"]), "does not follow from the one before")
            said = change(s, state) if s["kind"] == "CHANGE" else None
            need(state["conf"], "has no configuration before it")
            need(verified(state["conf"]["keys"].get(s["author"], bytes(32)), b"flexroom/statement/1", s["text"],
                          s["signature"]), "is not signed by its author")
            said = said or {"START": start, "RESULT": result, "NOTE": note,
                            "REJECT": lambda *_: "this member said no"}[s["kind"]](s, state)
        except (Bad, ValueError, KeyError, IndexError) as error:
            raise Bad("%s: entry %d %s" % (path, index, error))
        print("%5d  %s  %s" % (index, s["time"], said))
        last = s
    need(last, path + ": is empty")
    return state["runs"]


def main():
    runs = {path: verify(path) for path in sys.argv[1:]}
    for path, own in runs.items():
        for other in runs:
            for session in set(runs[other]) - set(own):
                print("NOTE: run %s is in %s and not in %s" % (session.hex()[:16], other, path))
    print("all chains and signatures are right" if runs else __doc__)


if __name__ == "__main__":
    try:
        main()
    except Bad as bad:
        sys.exit("WRONG: %s" % bad)
