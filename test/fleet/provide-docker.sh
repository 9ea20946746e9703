#!/bin/sh
# Makes sure a Docker Engine answers, and says on stdout how to reach it (one line: DOCKER_HOST=…).
#
#   provide-docker.sh          use the daemon that answers; else install Debian's and start one of our own
#   provide-docker.sh status   say which daemon would be used; exit 1 when none answers
#   provide-docker.sh stop     stop the daemon that this script started (no other), with its containers
#   provide-docker.sh purge    stop, then delete the daemon's images and containers from the disk
#
# Everything it does is told on stderr. Safe to run twice, and from several processes at once.
# FLEET_TEST_DOCKER_DATA, FLEET_TEST_DOCKER_RUN: where our own daemon keeps its data and its socket.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
data=${FLEET_TEST_DOCKER_DATA:-/var/lib/fleet-test-docker}
run=${FLEET_TEST_DOCKER_RUN:-/run/fleet-test-docker}
own_socket=$run/docker.sock
pidfile=$run/dockerd.pid
log=$data/dockerd.log
deadline=60

say() { printf 'docker: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# A client is not there before Docker is installed, so a plain socket test comes first; the ping is what counts.
answers() { # answers URL
  case $1 in
  unix://*) [ -S "${1#unix://}" ] || return 1 ;;
  esac
  command -v docker >/dev/null 2>&1 || return 1
  DOCKER_HOST=$1 timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# The first daemon that answers: what the caller names, what the machine has, the one that we started.
find_daemon() {
  for url in "${DOCKER_HOST:-}" unix:///var/run/docker.sock "unix://$own_socket"; do
    if [ -n "$url" ] && answers "$url"; then
      printf '%s\n' "$url"
      return 0
    fi
  done
  return 1
}

# Whether the process of the pid file is a dockerd on OUR data: a pid may have been given to another process since.
own_pid() {
  [ -s "$pidfile" ] || return 1
  pid=$(cat "$pidfile")
  [ -r "/proc/$pid/cmdline" ] || return 1
  # An ended daemon whose parent never reaps it has an empty command line, and counts as ended.
  tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qx -e "--data-root=$data/data" || return 1
  printf '%s\n' "$pid"
}

installed() { command -v dockerd >/dev/null 2>&1 && command -v docker >/dev/null 2>&1 && command -v iptables >/dev/null 2>&1; }

install_engine() {
  installed && return 0
  command -v apt-get >/dev/null 2>&1 ||
    die "no Docker Engine answers, and this machine has no apt-get to install one: start a Docker Engine and run this again"
  sh "$here/install-packages.sh" 'no Docker Engine answers here' docker.io iptables 9>&-
  # From Debian 13 the client is a package of its own; 12 has it in docker.io.
  command -v docker >/dev/null 2>&1 || sh "$here/install-packages.sh" 'the Docker client' docker-cli 9>&-
}

start_daemon() {
  mkdir -p "$run"
  rm -f "$own_socket"
  : >"$log"
  # setsid and no inherited descriptors: the daemon outlives this script, and does not keep its lock (9).
  setsid dockerd --data-root="$data/data" --exec-root="$run/exec" --pidfile="$pidfile" --host="unix://$own_socket" \
    >"$log" 2>&1 </dev/null 9>&- &
  started=$!
  waited=0
  until answers "unix://$own_socket"; do
    if ! kill -0 "$started" 2>/dev/null; then
      tail -n 40 "$log" >&2
      die "dockerd ended at once; its whole log: $log"
    fi
    if [ "$waited" -ge $((deadline * 5)) ]; then
      tail -n 40 "$log" >&2
      kill "$started" 2>/dev/null || :
      die "dockerd did not answer within ${deadline} s; its whole log: $log"
    fi
    sleep 0.2
    waited=$((waited + 1))
  done
  say "started a daemon of our own: socket $own_socket, data $data, log $log"
  say "it stays up; stop it with: sh $0 stop   (npm run nodes -- docker-stop)"
}

lock() {
  mkdir -p "$data"
  exec 9>"$data/lock"
  flock -w 600 9 || die "another process has held $data/lock for 10 minutes"
}

stop_daemon() {
  if ! pid=$(own_pid); then
    say "no daemon of ours is running"
    return 0
  fi
  say "stopping our daemon (pid $pid) and its containers"
  kill "$pid"
  waited=0
  while own_pid >/dev/null; do
    [ "$waited" -lt 300 ] || die "dockerd (pid $pid) has not ended within 60 s; its log: $log"
    sleep 0.2
    waited=$((waited + 1))
  done
  say "stopped"
}

case ${1:-provide} in
provide)
  if ! url=$(find_daemon); then
    [ "$(id -u)" = 0 ] || die "no Docker Engine answers you. As root this would start one; or give your user access to the machine's own (group docker)"
    lock
    # Another process may have started it while this one waited for the lock.
    if ! url=$(find_daemon); then
      install_engine
      if url=$(find_daemon); then
        say "the installation started a daemon: using it"
      else
        start_daemon
        url=unix://$own_socket
      fi
    fi
  fi
  printf 'DOCKER_HOST=%s\n' "$url"
  ;;
status)
  url=$(find_daemon) || die "no Docker Engine answers"
  printf 'DOCKER_HOST=%s\n' "$url"
  ;;
stop)
  lock
  stop_daemon
  ;;
purge)
  lock
  stop_daemon
  # dockerd leaves its data mounted on itself, and the name of a network namespace.
  awk '{ print $2 }' /proc/self/mounts | grep -e "^$data/" -e "^$run/" | sort -r | while read -r mount; do umount "$mount"; done
  rm -rf "$data/data" "$run"
  say "deleted $data/data and $run"
  ;;
*)
  die "unknown command '$1': provide, status, stop or purge"
  ;;
esac
