#!/usr/bin/env python3
"""Checks logs of a Flexroom room without Flexroom: python3 verify_log.py LOG.jsonl [LOG.jsonl ...]

LOG.jsonl is what `flexroom log export` printed at one member. Trusted are the statements' bytes alone, read as
docs/log-format.md says. Exit code 0: every chain, signature and configuration is right. Printed are the certificates
to compare with those that the organisations know, and runs that one log holds and another does not. Needs the Python
package `cryptography`, for Ed25519."""
import base64, hashlib, json, struct, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KINDS = {1: "PROPOSE", 2: "INPUT", 3: "APPROVE", 4: "REJECT", 5: "WITHDRAW", 6: "RULE", 7: "RESULT", 13: "NOTE", 14: "START", 15: "CHANGE"}
OUTCOMES = ["done", "nothing happened", "may have happened", "failed"]
LAYOUTS = {  # NAME:32 raw bytes, NAME:u4 a number, NAME:f a field, NAME:n signatures; `...`: others read the rest
    "statement": "room:32 author:16 incarnation:u4 number:u8 previous:32 time:u8 kind:u1 body:f signature:64",
    "configuration": "format:u1 room:32 number:u4 previous:32 name:f profile:f count:u4 ...",
    "member": "id:16 name:f key:32 certificate:32 address:f ...",
    "approval": "digest:32 session:32 proposal:f signatures:n",
    "proposal": "format:u1 text_form:u1 room:32 terms:32 kind:f title:f ...",
    "PROPOSE": "format:u1 text_form:u1 room:32 terms:32 kind:f title:f ...",
    "INPUT": "proposal:32 slot:f public:f commitment:32",
    "APPROVE": "proposal:32 terms:32 versions:32 not_before:u8 not_after:u8 rule:u4 automatic:f evidence:32",
    "WITHDRAW": "proposal:32 what:u1",
    "RULE": "form:u1 version:u4 digest:32 previous:32 reset:u1 evidence:32",
    "START 2": "form2:u1 configuration:32 proposal:32 index:u4 session:32 count:u4 ...",
    "said": "saying:f signature:64 ...",
    "saying": "configuration:32 place:u1 incarnation:u4 counter:u8 proposal:32 index:u4 try:u4 statements:32 decision:u1 ...",
    "REJECT": "proposal:32 reason:f",
    "RESULT": "form:u1 proposal:32 run:32 outcome:u1 status:u4 text:f place:40 signatures:n",
    "NOTE": "form:u1 proposal:32 text:f other:f",
    "START": "form:u1 configuration:32 approval:f",
    "CHANGE": "form:u1 configuration:f signatures:n"}

def need(condition, problem):
    if not condition: raise ValueError(problem)

def parse(data, what):
    out, rest = {}, data
    def raw(n):
        nonlocal rest
        need(n <= len(rest), "ends too early")
        taken, rest = rest[:n], rest[n:]
        return taken
    number = lambda n: int.from_bytes(raw(n), "big")
    for name, kind in (word.split(":") for word in LAYOUTS[what].replace("...", "").split()):
        if kind == "f": out[name] = raw(number(4))
        elif kind == "n": out[name] = [raw(64) for _ in range(number(4))]
        else: out[name] = number(int(kind[1:])) if kind[0] == "u" else raw(int(kind))
    need(not rest or LAYOUTS[what].endswith("..."), "has bytes behind its end")
    need(out.get("form", 1) == 1, "is of another form")
    return {**out, "rest": rest}

def text(raw): return ascii(raw.decode("utf-8", "replace"))[1:-1]
def packed(*fields): return b"".join(struct.pack(">I", len(field)) + field for field in fields)
def oracle(tag, *data):  # RO(tag, data) outside every session
    return hashlib.sha256(packed(tag, b"flexroom/1", *[bytes(32)] * 3, bytes(8), *[b"\xff" * 4] * 2, *data)).digest()

def need_signed(signers, signatures, domain, message, problem):
    need(len(signatures) == len(signers), problem + " all")
    for signer, signature in zip(signers, signatures):
        try: Ed25519PublicKey.from_public_bytes(signer["key"]).verify(signature, packed(b"flexroom", domain, message))
        except (InvalidSignature, ValueError, TypeError):  # also: there is no key, or it is no point
            raise ValueError(problem + " " + text(signer["name"]))

def need_author(s, conf, problem):
    author = {"name": b"its author", "key": conf["keys"].get(s["author"])}
    need_signed([author], [s["signature"]], b"flexroom/statement/1", s["signed"], problem)

def read_statement(data):
    s = parse(data, "statement")
    need(s["kind"] in KINDS, "is of an unknown kind")
    kind = KINDS[s["kind"]]
    layout = "START 2" if kind == "START" and s["body"][:1] == b"\2" else kind
    return {**s, "kind": kind, "signed": data[:-64], "says": parse(s["body"], layout)}

def read_configuration(data):  # couriers, providers and quotas follow the members: not needed here
    c = member = parse(data, "configuration")
    need(c["format"] == 2, "is a configuration of another format")
    c["members"] = [member := parse(member["rest"], "member") for _ in range(c["count"])]
    c["keys"], c["digest"] = {m["id"]: m["key"] for m in c["members"]}, oracle(b"conf", data)
    need(len(c["keys"]) == len(c["members"]), "lists a member twice")
    return c

