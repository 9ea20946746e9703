#!/bin/sh
# Builds the node image of one family, under a tag that the caller derived from everything that goes into it.
#
#   build.sh FAMILY TAG CACHE_DIR [BASE]      (DOCKER_HOST says which daemon; see ../docker.ts)
#
# The base is BASE where the caller has built one, else FLEET_TEST_BASE_IMAGE if set, else debian:12-slim if the daemon has it or a registry serves it, else a
# debootstrap-ed root filesystem, of which a tar stays in CACHE_DIR so that a new daemon needs neither.
set -eu

family=$1
tag=$2
cache=$3
here=$(cd "$(dirname "$0")" && pwd)
slim=debian:12-slim
imported=fleet-test-base:bookworm
rootfs=$cache/debian-bookworm-$(uname -m).tar.gz

say() { printf 'image: %s\n' "$*" >&2; }
has() { docker image inspect "$1" >/dev/null 2>&1; }

mkdir -p "$cache"
exec 9>"$cache/image.lock"
flock -w 900 9 || {
  say "another process has held $cache/image.lock for 15 minutes"
  exit 1
}
# Another process may have built it while this one waited.
if has "$tag"; then exit 0; fi

base=${4:-${FLEET_TEST_BASE_IMAGE:-}}
if [ -z "$base" ]; then
  if has "$imported"; then
    base=$imported
  elif has "$slim"; then
    base=$slim
  elif [ ! -s "$rootfs" ] && timeout 120 docker pull -q "$slim" >/dev/null 2>&1; then
    base=$slim
  else
    if [ ! -s "$rootfs" ]; then sh "$here/base-rootfs.sh" "$rootfs" 9>&-; fi
    docker import "$rootfs" "$imported" >/dev/null
    base=$imported
  fi
fi

say "building $tag from $base (packages from Debian); at most a minute, once"
log=$cache/image-build.log
# The host's network: its resolver and its way to the mirror are known to work, those of a build container are not.
docker build --network host --build-arg "BASE=$base" -t "$tag" -f "$here/$family/Dockerfile" "$here" >"$log" 2>&1 9>&- || {
  tail -n 40 "$log" >&2
  say "the build failed; all of its output: $log"
  exit 1
}
