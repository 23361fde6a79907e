#!/bin/bash
# Configures build/release and builds it, or the given targets there. usage: tools/build.sh [TARGET...]
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

# A build directory that was copied or moved still names its old place: start afresh then.
cache=build/release/CMakeCache.txt
if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$cache"; then
  rm -rf build/release
fi
cmake --preset release --log-level=WARNING

# At a terminal one line that counts, in a log nothing but errors.
quiet=(--quiet)
if [ -t 1 ]; then quiet=(); fi
exec ninja -C build/release -j "$(nproc)" "${quiet[@]}" "$@"