def change(s, says, log):
    c, before = read_configuration(says["configuration"]), log["newest"]
    need(c["room"] == s["room"], "is a configuration of another room")
    need_signed(c["members"], says["signatures"], b"flexroom/configuration/1", c["digest"],
                "is a configuration not signed by")
    if not before or c["digest"] != before["digest"]:
        step = c["number"] - before["number"] if before else 2
        need(step > 1 or step == 1 and c["previous"] == before["digest"], "does not follow")
        if before and not set(c["keys"].items()) & set(before["keys"].items()):
            print("  NOTE: no key of the configuration before signed this one")
        for m in c["members"]: print("  member %-20s certificate %s" % (text(m["name"]), m["certificate"].hex()))
    log["conf"] = log["newest"] = c
    return "configuration %d" % c["number"]

def start(says, log):
    need(says["configuration"] == log["conf"]["digest"], "was approved under another configuration")
    a = parse(says["approval"], "approval")
    need(oracle(b"proposal", a["proposal"]) == a["digest"], "holds another proposal than was signed")
    need_signed(log["conf"]["members"], a["signatures"], b"flexroom/proposal/1", a["session"] + a["digest"],
                "is not approved by")
    log["runs"].add(a["session"])
    p = parse(a["proposal"], "proposal")
    return "approved %s %s, proposal %s" % (text(p["kind"]), text(p["title"]), a["digest"].hex()[:16])

def joint_start(says, log):  # of a proposal that waited: its bytes stand in its PROPOSE
    sayings, signatures, said = [], [], {"rest": says["rest"]}
    for _ in range(says["count"]):
        said = parse(said["rest"], "said")
        sayings.append(said["saying"]); signatures.append(said["signature"])
        one = parse(said["saying"], "saying")
        need(all(one[k] == says[k] for k in ("configuration", "proposal", "index")) and one["decision"] == 1,
             "holds a member that said something else")
    need(not said["rest"], "has bytes behind its end")
    need(says["configuration"] == log["conf"]["digest"], "was started under another configuration")
    need_signed(log["conf"]["members"], signatures, b"flexroom/proposal/1",
                says["session"] + oracle(b"start", *sayings), "is not signed by")
    log["runs"].add(says["session"])
    return "started run %d of proposal %s" % (says["index"], says["proposal"].hex()[:16])

def about_proposal(s, says):
    about = oracle(b"proposal", s["body"]) if s["kind"] == "PROPOSE" else says.get("proposal", bytes(32))
    return "%s%s, proposal %s" % (s["kind"], " by standing rule " + text(says["automatic"])
                                  if says.get("automatic") else "", about.hex()[:16])

def result(s, says, log):
    if says["signatures"]:
        signed = s["room"] + struct.pack(">Q", s["time"]) + s["body"][1:-4 - 64 * len(says["signatures"])]
        need(says["place"] not in log["places"], "stands twice")
        log["places"].add(says["place"])
        need_signed(log["conf"]["members"], says["signatures"], b"flexroom/result/1", signed, "is not signed by")
    return "%s: %s (status %d), proposal %s, %s" % (
        OUTCOMES[says["outcome"]], text(says["text"]), says["status"], says["proposal"].hex()[:16],
        "signed by all" if says["signatures"] else "this member alone")

def note(s, says, log):
    if says["other"]:
        o = read_statement(says["other"])
        need((o["kind"], o["room"], o["says"].get("proposal")) == ("REJECT", s["room"], says["proposal"]),
             "holds a refusal that proves nothing")
        need_author(o, log["conf"], "holds a refusal that proves nothing: not signed by")
    return "note: " + text(says["text"])

def check(s, last, log):
    need(not last or (s["room"], s["author"]) == (last["room"], last["author"]), "is of another log")
    if not last or s["incarnation"] > last["incarnation"]:
        need(s["number"] == 1 and s["previous"] == bytes(32), "is not the first of its chain")
        log["conf"] = None
    else:
        need((s["incarnation"], s["number"]) == (last["incarnation"], last["number"] + 1) and
             s["previous"] == oracle(b"statement", last["signed"]), "does not follow from the one before")
    said = change(s, s["says"], log) if s["kind"] == "CHANGE" else "this member said no"
    need(log["conf"], "has no configuration before it")
    need_author(s, log["conf"], "is not signed by")
    if s["kind"] == "START": return (joint_start if "form2" in s["says"] else start)(s["says"], log)
    if s["kind"] in ("PROPOSE", "INPUT", "APPROVE", "WITHDRAW", "RULE"): return about_proposal(s, s["says"])
    return {"RESULT": result, "NOTE": note}.get(s["kind"], lambda *_: said)(s, s["says"], log)

def verify(path):
    log, last = dict(conf=None, newest=None, runs=set(), places=set()), None
    print(path)
    for index, line in enumerate(open(path, encoding="utf-8"), 1):
        try:
            s = read_statement(base64.b64decode(json.loads(line)["statement"], validate=True))
            print("%5d  %s  %s" % (index, s["time"], check(s, last, log)))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            sys.exit("WRONG: %s: entry %d %s" % (path, index, error))
        last = s
    return log["runs"] if last else sys.exit("WRONG: %s: is empty" % path)

runs = {path: verify(path) for path in sys.argv[1:]}
for one, other in ((one, other) for one in runs for other in runs):
    for session in runs[other] - runs[one]:
        print("NOTE: run %s is in %s and not in %s" % (session.hex()[:16], other, one))
print("all chains and signatures are right" if runs else __doc__)
