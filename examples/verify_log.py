#!/usr/bin/env python3
"""Checks logs of a Flexroom room without Flexroom: python3 verify_log.py LOG.jsonl [LOG.jsonl ...]

LOG.jsonl is what `flexroom log export` printed at one member. Trusted are the statements' bytes alone, read as
docs/log-format.md says. Exit code 0: every chain, signature and configuration is right. Printed are the certificates
to compare with those that the organisations know, and runs that one log holds and another does not. Needs the Python
package `cryptography`, for Ed25519."""
import base64, hashlib, json, struct, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KINDS = {1: "PROPOSE", 2: "INPUT", 3: "APPROVE", 4: "REJECT", 5: "WITHDRAW", 6: "RULE", 7: "RESULT", 8: "READY", 9: "BIND", 10: "LEFT", 11: "VOID", 12: "OLD", 13: "NOTE", 14: "START", 15: "CHANGE"}
OUTCOMES = ["done", "nothing happened", "may have happened", "failed"]
LAYOUTS = {  # NAME:32 raw bytes, NAME:u4 a number, NAME:f a field, NAME:n signatures, NAME:h digests; `...`: others read the rest
    "statement": "room:32 author:16 incarnation:u4 number:u8 previous:32 time:u8 kind:u1 body:f signature:64",
    "configuration": "format:u1 room:32 number:u4 previous:32 name:f profile:f count:u4 ...",
    "member": "id:16 name:f key:32 certificate:32 address:f ...",
    "approval": "digest:32 session:32 proposal:f signatures:n",
    "proposal": "format:u1 text_form:u1 room:32 terms:32 kind:f title:f count:u4 ...",
    "shown": "shape:u1 private:u1 name:f value:f ...",
    "evidence": "salt:16 count:u4 ...",
    "voice": "st:f key:f data:f client:f signature:f",
    "person": "room:32 member:16 name:f role:u1 version:u4 kind:u1 what:32 terms:32 versions:32 window:16 ticket:16",
    "people": "form:u1 room:32 member:16 version:u4 previous:32 reset:u1 not_own:u1 one_key:u1 ...",
    "quorum": "needed:u4 count:u4 ...",
    "holder": "name:f roles:u1 count:u4 ...",
    "key": "kind:u1 rp:f credential:f key:f synced:u1 ...",
    "field": "bytes:f ...",
    "APPROVE": "proposal:32 terms:32 versions:32 window:16 rule:u4 automatic:f evidence:32",
    "RULE": "form:u1 version:u4 digest:32 previous:32 reset:u1 evidence:32",
    "PROPOSE": "format:u1 text_form:u1 room:32 terms:32 kind:f title:f ...",
    "INPUT": "proposal:32 slot:f public:f commitment:32",
    "WITHDRAW": "proposal:32 what:u1",
    "START 2": "form2:u1 configuration:32 proposal:32 index:u4 session:32 count:u4 ...",
    "said": "saying:f signature:64 ...",
    "saying": "configuration:32 place:u1 incarnation:u4 counter:u8 proposal:32 index:u4 try:u4 statements:32 decision:u1 ...",
    "REJECT": "proposal:32 reason:f",
    "RESULT": "form:u1 proposal:32 run:32 outcome:u1 status:u4 text:f place:40 signatures:n",
    "NOTE": "form:u1 proposal:32 text:f other:f",
    "START": "form:u1 configuration:32 approval:f",
    "START 3": "form3:u1 before:f then:f nonces:h approval:f",
    "READY": "attempt:32 metas:32 epoch:32",
    "BIND": "attempt:32", "LEFT": "attempt:32", "VOID": "attempt:32", "OLD": "attempt:32",
    "CHANGE 3": "form3:u1 start:f count:u4 ...",
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
        elif kind in "nh": out[name] = [raw(64 if kind == "n" else 32) for _ in range(number(4))]
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

def need_author(s, key, problem):
    author = {"name": b"its author", "key": key}
    need_signed([author], [s["signature"]], b"flexroom/statement/1", s["signed"], problem)

def read_statement(data):
    s = parse(data, "statement")
    need(s["kind"] in KINDS, "is of an unknown kind")
    kind = KINDS[s["kind"]]
    layout = {("START", b"\2"): "START 2", ("START", b"\3"): "START 3", ("CHANGE", b"\3"): "CHANGE 3"}.get((kind, s["body"][:1]), kind)
    return {**s, "kind": kind, "number of kind": s["kind"], "signed": data[:-64], "says": parse(s["body"], layout)}

def read_configuration(data):  # couriers, providers and quotas follow the members: not needed here
    c = member = parse(data, "configuration")
    need(c["format"] == 2, "is a configuration of another format")
    c["members"] = [member := parse(member["rest"], "member") for _ in range(c["count"])]
    c["content"] = data[69:]  # all but format, room, number and previous
    c["keys"], c["digest"] = {m["id"]: m["key"] for m in c["members"]}, oracle(b"conf", data)
    need(len(c["keys"]) == len(c["members"]), "lists a member twice")
    return c

def who(c): return [(m["id"], m["key"], m["certificate"]) for m in c["members"]]

def need_follows(before, then):  # a change of members: from which configuration to which
    old, new = before["members"], then["members"]
    stay = [m["id"] for m in old if m["id"] in then["keys"]]
    need((then["room"], then["number"], then["previous"]) == (before["room"], before["number"] + 1, before["digest"]),
         "does not follow from the configuration that is in force")
    need((then["name"], then["profile"]) == (before["name"], before["profile"]), "gives the room another name or profile")
    need(then["content"] != before["content"], "changes nothing")
    need(2 <= len(new) <= 16 and stay, "keeps no member, or has fewer than 2 or more than 16")
    need([m["id"] for m in new[:len(stay)]] == stay and len({m["name"] for m in new}) == len(new), "lists the members in another order, or a name twice")
    need(not any(m["id"] != o["id"] and (m["key"] == o["key"] or m["certificate"] == o["certificate"]) for m in new for o in old),
         "gives a member the key of another")

def read_change(data):  # START of a change. The words of its proposal are people's to read: what binds are the two digests in it
    says = parse(data, "START 3")
    need(says["form3"] == 3, "is of another form")
    before, then, a = read_configuration(says["before"]), read_configuration(says["then"]), parse(says["approval"], "approval")
    need_follows(before, then)
    newest = {m["id"]: m for m in then["members"]}
    everybody = [newest.get(m["id"], m) for m in before["members"]] + [m for m in then["members"] if m["id"] not in before["keys"]]
    need(len(says["nonces"]) == len(everybody), "lacks the nonce of a member")
    need(oracle(b"proposal", a["proposal"]) == a["digest"], "holds another proposal than was signed")
    p = parse(a["proposal"], "proposal")
    shown = [(f["name"], f["shape"], f["private"], f["value"]) for f in listed(p, "shown")]
    need((p["kind"], p["room"]) == (b"change", before["room"]) and not p["rest"] and
         all([f[1:] for f in shown if f[0] == name] == [(1, 0, c["digest"])] for name, c in ((b"digest now", before), (b"digest then", then))),
         "approves something else than this change")
    need_signed(everybody, a["signatures"], b"flexroom/proposal/1", a["session"] + a["digest"], "is a change not approved by")
    return dict(before=before, then=then, all={m["id"]: m for m in everybody}, said=set(), session=a["session"], digest=a["digest"],
                id=oracle(b"attempt", a["digest"], *says["nonces"]))

def need_decided(a, says):  # READY of all of then, the same; BIND of all who stay
    said, ready = [], set()
    for piece in listed(says, "field"):
        o = read_statement(piece["bytes"])
        need(o["room"] == a["then"]["room"] and o["kind"] in ("READY", "BIND", "LEFT"), "holds a statement that shows nothing")
        need_author(o, a["all"].get(o["author"], {}).get("key"), "holds a statement that is not signed by")
        need(not said or said[-1] < (o["author"], o["number of kind"]), "holds its statements unsorted or twice")
        need(o["says"]["attempt"] == a["id"], "holds a statement of another attempt")
        said.append((o["author"], o["number of kind"]))
        ready |= {o["body"]} if o["kind"] == "READY" else set()
    need(not says["rest"], "has bytes behind its end")
    need(len(ready) < 2, "holds different READY of one attempt")
    for m in a["then"]["members"]:
        need((m["id"], 8) in said, "lacks READY of " + text(m["name"]))
        need(m["id"] not in a["before"]["keys"] or (m["id"], 9) in said, "lacks BIND of " + text(m["name"]))

def begin_change(s, log):
    a = read_change(s["body"])
    need(a["before"]["room"] == s["room"], "changes another room")
    need(not log["conf"] or a["before"]["digest"] == log["conf"]["digest"], "changes another configuration than the one in force")
    start_once(a["session"], a["digest"], log)
    log["attempt"] = a
    return "all approved the change to configuration %d" % a["then"]["number"]

def said_of_change(s, log):  # VOID and OLD also of a change that this member did not come to
    a, kind = log["attempt"], s["kind"]
    known = a is not None and a["id"] == s["says"]["attempt"]
    need(known or kind in ("VOID", "OLD"), "is about a change that is not approved before it")
    if not known: return "%s: a change that this member was not in" % kind
    a["said"].add(kind)
    need(not {"BIND", "VOID"} <= a["said"], "signs BIND and VOID about one change: this member stopped the room")
    if kind == "OLD" and log["conf"]: log["attempt"] = None
    return "%s: the change to configuration %d" % (kind, a["then"]["number"])

def change(s, says, log):
    before, through_switch = log["newest"], "form3" in says
    if through_switch:
        a = read_change(says["start"])
        need_decided(a, says)
        c = a["then"]
    else:
        c = read_configuration(says["configuration"])
        need_signed(c["members"], says["signatures"], b"flexroom/configuration/1", c["digest"], "is a configuration not signed by")
        need(not log["switched"] or who(c) == who(before), "changes members without READY and BIND of all")
    need(c["room"] == s["room"], "is a configuration of another room")
    if not before or c["digest"] != before["digest"]:
        step = c["number"] - before["number"] if before else 2
        need(step > 1 or step == 1 and c["previous"] == before["digest"], "does not follow")
        if before and not set(c["keys"].items()) & set(before["keys"].items()):
            print("  NOTE: no key of the configuration before signed this one")
        for m in c["members"]: print("  member %-20s certificate %s" % (text(m["name"]), m["certificate"].hex()))
    log["conf"], log["newest"], log["attempt"], log["switched"] = c, c, None, log["switched"] or through_switch
    return "configuration %d" % c["number"]

def need_approved(proposal, log):  # what this member said last about it
    need(log["approved"].get(proposal), "begins what this member had not approved, or took back")

def start_once(session, signed, log):
    need((session, signed) not in log["starts"], "stands twice")
    log["starts"].add((session, signed))
    log["runs"].add(session)

def start(says, log):
    need(says["configuration"] == log["conf"]["digest"], "was approved under another configuration")
    a = parse(says["approval"], "approval")
    need(oracle(b"proposal", a["proposal"]) == a["digest"], "holds another proposal than was signed")
    need_signed(log["conf"]["members"], a["signatures"], b"flexroom/proposal/1", a["session"] + a["digest"],
                "is not approved by")
    if log["rule"]: need_approved(a["digest"], log)
    start_once(a["session"], a["digest"], log)
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
    said_by_all = oracle(b"start", *sayings)
    need_signed(log["conf"]["members"], signatures, b"flexroom/proposal/1", says["session"] + said_by_all, "is not signed by")
    need_approved(says["proposal"], log)
    start_once(says["session"], said_by_all, log)
    return "started run %d of proposal %s" % (says["index"], says["proposal"].hex()[:16])

def about_proposal(s, says, log):
    if s["kind"] in ("WITHDRAW", "REJECT"): log["approved"][says["proposal"]] = False
    if s["kind"] == "REJECT": return "this member said no"
    about = oracle(b"proposal", s["body"]) if s["kind"] == "PROPOSE" else says.get("proposal", bytes(32))
    return "%s, proposal %s" % (s["kind"], about.hex()[:16])

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
        need_author(o, log["conf"]["keys"].get(o["author"]), "holds a refusal that proves nothing: not signed by")
    return "note: " + text(says["text"])

def listed(holder, what):  # `count` pieces that follow it; its rest is then what is behind them
    out = []
    for _ in range(holder["count"]):
        out.append(parse(holder["rest"], what))
        holder["rest"] = out[-1]["rest"]
    return out

def read_people(data):  # a RULE document: quorums by role, keys by id
    p = parse(data, "people")
    rest, p["quorums"], p["keys"] = p["rest"], {}, {}
    for role in (2, 3):
        q = parse(rest, "quorum")
        p["quorums"][role] = q["needed"], [f["bytes"] for f in listed(q, "field")]
        rest = q["rest"]
    rest = dict(count=int.from_bytes(rest[:4], "big"), rest=rest[4:])
    for _ in range(rest["count"]):
        holder = parse(rest["rest"], "holder")
        for k in listed(holder, "key"):
            p["keys"][k["credential"] if k["kind"] else k["key"]] = holder["name"], holder["roles"], k
        rest["rest"] = holder["rest"]
    return {**p, "digest": oracle(b"rule", data)}

def need_voice(k, v):  # a key file, or a security key that was touched, with its PIN, for its site
    challenge = oracle(b"flexroom/person/1", v["st"])
    try:
        if k["kind"] == 0:
            return Ed25519PublicKey.from_public_bytes(k["key"]).verify(
                v["signature"], packed(b"flexroom", b"flexroom/person/1", challenge))
        signed = v["data"] + hashlib.sha256(v["client"]).digest()
        if k["kind"] == 1:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), k["key"]).verify(
                v["signature"], signed, ec.ECDSA(hashes.SHA256()))
        else: Ed25519PublicKey.from_public_bytes(k["key"]).verify(v["signature"], signed)
    except InvalidSignature: raise ValueError("has a wrong signature of a person")
    client = json.loads(v["client"])
    need(client["type"] == "webauthn.get" and not client.get("crossOrigin") and "topOrigin" not in client and
         client["challenge"] == base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(), "has a signature of a person for other words")
    need(v["data"][:32] == hashlib.sha256(k["rp"]).digest() and v["data"][32] & 5 == 5, "has a signature of a person without touch and PIN")

