#!/bin/bash
# Installs what building, the demo and the tests need, from Debian 12 packages. Does nothing when
# everything is there. usage: tools/install.sh [build] [demo] [test]
set -euo pipefail

build=(g++ cmake ninja-build pkg-config libssl-dev libsodium-dev libsqlite3-dev libcurl4-openssl-dev
       libcli11-dev nlohmann-json3-dev libtomlplusplus-dev libfmt-dev libhttp-parser-dev
       libgtest-dev libgmock-dev libbenchmark-dev valgrind)
demo=(python3 python3-sklearn python3-boto3 curl openssl)
test=(python3 python3-sklearn python3-boto3 awscli curl openssl nginx-light gnutls-bin nodejs clang
      clang-format sqlite3 faketime apache2-bin lighttpd lighttpd-mod-openssl haproxy stunnel4 hitch h2o
      libnss3-tools caddy)

wanted=()
for set in "${@:-build}"; do
  case $set in
    build) wanted+=("${build[@]}") ;;
    demo) wanted+=("${demo[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    *) echo "tools/install.sh: unknown set '$set' (build, demo, test)" >&2; exit 2 ;;
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
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

echo "installing: ${missing[*]}"
sudo=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "tools/install.sh: needs root or sudo to install: ${missing[*]}" >&2
    exit 1
  }
  sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
# The tests start the servers themselves, on ports of their own: none becomes a service of this machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
  $sudo chmod 755 $policy
  trap '$sudo rm -f $policy' EXIT
fi
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
for package in "${missing[@]}"; do
  case $package in
    lighttpd|haproxy|stunnel4|hitch|h2o|caddy)
      if command -v systemctl >/dev/null; then $sudo systemctl disable -q "$package" 2>/dev/null || true; fi ;;
  esac
done
