#!/bin/sh
# A stand-in for transactional-update, which Debian does not have: a system in snapshots, of which only the next boot sees the newest.
# What its manual page says of options, of `--continue`, of what a snapshot sees of the host, and of the self-update is kept; so is what it does
# not say, that the status of what `run` runs is no part of its own in some releases. Packages go in by the real rpm. Of the system only
# the packages' database and SELinux' policies are in the snapshots.
# See https://kubic.opensuse.org/documentation/man-pages/transactional-update.8.html
set -u
snapshots=/.snapshots
kept='var/lib/rpm usr/share/selinux'

usage() { echo 'Syntax: transactional-update [option...] [general-command...] [package-command]' >&2; exit 1; }
say() { [ "$quiet" = yes ] || echo "$*"; echo "$*" >>/var/log/transactional-update.log; }

current=$(cat /run/current-snapshot) && default=$(cat "$snapshots/default") || exit 1
base=$current update=yes quiet=no
while [ $# -gt 0 ]; do
  case $1 in
    -n | --non-interactive) shift ;;
    --quiet) quiet=yes; shift ;;
    --no-selfupdate) update=no; shift ;;
    -c | --continue)
      base=$default; shift
      case ${1-} in [0-9]*) base=$1; shift ;; esac
      ;;
    run) shift; break ;;
    *) usage ;;
  esac
done
[ $# -gt 0 ] || usage
[ -z "${TRANSACTIONAL_UPDATE-}" ] || { echo 'Cannot call transactional-update from within transactional-update environment!' >&2; exit 1; }

exec 9>/run/transactional-update.pid
flock -n 9 || { echo "Couldn't get lock, is another instance already running?" >&2; exit 1; }
if [ "$update" = yes ]; then
  say 'Checking for newer version.'
  zypper --non-interactive info transactional-update >/dev/null 2>&1
fi

say "transactional-update started: $*"
new=$(($(ls "$snapshots" | grep -v default | sort -n | tail -n 1) + 1))
cp -a "$snapshots/$base" "$snapshots/$new"
say "Using snapshot $base as base for new snapshot $new."
say "Executing \`$*\`:"
export snapshot="$snapshots/$new" kept TRANSACTIONAL_UPDATE=true
unshare -m sh -c '
  root=$(mktemp -d) && mount --make-rprivate / && mount --bind / "$root" || exit 1
  for folder in dev proc sys; do mount --rbind "/$folder" "$root/$folder"; done
  # The host has a /var of its own, of which a snapshot sees little.
  for folder in var tmp run; do mount -t tmpfs none "$root/$folder"; done
  for folder in var/cache var/log; do mkdir -p "$root/$folder"; mount --bind "/$folder" "$root/$folder"; done
  mkdir -p "$root/var/lib/rpm" "$root/var/tmp"
  for folder in $kept; do mount --bind "$snapshot/$folder" "$root/$folder" || exit 1; done
  exec chroot "$root" "$@"' sh "$@" 2>&1 9>&- | tee -a /var/log/transactional-update.log
echo "$new" >"$snapshots/default"
: >/run/reboot-needed
say "New default snapshot is #$new ($snapshots/$new)."
say 'Please reboot your machine to activate the changes and avoid data loss.'