def people(rule, role, kind, says, data, wanted, since=0):  # opened evidence: who signed, under which rule, exactly this
    need(oracle(b"evidence", data) == says["evidence"], "shows other evidence than it committed to")
    e, who = parse(data, "evidence"), []
    for piece in listed(e, "field"):
        v = parse(piece["bytes"], "voice")
        st, (name, roles, key) = parse(v["st"], "person"), rule["keys"].get(v["key"], (b"", 0, {}))
        needed, of = rule["quorums"][role]
        need((st["room"], st["member"], st["name"], st["role"], st["kind"]) == (rule["room"], rule["member"], name, role, kind) and
             name in of and roles >> role & 1 and since <= st["version"] <= rule["version"] and
             all(st[k] == w for k, w in wanted.items()), "has a signature of a person who may not, or for something else")
        need_voice(key, v)
        who += [name] if name not in who else []
    need(not e["rest"] and len(who) >= needed, "has too few signatures of people")
    return ", signed by " + ", ".join(text(n) for n in who)

def approve(s, says, log, opened):
    need(says["rule"] == (log["rule"]["version"] if log["rule"] else 0), "approves under a rule that was not the newest")
    need(not log["rule"] or says["automatic"] or says["evidence"] != bytes(32), "approves without its people, who have a rule")
    log["approved"][says["proposal"]] = True
    said = "this member approved %s" % says["proposal"].hex()[:16]
    if "evidence" not in opened: return said
    return said + people(log["people"][says["rule"]], 2, 3, says, opened["evidence"],
                         {"what": says["proposal"], **{k: says[k] for k in ("terms", "versions", "window")}}, log["reset"])

