#!/bin/sh
# Installs Debian packages, and says so: `install-packages.sh WHY PACKAGE…`. As root. One process at a time; an apt that somebody
# else is running is waited for.
set -eu
why=$1
shift

say() { printf 'packages: %s\n' "$*" >&2; }

if ! command -v apt-get >/dev/null 2>&1; then
  say "$why: needs $* here, and this machine has no apt-get to install it"
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  say "$why: needs $*; as root this would install it: apt-get install --no-install-recommends $*"
  exit 1
fi

log=$(mktemp "${TMPDIR:-/tmp}/fleet-apt.XXXXXX")
trap 'rm -f "$log"' EXIT
say "$why: installing $* from Debian (apt-get)"
mkdir -p /run/lock
{
  flock -w 900 9
  # Lists that are there may be enough; lists that are missing or outdated show in the first attempt failing.
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$@" ||
    {
      apt-get -o DPkg::Lock::Timeout=300 update -q
      DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$@"
    }
} >"$log" 2>&1 9>/run/lock/fleet-test-apt.lock || {
  tail -n 30 "$log" >&2
  say "$why: $* could not be installed"
  exit 1
}
