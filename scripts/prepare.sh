#!/bin/sh
# What the demonstration and the tests both need, on a fresh Debian 12 as root with git and Node >= 20.19. Says what it does; safe to run twice.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

command -v node > /dev/null || { say 'Node.js is missing: install Node 20.19 or newer first.'; exit 1; }
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  { say "Node $(node --version) is too old: 20.19 or newer is needed."; exit 1; }

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say 'npm packages, as package-lock.json names them: npm ci'
  npm ci --no-audit --no-fund
fi

