#!/usr/bin/env python3
"""Checks logs of a Flexroom room without Flexroom: python3 verify_log.py LOG.jsonl [LOG.jsonl ...]

LOG.jsonl is what `flexroom log export` printed at one member. Trusted are the statements' bytes alone, read as
docs/log-format.md says. Exit code 0: every chain, signature and configuration is right. Printed are the certificates
to compare with those that the organisations know, and runs that one log holds and another does not. Needs the Python
package `cryptography`, for Ed25519."""
import base64, hashlib, json, struct, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

STATEMENT = "room:32 author:16 incarnation:u4 number:u8 previous:32 time:u8 kind:u1 body:f signature:64"
CONFIGURATION = "format:u1 room:32 number:u4 previous:32 name:f profile:f count:u4 ..."
MEMBER = "id:16 name:f key:32 certificate:32 address:f ..."
KINDS = {4: ("REJECT", "proposal:32 reason:f"),
         7: ("RESULT", "form:u1 proposal:32 run:32 outcome:u1 status:u4 text:f place:40 signatures:n"),
         13: ("NOTE", "form:u1 proposal:32 text:f other:f"),
         14: ("START", "form:u1 configuration:32 approval:f"),
         15: ("CHANGE", "form:u1 configuration:f signatures:n")}
OUTCOMES = ["done", "nothing happened", "may have happened", "failed"]

def need(condition, problem):
    if not condition: raise ValueError(problem)

def parse(data, layout):
    """NAME:32 raw bytes, NAME:u4 a number, NAME:f a field, NAME:n signatures; `...`: others read the rest."""
    out, at = {}, 0
    def raw(n):
        nonlocal at
        need(n <= len(data) - at, "ends too early")
        at += n
        return data[at - n:at]
    number = lambda n: int.from_bytes(raw(n), "big")
    for name, kind in (word.split(":") for word in layout.replace("...", "").split()):
        if kind == "f": out[name] = raw(number(4))
        elif kind == "n": out[name] = [raw(64) for _ in range(number(4))]
        elif kind[0] == "u": out[name] = number(int(kind[1:]))
        else: out[name] = raw(int(kind))
    need(at == len(data) or layout.endswith("..."), "has bytes behind its end")
    need(out.get("form", 1) == 1, "is of another form")
    return {**out, "rest": data[at:]}

def text(raw): return ascii(raw.decode("utf-8", "replace"))[1:-1]

def packed(*fields): return b"".join(struct.pack(">I", len(field)) + field for field in fields)

def oracle(tag, data):  # RO(tag, data) outside every session
    return hashlib.sha256(packed(tag, b"flexroom/1", *[bytes(32)] * 3, bytes(8), *[b"\xff" * 4] * 2, data)).digest()

def verified(key, domain, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, packed(b"flexroom", domain, message))
        return True
    except (InvalidSignature, ValueError, TypeError):  # also: there is no key, or it is no point
        return False

def all_signed(configuration, signatures, domain, message, problem):
    need(len(signatures) == len(configuration["members"]), problem + " all")
    for member, signature in zip(configuration["members"], signatures):
        need(verified(member["key"], domain, message, signature), problem + " " + text(member["name"]))

def read_statement(data):
    s = parse(data, STATEMENT)
    need(s["kind"] in KINDS, "is of an unknown kind")
    kind, layout = KINDS[s["kind"]]
    return {**s, "kind": kind, "signed": data[:-64], "says": parse(s["body"], layout)}

def is_by_its_author(s, log):
    return verified(log["conf"]["keys"].get(s["author"]), b"flexroom/statement/1", s["signed"], s["signature"])

def read_configuration(data):  # couriers, providers and quotas follow the members: not needed here
    c = parse(data, CONFIGURATION)
    need(c["format"] == 2, "is a configuration of another format")
    c["members"], member = [], c
    for _ in range(c["count"]):
        member = parse(member["rest"], MEMBER)
        c["members"].append(member)
    c["keys"], c["digest"] = {m["id"]: m["key"] for m in c["members"]}, oracle(b"conf", data)
    need(len(c["keys"]) == len(c["members"]), "lists a member twice")
    return c