def rule(s, says, log, opened):
    before, log["rule"] = log["rule"], says
    follows = (says["version"], says["previous"]) == ((before["version"] + 1, before["digest"]) if before else (1, bytes(32)))
    need(follows or s["incarnation"] > log["lost"] and (not before or says["version"] > before["version"]),
         "is a rule that does not follow from the one before")
    log["lost"] = s["incarnation"]
    if says["reset"]: log["reset"] = says["version"]  # voices of before count no more
    said = "rule version %d of this member's people%s" % (says["version"], ", RESET" * says["reset"])
    if "rule" not in opened: return said
    p = log["people"][says["version"]] = read_people(opened["rule"])
    need(p["digest"] == says["digest"], "shows another rule than it is about")
    if says["version"] == 1 or says["reset"]: return said + ", by its machine's administrator"
    return said + people(log["people"][says["version"] - 1], 3, 6, says, opened.get("evidence", b""),
                         {"what": says["digest"], "version": says["version"] - 1})

def check(s, last, log, opened):
    need(not last or (s["room"], s["author"]) == (last["room"], last["author"]), "is of another log")
    if not last or s["incarnation"] > last["incarnation"]:
        need(s["number"] == 1 and s["previous"] == bytes(32), "is not the first of its chain")
        log["conf"], log["attempt"], log["approved"] = None, None, {}
    else:
        need((s["incarnation"], s["number"]) == (last["incarnation"], last["number"] + 1) and
             s["previous"] == oracle(b"statement", last["signed"]), "does not follow from the one before")
    said = change(s, s["says"], log) if s["kind"] == "CHANGE" else ""
    begins = s["kind"] == "START" and "form3" in s["says"]
    if begins: said = begin_change(s, log)  # who joins has no configuration yet
    a, conf, own = log["attempt"], log["conf"], s["author"]
    by_all = s["kind"] == "START" and not begins or s["says"].get("signatures") or s["says"].get("other")
    need(conf or a and not by_all, "has no configuration before it")
    keys = [c["keys"][own] for c in ((a["then"], a["before"]) if a else ()) + (conf,) if c and own in c["keys"]]
    need_author(s, keys[0] if keys else None, "is not signed by")  # about a change with the key of then
    if s["kind"] in ("READY", "BIND", "LEFT", "VOID", "OLD"): return said_of_change(s, log)
    if s["kind"] == "START": return said if begins else (joint_start if "form2" in s["says"] else start)(s["says"], log)
    if s["kind"] in ("APPROVE", "RULE"): return {"APPROVE": approve, "RULE": rule}[s["kind"]](s, s["says"], log, opened)
    if s["kind"] in ("PROPOSE", "INPUT", "WITHDRAW", "REJECT"): return about_proposal(s, s["says"], log)
    return {"RESULT": result, "NOTE": note}.get(s["kind"], lambda *_: said)(s, s["says"], log)

def verify(path):
    log, last = dict(conf=None, newest=None, runs=set(), places=set(), rule=None, people={}, lost=1,
                     attempt=None, switched=False, starts=set(), approved={}, reset=0), None
    print(path)
    for index, line in enumerate(open(path, encoding="utf-8"), 1):
        try:
            keys = json.loads(line)
            opened = {k: base64.b64decode(keys[k], validate=True) for k in ("statement", "evidence", "rule") if k in keys}
            s = read_statement(opened["statement"])
            print("%5d  %s  %s" % (index, s["time"], check(s, last, log, opened)))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            sys.exit("WRONG: %s: entry %d %s" % (path, index, error))
        last = s
    return log["runs"] if last else sys.exit("WRONG: %s: is empty" % path)

runs = {path: verify(path) for path in sys.argv[1:]}
for one, other in ((one, other) for one in runs for other in runs):
    for session in runs[other] - runs[one]:
        print("NOTE: run %s is in %s and not in %s" % (session.hex()[:16], other, one))
print("all chains and signatures are right" if runs else __doc__)
