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
wanted ps procps
wanted python3 python3
# shellcheck disable=SC2086
[ -z "$missing" ] || sh test/fleet/install-packages.sh 'the tests use them' $missing

exec npx vitest run "$@"
