#!/bin/sh
# From nothing to a running cluster: three containers that run only systemd and sshd become a k3s cluster (k3s itself is
# a stand-in, see test/fleet/README.md). Run again, it shows that nothing is left to do.
set -eu
cd "$(dirname "$0")/.."
say() { printf '\n\033[1m==>\033[0m %s\n' "$*" >&2; }

sh scripts/prepare.sh
command -v kubectl > /dev/null || sh test/fleet/install-packages.sh 'kubectl get nodes' kubernetes-client
inventory=.fleet-nodes/inventory.yml

say 'Three nodes: npm run nodes -- up 3'
npm run --silent nodes -- up 3 --var "kubeconfig=$PWD/.fleet-nodes/kubeconfig"

say "The cluster: fleet up -i $inventory --yes"
npm run --silent fleet -- up -i "$inventory" --yes

say 'kubectl get nodes, from here'
KUBECONFIG=.fleet-nodes/kubeconfig kubectl get nodes -o wide

say "Left running until you end it:
  the three nodes    npm run nodes -- down
  the Docker daemon  npm run nodes -- docker-stop (only if it was started here)
Try next:
  npm run fleet -- plan -i $inventory      nothing to do, exit code 0
  npm run fleet -- status -i $inventory"
