#!/bin/sh
# All tests, those on real containers included.
set -eu
cd "$(dirname "$0")/.."
sh scripts/prepare.sh
exec npx vitest run "$@"