def change(s, says, log):
    c, before = read_configuration(says["configuration"]), log["newest"]
    need(c["room"] == s["room"], "is a configuration of another room")
    all_signed(c, says["signatures"], b"flexroom/configuration/1", c["digest"], "is a configuration not signed by")
    if not before or c["digest"] != before["digest"]:
        step = c["number"] - before["number"] if before else 2
        need(step > 1 or step == 1 and c["previous"] == before["digest"], "does not follow")
        if before and not set(c["keys"].items()) & set(before["keys"].items()):
            print("  NOTE: no key of the configuration before signed this one")
        for m in c["members"]: print("  member %-20s certificate %s" % (text(m["name"]), m["certificate"].hex()))
    log["conf"] = log["newest"] = c
    return "configuration %d" % c["number"]

def start(s, says, log):
    need(says["configuration"] == log["conf"]["digest"], "was approved under another configuration")
    a = parse(says["approval"], "digest:32 session:32 proposal:f signatures:n")
    need(oracle(b"proposal", a["proposal"]) == a["digest"], "holds another proposal than was signed")
    all_signed(log["conf"], a["signatures"], b"flexroom/proposal/1", a["session"] + a["digest"], "is not approved by")
    log["runs"].add(a["session"])
    p = parse(a["proposal"], "format:u1 text_form:u1 room:32 terms:32 kind:f title:f ...")
    return "approved %s %s, proposal %s" % (text(p["kind"]), text(p["title"]), a["digest"].hex()[:16])

def result(s, says, log):
    if says["signatures"]:
        fields = s["body"][1:len(s["body"]) - 4 - 64 * len(says["signatures"])]
        need(says["place"] not in log["places"], "stands twice")
        log["places"].add(says["place"])
        all_signed(log["conf"], says["signatures"], b"flexroom/result/1",
                   s["room"] + struct.pack(">Q", s["time"]) + fields, "is not signed by")
    return "%s: %s (status %d), proposal %s, %s" % (
        OUTCOMES[says["outcome"]], text(says["text"]), says["status"], says["proposal"].hex()[:16],
        "signed by all" if says["signatures"] else "this member alone")

def note(s, says, log):
    if says["other"]:
        other = read_statement(says["other"])
        need((other["kind"], other["room"], other["says"].get("proposal")) == ("REJECT", s["room"], says["proposal"])
             and is_by_its_author(other, log), "holds a refusal that proves nothing")
    return "note: " + text(says["text"])

def verify_entry(s, last, log):
    need(not last or (s["room"], s["author"]) == (last["room"], last["author"]), "is of another log")
    if not last or s["incarnation"] > last["incarnation"]:
        need(s["number"] == 1 and s["previous"] == bytes(32), "is not the first of its chain")
        log["conf"] = None
    else:
        need((s["incarnation"], s["number"]) == (last["incarnation"], last["number"] + 1) and
             s["previous"] == oracle(b"statement", last["signed"]), "does not follow from the one before")
    said = change(s, s["says"], log) if s["kind"] == "CHANGE" else "this member said no"
    need(log["conf"], "has no configuration before it")
    need(is_by_its_author(s, log), "is not signed by its author")
    read = {"START": start, "RESULT": result, "NOTE": note}.get(s["kind"])
    return read(s, s["says"], log) if read else said

def verify(path):
    log, last = dict(conf=None, newest=None, runs=set(), places=set()), None
    print(path)
    for index, line in enumerate(open(path, encoding="utf-8"), 1):
        try:
            s = read_statement(base64.b64decode(json.loads(line)["statement"], validate=True))
            print("%5d  %s  %s" % (index, s["time"], verify_entry(s, last, log)))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            sys.exit("WRONG: %s: entry %d %s" % (path, index, error))
        last = s
    return log["runs"] if last else sys.exit("WRONG: %s: is empty" % path)

if __name__ == "__main__":
    runs = {path: verify(path) for path in sys.argv[1:]}
    for one, other in ((one, other) for one in runs for other in runs):
        for session in runs[other] - runs[one]:
            print("NOTE: run %s is in %s and not in %s" % (session.hex()[:16], other, one))
    print("all chains and signatures are right" if runs else __doc__)
