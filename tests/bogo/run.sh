#!/bin/sh
# Runs BoringSSL's runner against the shim and judges what comes of it by tests.tsv.
# usage: BORINGSSL_SRC=checkout [GO=go] [SHIM_MPC=1] tests/bogo/run.sh SHIM     SHIM_MPC: mode B as well
set -eu
shim=$(readlink -f "$1")
here=$(readlink -f "$(dirname "$0")")
go=${GO:-go}
if [ -z "${BORINGSSL_SRC:-}" ] || ! command -v "$go" > /dev/null; then
  echo "BoGo did not run: it needs BORINGSSL_SRC, a checkout of BoringSSL, and a Go that builds its runner (tests/bogo/README.md)"
  exit 0
fi
source=$(readlink -f "$BORINGSSL_SRC")

# The lists hold for one state of the runner. README.md names its commit and, of its sources, this:
pinned=$(sed -n 's/^    sha256 \([0-9a-f]*\)$/\1/p' "$here/README.md")
found=$(cd "$source/ssl/test/runner" && cat ./*.go | sha256sum | cut -d' ' -f1)
if [ "$pinned" != "$found" ]; then
  echo "$source is not at the commit that tests/bogo/README.md names: its runner differs" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build() {  # of a copy with P-256 in place of P-384 where $1 says so
  mkdir -p "$work/$1/ssl/test" "$work/$1/util"
  cp "$source"/go.* "$work/$1"
  cp -r "$source/ssl/test/runner" "$work/$1/ssl/test"
  cp -r "$source/util/testresult" "$work/$1/util"
  if [ "$1" = P-256 ]; then
    for part in basic tls13 extra_handshake end_of_flight ech; do
      sed -i 's/CurveP384/CurveP256/g' "$work/$1/ssl/test/runner/${part}_tests.go"
    done
  fi
  (cd "$work/$1" && "$go" test -c -o runner ./ssl/test/runner)
}
names() { awk -F'\t' -v variant="$1" '/^#/ { next } (index($2, " P-256") > 0) == (variant == "P-256") { printf "%s%s", n++ ? ";" : "", $1 }' "$here/tests.tsv"; }
run() {  # variant suite tests log
  (cd "$work/$1/ssl/test/runner" && ../../../runner -shim-path "$shim" -shim-config "$here/config.json" \
    -shim-extra-flags "-suite;$2" -pipe -allow-unimplemented -include-disabled -num-workers 2 -idle-timeout 60s \
    -test "$3" > "$4" 2>&1 || true)
}
build whole
build P-256
members=${SHIM_MPC:-}
unset SHIM_MPC
# One suite is offered a connection; which one a test is about, only the runner knows.
for suite in aes128 aes256 chacha20; do run whole "$suite" "$(names whole)" "$work/A-$suite"; done
run P-256 aes128 "$(names P-256)" "$work/A-P-256"
set -- "$here/tests.tsv" "$work/A-aes128" "$work/A-aes256" "$work/A-chacha20" "$work/A-P-256"
python3 "$here/judge.py" "$@"
[ -n "$members" ] || exit 0

export SHIM_MPC=1
of() { python3 "$here/judge.py" --of "$work/A-$1" "$here/tests.tsv" "$work/A-aes128" "$work/A-aes256" "$work/A-chacha20" "$work/A-P-256"; }
for suite in aes128 aes256 chacha20; do run whole "$suite" "$(of "$suite")" "$work/B-$suite"; done
run P-256 aes128 "$(of P-256)" "$work/B-P-256"
python3 "$here/judge.py" --members "$here/tests.tsv" "$work"/B-*
