#!/bin/bash
# Installs what building, the demo and the tests need, from Debian 12 packages. Does nothing when
# everything is there. usage: tools/install.sh [build] [demo] [test]
set -euo pipefail

build=(g++ cmake ninja-build pkg-config libssl-dev libsodium-dev libsqlite3-dev libcurl4-openssl-dev
       libcli11-dev nlohmann-json3-dev libtomlplusplus-dev libfmt-dev libhttp-parser-dev
       libgtest-dev libgmock-dev libbenchmark-dev valgrind)
demo=(python3 python3-sklearn python3-boto3 curl openssl)
test=(python3 python3-sklearn python3-boto3 awscli curl openssl nginx-light gnutls-bin nodejs clang
      clang-format sqlite3 faketime)

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
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
