import type { Command } from '../command.ts';

/** All that is done with bundles. */
export const airgapCommand: Command = {
  name: 'airgap',
  summary: 'Make, check, carry and tidy a folder for nodes without a network',
  details:
    '`pull` fetches releases into a folder for the variable airgap_dir, and container images, Helm charts, manifests and SELinux ' +
    'packages where it is told to, each verified against published sums; run again, it goes on where it stopped. `verify` reads every file of a folder, `ls` lists it, `prune` removes old releases, `pack` makes one file of it ' +
    '(or several, for a small stick) and `unpack` a folder again.',
  arguments: [
    {
      name: '<action>',
      description: 'pull, verify, ls, prune, pack or unpack.',
      completes: ['pull', 'verify', 'ls', 'prune', 'pack', 'unpack'],
    },
    {
      name: '[path]',
      description: 'The folder; for unpack, what pack wrote. Default: airgap.',
      completes: 'file',
    },
  ],
  groups: ['output'],
  flags: [
    {
      flags: '--version <versions>',
      description:
        'pull: releases (v1.33.4+k3s1), minors (v1.33) or channels (stable), with commas between. Default: those of the bundle that is there, else stable.',
      repeatable: true,
    },
    {
      flags: '--arch <architectures>',
      description:
        'pull: amd64, arm64, arm, with commas between. Default: those of the bundle that is there, else amd64.',
      repeatable: true,
    },
    {
      flags: '--upgrade-path',
      description: 'pull: also the newest release of every minor between the oldest and the newest version.',
    },
    {
      flags: '--out <path>',
      description: 'pull and unpack: the folder, default airgap. pack: the file, default FOLDER.tar.',
      completes: 'file',
    },
    { flags: '--artifact-url <url>', description: 'pull: a mirror with the folders of the release page.' },
    { flags: '--channels-url <url>', description: 'pull: where channels and minors are resolved.' },
    {
      flags: '--install-script <path or url>',
      description: 'pull: where the k3s install script is. Default: https://get.k3s.io.',
      completes: 'file',
    },
    {
      flags: '--ca-file <path>',
      description: 'pull: certificates in PEM to trust beside the usual ones.',
      completes: 'file',
    },
    {
      flags: '--images <images or path>',
      description:
        'pull: container images beside those of k3s, with commas between, or a file that lists them, one a line; for each of --arch.',
      repeatable: true,
      completes: 'file',
    },
    {
      flags: '--registries <path>',
      description:
        "pull: mirrors, passwords and CAs of image registries, in the form of k3s' registries.yaml. What docker login left is used too.",
      completes: 'file',
    },
    {
      flags: '--chart <chart>',
      description:
        'pull: a Helm chart for the servers: https://HOST/PATH/NAME@VERSION, oci://HOST/PATH/NAME@VERSION, or REPO/NAME@VERSION as helm repo list knows it.',
      repeatable: true,
    },
    {
      flags: '--manifest <path or url>',
      description: 'pull: a Kubernetes manifest for the servers.',
      repeatable: true,
      completes: 'file',
    },
    {
      flags: '--selinux <systems>',
      description:
        "pull: k3s' SELinux policy and what it needs for el7, el8, el9, coreos, microos or slemicro, with commas between.",
      repeatable: true,
    },
    {
      flags: '--selinux-url <url>',
      description: 'pull: a mirror of https://rpm.rancher.io/k3s/stable/common; name its key with --rpm-key.',
    },
    {
      flags: '--rpm-repo <system=url>',
      description:
        'pull: a repository of the distribution with container-selinux and selinux-policy for a system of --selinux.',
      repeatable: true,
    },
    {
      flags: '--rpm-key <path or url>',
      description:
        'pull: a public key that nodes check packages with, beside those of Rancher and of their distribution.',
      repeatable: true,
      completes: 'file',
    },
    { flags: '--jobs <number>', description: 'pull: downloads at the same time. Default: 4.' },
    {
      flags: '--sign-key <path>',
      description: 'pull: sign the list with this key in PEM, Ed25519 or P-256.',
      completes: 'file',
    },
    {
      flags: '--verify-key <path>',
      description:
        'verify: the list must be signed by this public key: Ed25519 or P-256 (cosign) in PEM, or of minisign.',
      completes: 'file',
    },
    { flags: '--keep <number>', description: 'prune: how many releases stay, newest first. Default: 1.' },
    {
      flags: '--split <size>',
      description: 'pack: in parts of at most this many bytes, with k, M or G: 3900M.',
    },
  ],
  examples: [
    'fleet airgap pull --version v1.33.4+k3s1 --arch amd64,arm64 --out ./airgap',
    'fleet airgap pull --version v1.31,v1.33 --upgrade-path',
    'fleet airgap pull --images busybox:1.36,registry.example.org/shop/web:2.1 --chart oci://registry.example.org/charts/shop@1.4.0',
    'fleet airgap pull --selinux el9 --rpm-repo el9=https://mirror.example.org/rocky/9/AppStream/x86_64/os',
    'fleet airgap verify ./airgap --verify-key bundle.pub',
    'fleet airgap pack ./airgap --out /media/stick/k3s.tar --split 3900M',
    'fleet airgap unpack /media/stick/k3s.tar --out ./airgap',
  ],
  load: async () => (await import('../commands/airgap.ts')).airgap,
};
