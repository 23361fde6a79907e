#!/bin/bash
# Builds the Debian packages (docs/packages.md) into build/package/packages, or into the folder given.
# The same source gives the same bytes, wherever it lies.
# usage: tools/package.sh [--check] [--twice] [--site] [DIR]
#   --check  looks at them with lintian, an error or warning is a failure
#   --twice  builds a second copy of the source in another folder and compares the packages' bytes
#   --site   also the documentation as pages for a browser, into DIR/site
set -euo pipefail
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
check="" twice="" site="" out=""
for word in "$@"; do
  case $word in
    --check) check=1 ;;
    --twice) twice=1 ;;
    --site) site=1 ;;
    -h | --help) sed -n '2,7s/^# //p' "$0"; exit 0 ;;
    -*) echo "tools/package.sh: unknown option '$word'; see --help" >&2; exit 2 ;;
    *) out=$word ;;
  esac
done
out=$(readlink -m "${out:-$root/build/package/packages}")

build() {  # SOURCE OUT
  echo "== building in $1/build/package"
  (cd "$1" && cmake --preset package --log-level=WARNING >/dev/null &&
    cmake --build --preset package --target flexroom flexroom-sandbox flexroom_library flexroom_pages)
  rm -rf "$2" && mkdir -p "$2"
  (cd "$1/build/package" && umask 022 && cpack -B "$2" >"$2/cpack.log" 2>&1) || { cat "$2/cpack.log" >&2; return 1; }
  rm -rf "$2/_CPack_Packages" "$2/cpack.log"
}

"$root/tools/install.sh" build package
build "$root" "$out"
if [ -n "$twice" ]; then
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  mkdir "$copy/another-place"
  (cd "$root" && tar -c --exclude=./build --exclude=./.git .) | tar -x -C "$copy/another-place"
  CCACHE_DISABLE=1 build "$copy/another-place" "$copy/packages"
  (cd "$out" && sha256sum -- *.deb) >"$copy/first"
  (cd "$copy/packages" && sha256sum -- *.deb) >"$copy/second"
  diff "$copy/first" "$copy/second" || { echo "tools/package.sh: two builds gave different packages" >&2; exit 1; }
  echo "== two builds, the same bytes"
fi
if [ -n "$check" ]; then
  command -v lintian >/dev/null || { echo "tools/package.sh: --check needs lintian (apt-get install lintian)" >&2; exit 1; }
  lintian --fail-on error,warning --allow-root "$out"/*.deb
fi
[ -z "$site" ] || /usr/bin/python3 "$root/packaging/site.py" "$root" "$out/site"
(cd "$out" && sha256sum -- *.deb)
