#!/bin/sh
# Writes a minimal Debian 12 root filesystem as OUT.tar.gz: what `FROM debian:12-slim` would be, for machines that
# reach no registry. The packages come from the mirror that this machine's apt is set up with.
#
#   base-rootfs.sh OUT.tar.gz       (as root; FLEET_TEST_DEBIAN_MIRROR=URL overrides the mirror)
set -eu

out=$1
suite=bookworm

say() { printf 'image: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "debootstrap needs root (or a registry that serves debian:12-slim)"
command -v apt-get >/dev/null 2>&1 || die "no registry answers and this machine has no apt-get: name a base image in FLEET_TEST_BASE_IMAGE"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/fleet-rootfs.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

here=$(cd "$(dirname "$0")" && pwd)
command -v debootstrap >/dev/null 2>&1 || sh "$here/../install-packages.sh" 'no registry answers, so the base image is made here' debootstrap

# apt itself says which of its sources is Debian's main archive, whatever form the source files have.
main_archive() {
  apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
    sed -n 's/ main$//p' | head -n 1
}

mirror=${FLEET_TEST_DEBIAN_MIRROR:-}
[ -n "$mirror" ] || mirror=$(main_archive)
# Lists that were never fetched name no archive.
if [ -z "$mirror" ]; then
  apt-get update -q >/dev/null
  mirror=$(main_archive)
fi
[ -n "$mirror" ] || die "apt has no Debian source here (apt-get update?): set FLEET_TEST_DEBIAN_MIRROR=URL"

# A proxy that apt uses is needed by debootstrap's wget too.
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "${proxy:-}" ] || export http_proxy="$proxy"

say "debootstrap of Debian 12 (minbase) from $mirror; about half a minute, once"
debootstrap --variant=minbase "$suite" "$work/root" "$mirror" >"$work/log" 2>&1 || {
  tail -n 20 "$work/log" >&2
  die "debootstrap failed"
}

# What debian:12-slim leaves out.
rm -rf "$work"/root/usr/share/doc/* "$work"/root/usr/share/man/* "$work"/root/usr/share/info/* "$work"/root/usr/share/locale/* \
  "$work"/root/var/cache/apt/*.bin "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/* "$work"/root/var/log/*.log
: >"$work/root/etc/machine-id"

mkdir -p "$(dirname "$out")"
tar -C "$work/root" --numeric-owner --sort=name -c . | gzip -1 >"$out.part"
mv "$out.part" "$out"
