#!/bin/sh
# All tests, those on real containers included.
set -eu
cd "$(dirname "$0")/.."
sh scripts/prepare.sh

# Scripts for nodes are tried on this machine too, in every shell and with every tool that a node may have.
missing=
wanted() { command -v "$1" > /dev/null || missing="$missing $2"; }
wanted busybox busybox
wanted curl curl
wanted ip iproute2
wanted ps procps
wanted python3 python3
wanted sudo sudo
wanted /usr/sbin/sshd openssh-server
if [ -n "$missing" ]; then
  # Debian starts what it installs, and nobody has asked for an sshd on this machine.
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then policy=; else printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy"; fi
  # shellcheck disable=SC2086
  sh test/fleet/install-packages.sh 'the tests use them' $missing || { rm -f $policy; exit 1; }
  rm -f $policy
  case $missing in
  *openssh-server*) if [ -d /run/systemd/system ]; then systemctl disable --now ssh.service ssh.socket > /dev/null 2>&1 || :; fi ;;
  esac
fi

exec npx vitest run "$@"
