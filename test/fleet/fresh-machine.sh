#!/bin/sh
# Runs a command on a Debian 12 that has Node, git and a copy of this checkout, and nothing else: no Docker, no ssh, no node_modules.
# The proof that the commands of the README work there, and how long they take.
#
#   sudo sh test/fleet/fresh-machine.sh 'npm ci && npm run nodes -- up 3'
#
# It is a root file system, network, process and mount namespace of its own on this machine's kernel; Docker runs inside. What apt,
# npm and TLS are set up with here (mirror, registry, certificates) holds there. Needs root, debootstrap or the cached base image.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
rootfs=$repository/.cache/fleet-nodes/debian-bookworm-$(uname -m).tar.gz

if [ "${1:-}" = --inside ]; then # --inside MACHINE COMMAND: in the namespaces, before the root is changed
  machine=$2
  command=$3
  mount --make-rprivate /
  mount --bind "$machine" "$machine"
  mount -t proc proc "$machine/proc"
  mount --rbind /sys "$machine/sys"
  mount --rbind /dev "$machine/dev"
  mount -t tmpfs -o mode=755 tmpfs "$machine/run"
  mkdir -p "$machine/run/lock" "$machine/outside"
  ip link set lo up
  until ip link show fresh1 >/dev/null 2>&1; do sleep 0.05; done
  ip addr add 10.199.0.2/30 dev fresh1
  ip link set fresh1 up
  ip route add default via 10.199.0.1
  cd "$machine"
  # Not chroot: Docker changes the root itself, which the kernel refuses below a chroot.
  pivot_root . outside
  umount -l /outside
  cd /root/fleet
  exec env -i HOME=/root TERM="${TERM:-dumb}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_EXTRA_CA_CERTS=/etc/outside-ca.crt bash -c "$command"
fi

[ $# = 1 ] || {
  echo "usage: fresh-machine.sh COMMAND" >&2
  exit 64
}
[ "$(id -u)" = 0 ] || {
  echo 'fresh-machine.sh: needs root' >&2
  exit 1
}
mkdir -p /run/lock
exec 9>/run/lock/fleet-fresh-machine.lock
flock 9
[ -s "$rootfs" ] || sh "$here/image/base-rootfs.sh" "$rootfs"

machine=$(mktemp -d /var/tmp/fleet-fresh.XXXXXX)
clean_up() {
  ip link del fresh0 2>/dev/null || :
  iptables -t nat -D POSTROUTING -s 10.199.0.0/30 -j MASQUERADE 2>/dev/null || :
  iptables -D FORWARD -i fresh0 -j ACCEPT 2>/dev/null || :
  iptables -D FORWARD -o fresh0 -j ACCEPT 2>/dev/null || :
  rm -rf --one-file-system "$machine"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Node with its npm, and what apt, npm and TLS know here.
tar -C "$machine" -xzf "$rootfs"
cp /etc/resolv.conf "$machine/etc/resolv.conf"
printf '127.0.0.1 localhost %s\n' "$(hostname)" >"$machine/etc/hosts"
node=$(command -v node)
node_root=$(cd "$(dirname "$(readlink -f "$node")")/.." && pwd)
cp -L "$node" "$machine/usr/bin/node"
mkdir -p "$machine/usr/lib/node_modules"
cp -a "$node_root/lib/node_modules/npm" "$machine/usr/lib/node_modules/"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$machine/usr/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$machine/usr/bin/npx"
cp -L "$(ldd "$node" | sed -n 's/.*=> \(.*libstdc++[^ ]*\).*/\1/p')" "$machine/usr/lib/" 2>/dev/null || :
[ ! -s "$HOME/.npmrc" ] || cp "$HOME/.npmrc" "$machine/root/.npmrc"
cp -L "${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}" "$machine/etc/outside-ca.crt" 2>/dev/null || : >"$machine/etc/outside-ca.crt"
apt-config dump Acquire | grep -i -E 'check-(date|valid)|proxy' >"$machine/etc/apt/apt.conf.d/50-outside" || :

# The checkout as somebody would clone it: no dependencies, no caches, no build.
mkdir -p "$machine/root/fleet"
(cd "$repository" && git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - 2>/dev/null) |
  tar -C "$machine/root/fleet" -x

# Installing git is not what is measured.
command="if ! command -v git >/dev/null; then (apt-get update -q && apt-get install -y -q --no-install-recommends git ca-certificates && rm -rf /var/lib/apt/lists/*) >/dev/null 2>&1; fi
$1"
unshare --mount --net --pid --fork -- sh "$0" --inside "$machine" "$command" 9>&- &
inside=$!
until first=$(cat "/proc/$inside/task/$inside/children" 2>/dev/null) && [ -n "$first" ]; do sleep 0.05; done
ip link add fresh0 type veth peer name fresh1
ip link set fresh1 netns "${first%% *}"
ip addr add 10.199.0.1/30 dev fresh0
ip link set fresh0 up
[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || echo 1 >/proc/sys/net/ipv4/ip_forward
iptables -t nat -A POSTROUTING -s 10.199.0.0/30 -j MASQUERADE
iptables -I FORWARD -i fresh0 -j ACCEPT
iptables -I FORWARD -o fresh0 -j ACCEPT
wait "$inside"
