#!/bin/bash
# Configures build/release and builds it, or the given targets there. usage: tools/build.sh [TARGET...]
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

# A build directory that was copied or moved still names its old place: start afresh then.
cache=build/release/CMakeCache.txt
if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$cache"; then
  rm -rf build/release
fi
# A directory that is made here compiles several files at once (cmake/unity.cmake): a whole build is
# what it is for. Whoever made it with the preset keeps one file a compilation.
unity=()
[ -f "$cache" ] || unity=(-DFLEXROOM_UNITY=ON)
cmake --preset release "${unity[@]}" --log-level=WARNING >/dev/null

# At a terminal one line that counts; in a log a line every tenth, and what went wrong.
if [ -t 1 ]; then
  exec ninja -C build/release -j "$(nproc)" "$@"
fi
NINJA_STATUS='%%%p ' ninja -C build/release -j "$(nproc)" "$@" | awk '
  /^% *[0-9]+% / { percent = substr($0, 2) + 0
                   if (percent >= next_shown) { print "  built " percent " %"; fflush(); next_shown = 10 * int(percent / 10) + 10 }
                   next }
  /^ninja: (Entering directory|no work to do)/ { next }
  { print }'
