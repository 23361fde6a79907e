#!/bin/bash
# usage: demo.sh FLEXROOM_BINARY WORK_DIRECTORY   (called by ./demo)
# FLEXROOM_DEMO_SHORT=1: somebody else made the account and splits its key (tests of what is around it).
set -euo pipefail
flexroom=$1
work=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=/usr/bin/python3
members=(hospital-a hospital-b)

rm -rf "$work"
mkdir -p "$work"
cleanup() {
  jobs -p | xargs -r kill 2>/dev/null || true
  wait 2>/dev/null || true
}
trap cleanup EXIT

both() {  # runs the same command at both members, shows the first one's output
  local log_b="$work/hospital-b.log"
  "$flexroom" --member "$work/hospital-b/member.toml" "${@//%/hospital-b}" >"$log_b" 2>&1 &
  local b=$!
  local status=0
  "$flexroom" --member "$work/hospital-a/member.toml" "${@//%/hospital-a}" || status=$?
  wait "$b" || { status=$?; echo "hospital-b:"; cat "$log_b"; }
  return "$status"
}

echo "== the sandbox cloud starts (stock OpenSSL, its own CA)"
"$flexroom" sandbox --dir "$work/cloud" --record "$work/seen" >"$work/sandbox.log" 2>&1 &
cloud=$!
while [ ! -s "$work/cloud/endpoints.json" ]; do
  kill -0 "$cloud" 2>/dev/null || { echo "the sandbox did not start:"; cat "$work/sandbox.log"; exit 1; }
  sleep 0.1
done
port=$($python -c "import json; print(json.load(open('$work/cloud/endpoints.json'))['port'])")

echo "== two hospitals make their identities and exchange fingerprints"
$python "$here/split.py" "$work"
{
  printf '[room]\nname = "breast-study"\ncourier = "hospital-b"\ntriples = "masked"\n\n'
  read -r -a ports < <($python -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in held))')
  for i in 0 1; do
    name=${members[i]}
    "$flexroom" --json init --identity "$name" --dir "$work/$name" --address "127.0.0.1:${ports[i]}" |
      $python -c 'import json,sys; r=json.load(sys.stdin); print("[[member]]"); [print(f"{k} = \"{r[k]}\"") for k in ("name","address","certificate")]; print()'
  done
  printf '[provider.sandbox]\nhosts = ["*.amazonaws.com", "*.flexroom.example"]\nca_file = "%s"\nconnect_to = ["*:443=127.0.0.1:%s"]\n' "$work/cloud/ca.pem" "$port"
} >"$work/room.toml"
cp "$work/room.toml" "$work/hospital-a/room.toml"
cp "$work/room.toml" "$work/hospital-b/room.toml"
short=${FLEXROOM_DEMO_SHORT:-}
echo "== each puts its half of the data into its own object store"
$python "$here/setup.py" "$work" ${short:+named}

echo "== flexroom init"
both init

flow() {  # a command or shipped flow file at both members, each step's time and bytes
  "$python" "$here/flow.py" "$flexroom" "$work" "$@"
}
if [ -z "$short" ]; then
  echo "== flexroom create-account: a name, a mailbox, passwords and an account that nobody ever knows"
  flow create-account person=hospital-a phone=hospital-a payer=hospital-b postal=hospital-b claimant=hospital-b
  rm -f "$work"/hospital-?/inputs.json
  echo "== flexroom create-session: they sign in, and keep the account's API key without seeing it"
  flow create-session person=hospital-a
  echo "== flexroom run-script job.toml --classic: ten calls signed with that key, the tenth a training job beside it"
  flow run-script-classic "training-image=none.s3.us-east-1.amazonaws.com/such.sh"
  echo "== flexroom run-script job.toml: one call in place of the ten; it names no key, they have the one"
else
  echo "== flexroom secret import: the joint account's key, which its issuer split and forgot"
  both --yes secret import "$work/%/joint-share.json"
  rm -f "$work"/hospital-?/joint-share.json
  echo "== flexroom run-script job.toml"
fi
both --yes run-script "$work/%/job.toml" --links "$work/%/links.toml"
awk '$1 == "total" { printf "  the call of the two took %.1f s   published, with ten calls: 439 s\n", $2; exit }' "$work/hospital-b.log"
echo
echo "== the other member, hospital-b, sees the same result"
sed -n '/^The result of/,$p' "$work/hospital-b.log"
echo "== flexroom runs"
"$flexroom" --member "$work/hospital-a/member.toml" runs
echo "== flexroom log --verify"
"$flexroom" --member "$work/hospital-a/member.toml" log --verify
$python - "$work"/hospital-?/state/runs/*/*/result.json <<'P'
import json, sys
results = [json.load(open(file)) for file in sys.argv[1:]]
r = results[0]
if len(results) % 2 or any(one != r for one in results):
    sys.exit("The members' results differ.")
print(f"\nModel on the pooled data: {100 * r['accuracy_pooled']:.1f} % right on {r['held_out_rows']} held-out patients.")
for name, alone in zip(["hospital-a", "hospital-b"], r["accuracy_alone"]):
    print(f"{name} alone would have reached {100 * alone:.1f} %.")
print("Neither hospital saw the other's rows, its links, or the account's key.")
P
[ -n "$short" ] || "$python" "$here/search.py" "$work"
