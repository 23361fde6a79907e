#!/bin/sh
# Runs BoringSSL's runner against the shim and judges what comes of it by tests.tsv.
# usage: BORINGSSL_SRC=checkout [GO=go] tests/bogo/run.sh SHIM
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
run() {  # variant suite
  (cd "$work/$1/ssl/test/runner" && ../../../runner -shim-path "$shim" -shim-config "$here/config.json" \
    -shim-extra-flags "-suite;$2" -pipe -allow-unimplemented -include-disabled -num-workers 2 \
    -test "$(names "$1")" > "$work/$1-$2.log" 2>&1 || true)
}
build whole
build P-256
# One suite is offered a connection; which one a test is about, only the runner knows.
for suite in aes128 aes256 chacha20; do run whole "$suite"; done
run P-256 aes128
python3 "$here/judge.py" "$here/tests.tsv" "$work"/*.log
