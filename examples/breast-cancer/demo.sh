#!/bin/bash
# usage: demo.sh FLEXROOM_BINARY WORK_DIRECTORY   (called by ./demo)
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
"$flexroom" sandbox --dir "$work/cloud" >"$work/sandbox.log" 2>&1 &
for _ in $(seq 100); do [ -s "$work/cloud/endpoints.json" ] && break; sleep 0.1; done
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
echo "== each puts its half of the data into its own object store; the issuer splits the joint key"
$python "$here/setup.py" "$work"

echo "== flexroom init"
both init
echo "== flexroom secret import: the joint account's key, known to nobody"
both --yes secret import "$work/%/joint-share.json"
rm -f "$work"/hospital-?/joint-share.json
echo "== flexroom run-script job.toml"
both --yes run-script "$work/%/job.toml" --links "$work/%/links.toml"
echo
echo "== the other member, hospital-b, sees the same result"
sed -n '/^The result of/,$p' "$work/hospital-b.log"
echo "== flexroom runs"
"$flexroom" --member "$work/hospital-a/member.toml" runs
echo "== flexroom log --verify"
"$flexroom" --member "$work/hospital-a/member.toml" log --verify
$python - "$work"/hospital-?/state/runs/*/*/result*.json <<'P'
import json, sys
r, other = (json.load(open(file)) for file in sys.argv[1:])
if r != other:
    sys.exit("The two members' results differ.")
print(f"\nModel on the pooled data: {100 * r['accuracy_pooled']:.1f} % right on {r['held_out_rows']} held-out patients.")
for name, alone in zip(["hospital-a", "hospital-b"], r["accuracy_alone"]):
    print(f"{name} alone would have reached {100 * alone:.1f} %.")
print("Neither hospital saw the other's rows, its links, or the account's key.")
P
