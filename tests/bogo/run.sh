#!/bin/sh
# Runs BoringSSL's runner against the shim. usage: BORINGSSL_SRC=checkout tests/bogo/run.sh SHIM [arguments for the runner]
set -eu
shim=$(readlink -f "$1")
shift
config=$(readlink -f "$(dirname "$0")/config.json")
if [ -z "${BORINGSSL_SRC:-}" ] || ! command -v go > /dev/null; then
  echo "BoGo did not run: it needs BORINGSSL_SRC, a checkout of BoringSSL, and a Go that builds its runner"
  exit 0
fi
cd "$BORINGSSL_SRC/ssl/test/runner"
exec go test -shim-path "$shim" -shim-config "$config" -pipe -allow-unimplemented -num-workers 2 "$@"
