#!/bin/bash
# A container image of the Debian packages: OUT gets Containerfile and root.tar, a minimal Debian 12 in which apt
# installed them. Looks whether the programs run in it; where buildah or podman is there, builds the image `flexroom`.
# The mirror is this machine's, or what FLEXROOM_MIRROR says (a line of sources.list). Needs root and mmdebstrap.
# usage: packaging/image.sh PACKAGES_DIR OUT
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
[ $# -eq 2 ] || { sed -n '2,5s/^# //p' "$0"; exit 2; }
packages=$(readlink -e "$1")
out=$(readlink -m "$2")
command -v mmdebstrap >/dev/null || { echo "packaging/image.sh: needs mmdebstrap (apt-get install mmdebstrap)" >&2; exit 1; }
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "$packages"/flexroom_*.deb "$work/flexroom.deb"
cp "$packages"/flexroom-sandbox_*.deb "$work/flexroom-sandbox.deb"

# Nothing in it is younger than the packages: the same packages of Debian give the same bytes.
SOURCE_DATE_EPOCH=$(date -u -d "$(sed -n 's/^ -- .*>  //p' "$here/changelog" | head -1)" +%s)
export SOURCE_DATE_EPOCH
{ [ -z "${FLEXROOM_MIRROR:-}" ] || echo "$FLEXROOM_MIRROR"; } >"$work/sources"
if [ ! -s "$work/sources" ]; then
  # Files of the newer form are parted by an empty line.
  for file in /etc/apt/sources.list.d/*.sources; do [ ! -e "$file" ] || { cat "$file"; echo; }; done >"$work/sources"
  [ -s "$work/sources" ] || cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list >"$work/sources" 2>/dev/null || true
fi
mmdebstrap --quiet --variant=minbase --include=ca-certificates \
  --aptopt='Apt::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="mkdir \"\$1/packages\" && cp $work/*.deb \"\$1/packages\"" \
  --customize-hook='chroot "$1" apt-get install -y -qq --no-install-recommends /packages/flexroom.deb /packages/flexroom-sandbox.deb' \
  --customize-hook='rm -r "$1/packages" && mkdir "$1/room"' \
  --customize-hook='rm -f "$1"/var/log/*.log "$1"/var/log/apt/* "$1"/var/cache/ldconfig/aux-cache' \
  bookworm "$out/root.tar" - <"$work/sources" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
cp "$here/Containerfile" "$out/Containerfile"

mkdir "$work/root"
tar -x -C "$work/root" --exclude=./dev/\* -f "$out/root.tar"
echo "== in the image"
# A program finds what lies beside it by /proc.
unshare --mount --propagation private sh -e -c '
  mount -t proc proc "$1/proc"
  for command in "flexroom --version" "flexroom recipe check /usr/share/flexroom/flows/create-account.toml" \
      "flexroom sandbox --help"; do
    chroot "$1" /bin/sh -c "$command"
  done' sh "$work/root"
for tool in buildah podman; do
  if command -v $tool >/dev/null; then
    $tool build -t flexroom "$out"
    exit
  fi
done
echo "== neither buildah nor podman is here: $out is what either builds (podman build -t flexroom $out)"
