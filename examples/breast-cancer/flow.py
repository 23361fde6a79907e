#!/usr/bin/env python3
"""Runs one of the shipped flows at both hospitals, shows what each step took, beside it what the published prototype
took, and stands in the place of the person whom a step asks.

usage: flow.py FLEXROOM WORK COMMAND [NAME=VALUE ...]   (see demo.sh)
COMMAND: create-account, create-session or run-script-classic, whose job and links are WORK/MEMBER's

A person would look at the picture, and answer the telephone. Here both are read from what the sandbox writes down of its
own doings (WORK/seen): no member reads that file.
"""
import json
import pathlib
import re
import subprocess
import sys
import threading

flexroom, work, flow = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
members = ("hospital-a", "hospital-b")
# Seconds: two machines 6.6 ms apart (Tables 5 and 6 of the paper, "Total time").
PUBLISHED = {
    "create-session": {
        "SendEmail": 132.45,
        "SendCaptcha": 151.36,
        "CheckMFA": 40.35,
        "ConsoleSignin": 775.12,
        "ChallengeOauth": 68.53,
        "ConsoleRedirect1": 289.64,
        "ConsoleRedirect2": 1198.81,
        "CreateAWSCredentials": 67.92,
    },
    "run-script-classic": {
        "CreateIamRole": 23.88,
        "AttachSagePolicy": 20.87,
        "AttachS3Policy": 21.03,
        "CreateS3Bucket": 18.01,
        "GetAmiID": 20.47,
        "CheckKeyPair": 21.50,
        "CreateKeyPair": 20.92,
        "CreateSecurityGroup": 23.19,
        "StartEC2Instance": 237.32,
        "CreateSagemakerJob": 30.62,
    },
}.get(flow, {})
WHOLE = {
    "create-account": "published: about as create-session, 2725 s",
    "create-session": "published: 2725 s",
    "run-script-classic": "published: 439 s",
}
STEP = re.compile(r"(\w+): (.+) \((\d+\.\d) s, (\d+\.\d) MB\)")


def words_of(member):
    """The command as that member gives it."""
    if flow == "run-script-classic":
        return ["run-script", work / member / "job.toml", "--links", work / member / "links.toml", "--classic"]
    return [flow] + (["--i-know"] if flow == "create-account" else [])


def answer(question):
    """What the person reads: off the newest picture, or from the telephone."""
    what = "telephone code" if "TypePhoneCode" in question else "captcha answer"
    seen = [json.loads(line) for line in (work / "seen").read_text().splitlines()]
    return [one["value"] for one in seen if one["what"] == what][-1]


def show(event):
    done = STEP.fullmatch(event.get("text", "")) if event.get("event") == "note" else None
    if done:
        name, what, seconds, megabytes = done.groups()
        beside = f"   published {PUBLISHED[name]:7.1f} s" if name in PUBLISHED else ""
        print(f"  {name:22}{what:10}{seconds:>6} s{megabytes:>8} MB{beside}", flush=True)
    if event.get("event") == "question":
        print(f"  {event['text'].split(':')[0].split('step ')[1]}: the person of hospital-a is asked", flush=True)


def follow(process, lines, shown):
    for line in process.stdout:
        lines.append(line)
        event = json.loads(line)
        if event.get("event") == "question":
            process.stdin.write(answer(event["text"]) + "\n")
            process.stdin.flush()
        if shown:
            show(event)


started = []
for member in members:
    command = [flexroom, "--member", work / member / "member.toml", "--yes", "--json", *words_of(member)]
    for argument in sys.argv[4:]:
        command += ["--arg", argument]
    inputs = work / member / "inputs.json"
    if inputs.exists():
        command += ["--inputs", inputs]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines = []
    thread = threading.Thread(target=follow, args=(process, lines, member == members[0]))
    thread.start()
    started.append((member, process, lines, thread))
for member, process, lines, thread in started:
    thread.join()
    if process.wait() != 0:
        sys.exit(f"{member}: {json.loads(lines[-1]).get('error', lines[-1])}")
ends = [json.loads(lines[-1]) for _, _, lines, _ in started]
opened = [end.get("opened", {}) for end in ends]
if opened[0] != opened[1] or ends[0]["run"] != ends[1]["run"]:
    sys.exit("The two members' answers differ.")
tables = [json.loads(line) for _, _, lines, _ in started for line in lines if '"timeline"' in line]
sent = sum(step["bytes_sent"] for table in tables for step in table["phases"])
print(f"  {'all of it':32}{tables[0]['total_seconds']:6.1f} s{sent / 1e6:8.1f} MB   {WHOLE.get(flow, '')}")
if "instance_id" in ends[0]:
    print(f"  known to all: instance-id = {ends[0]['instance_id']}")
for name, value in opened[0].items():
    if not name.startswith("run/"):
        print(f"  known to all: {name} = {value}")
