import type { Argument, Command } from './command.ts';
import type { Flag } from './flags.ts';

const pattern: Argument = {
  name: '[pattern]',
  description: 'Which hosts, as an Ansible pattern. Default: all.',
  completes: 'pattern',
};

const all = ['inventory', 'connection', 'run', 'output'] as const;
const looking = ['inventory', 'connection', 'output'] as const;

const startAt: readonly Flag[] = [
  { flags: '--start-at <task>', description: 'Begin at the first task of this name.' },
  { flags: '--step', description: 'Ask before each step.' },
  { flags: '--list-hosts', description: 'Only list the hosts of each play.' },
  { flags: '--list-steps', description: 'Only list the steps.' },
  { flags: '--list-tags', description: 'Only list the tags.' },
];

const tolerateDown: Flag = {
  flags: '--tolerate-down',
  description:
    'Go on without hosts that cannot be reached: agents, and servers as long as the quorum can spare them. They are named, and no failure.',
};
const forceBootstrap: Flag = {
  flags: '--force-bootstrap',
  description:
    'Start a new cluster although servers that might hold one do not answer. Only where they are gone for good.',
};
const now: Flag = {
  flags: '--now',
  description: 'Restart and upgrade nodes outside of their maintenance_window too.',
};
const allowRemovedApis: Flag = {
  flags: '--allow-removed-apis',
  description: 'Go on although manifests of extra_manifests use APIs that the release does not serve.',
};
const prune: Flag = {
  flags: '--prune',
  description: 'Remove the nodes of the cluster that no host of the inventory is.',
};

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  {
    name: 'init',
    summary: 'Write a first inventory',
    details:
      'Writes an annotated inventory.yml for the machines you name; asks for them on a terminal where none are given. ' +
      'Refuses to overwrite a file.',
    arguments: [],
    groups: ['output'],
    flags: [
      {
        flags: '--server <user@host:port>',
        description: 'A server (control plane). The first starts the cluster.',
        repeatable: true,
      },
      { flags: '--agent <user@host:port>', description: 'An agent (worker).', repeatable: true },
      {
        flags: '--k3s-version <version>',
        description:
          'A version (v1.33.1+k3s1), a minor (v1.33) or a channel (stable, latest). Default: stable.',
      },
      { flags: '--token <token>', description: 'The token that nodes join with. Default: a new random one.' },
      { flags: '--token-from-env', description: 'Keep the token out of the file: read it from FLEET_TOKEN.' },
      {
        flags: '--cluster-name <name>',
        description: 'Name of the kubeconfig context. Default: k3s-ansible.',
      },
      { flags: '--out <path>', description: 'Where to write. Default: inventory.yml.', completes: 'file' },
      { flags: '--force', description: 'Overwrite an existing file.' },
    ],
    examples: ['fleet init', 'fleet init --server debian@10.0.0.1 --agent 10.0.0.2 --agent 10.0.0.3'],
    load: async () => (await import('./commands/init.ts')).init,
  },
  {
    name: 'validate',
    summary: 'Check inventory and variables without connecting',
    arguments: [],
    groups: ['inventory', 'output'],
    flags: [],
    examples: ['fleet validate', 'fleet validate -i production.yml --output json'],
    load: async () => (await import('./commands/validate.ts')).validate,
  },
  {
    name: 'inventory',
    summary: 'Show how the inventory is read',
    arguments: [],
    groups: ['inventory', 'output'],
    flags: [
      { flags: '--list', description: 'Everything as JSON, in the form of `ansible-inventory --list`.' },
      { flags: '--graph', description: 'Groups and hosts as a tree (the default).' },
      { flags: '--host <name>', description: 'The variables of one host.', completes: 'pattern' },
      { flags: '--resolve', description: 'With --host: the values with their templates filled in.' },
      { flags: '--yaml', description: 'YAML in place of JSON.' },
      { flags: '--reveal', description: 'Show secret values instead of [secret].' },
    ],
    examples: ['fleet inventory --graph', 'fleet inventory --host server1'],
    load: async () => (await import('./commands/inventory.ts')).inventory,
  },
  {
    name: 'ping',
    summary: 'Log in on every host and become root there',
    arguments: [pattern],
    groups: looking,
    flags: [],
    examples: ['fleet ping', 'fleet ping agent'],
    load: async () => (await import('./commands/ping.ts')).ping,
  },
  {
    name: 'facts',
    summary: 'Show what fleet finds on the hosts',
    arguments: [pattern],
    groups: looking,
    flags: [],
    examples: ['fleet facts server1', 'fleet facts --output json'],
    load: async () => (await import('./commands/facts.ts')).facts,
  },
  {
    name: 'plan',
    summary: 'Show what `up` would change, and change nothing',
    details: 'Exit code 0: nothing to do. 2: there are changes. 1: a host failed or the plan is refused.',
    arguments: [],
    groups: all,
    flags: [...startAt, tolerateDown, forceBootstrap, now, allowRemovedApis, prune],
    examples: ['fleet plan', 'fleet plan --limit agent --output json'],
    load: async () => (await import('./commands/plan.ts')).plan,
  },
  {
    name: 'up',
    summary: 'Make the cluster what the inventory says',
    details:
      'Installs, joins, configures and upgrades k3s, touching only what differs. On a terminal it shows the plan and asks first; ' +
      '--yes acts at once. Running it again after a failure or Ctrl-C goes on from there.',
    arguments: [],
    groups: all,
    flags: [...startAt, tolerateDown, forceBootstrap, now, allowRemovedApis, prune],
    examples: ['fleet up', 'fleet up --yes --diff', 'fleet up --limit agent3'],
    load: async () => (await import('./commands/up.ts')).up,
  },
  {
    name: 'upgrade',
    summary: 'Bring the cluster to another release of k3s',
    details:
      'Checks first that every node is well, saves etcd, then goes node by node: servers one at a time, then agents. Without --to it is the ' +
      'release that the inventory names, as with `up`. Minor versions are never skipped.',
    arguments: [],
    groups: all,
    flags: [
      { flags: '--to <version>', description: 'The release or channel, whatever k3s_version says.' },
      {
        flags: '--upgrade-path <path>',
        description:
          'What to do where minor versions lie between: `auto` runs the newest release of each, or the releases to run, comma-separated.',
      },
      now,
      allowRemovedApis,
    ],
    examples: ['fleet upgrade --to v1.34.1+k3s1', 'fleet upgrade --to stable --upgrade-path auto --check'],
    load: async () => (await import('./commands/upgrade.ts')).upgrade,
  },
  {
    name: 'check',
    summary: 'Look for what would make k3s fail, before anything is changed',
    details:
      'Asks every node as root: names, machine-ids and clocks that clash, memory, disk, cgroups, ports that are taken, and whether ' +
      'agents reach the API. Errors end with exit code 1.',
    arguments: [],
    groups: looking,
    flags: [],
    examples: ['fleet check', 'fleet check --output json'],
    load: async () => (await import('./commands/check.ts')).check,
  },
  {
    name: 'status',
    summary: 'Show nodes, versions, services, voters and drift',
    arguments: [],
    groups: looking,
    flags: [],
    examples: ['fleet status', 'fleet status --output json'],
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    name: 'run',
    summary: 'Run a command, or one step, on hosts',
    arguments: [pattern],
    trailing: { name: 'command', description: 'The command to run on each host.' },
    groups: all,
    flags: [
      { flags: '-m, --module <step>', description: 'The step to run. Default: shell.' },
      { flags: '-a, --args <args>', description: 'Its arguments: `name=k3s state=restarted`, or YAML.' },
      { flags: '-b, --become', description: 'Run as root.' },
    ],
    examples: ['fleet run server -- uptime', "fleet run -m service -a 'name=k3s state=restarted' agent"],
    load: async () => (await import('./commands/run.ts')).run,
  },
  {
    name: 'play',
    summary: 'Run a playbook of your own',
    arguments: [{ name: '<file>', description: 'The playbook.', completes: 'file' }],
    groups: all,
    flags: [...startAt, now],
    examples: ['fleet play harden.yml', 'fleet play harden.yml --check --diff'],
    load: async () => (await import('./commands/play.ts')).play,
  },
  {
    name: 'kubeconfig',
    summary: 'Fetch the kubeconfig and merge it into ~/.kube/config',
    details:
      'Named by `cluster_context`, with the server `https://api_endpoint:api_port`. Other contexts are untouched; a backup is kept. ' +
      'The inventory variable `kubeconfig` writes elsewhere.',
    arguments: [],
    groups: all,
    flags: [{ flags: '--print', description: 'Print it to stdout, write nothing.' }],
    examples: ['fleet kubeconfig', 'fleet kubeconfig --print > lab.yaml'],
    load: async () => (await import('./commands/kubeconfig.ts')).kubeconfig,
  },
  {
    name: 'reset',
    summary: 'Remove k3s from the hosts',
    details: 'Asks for the name of the cluster. With --yes the name must be given by --confirm.',
    arguments: [],
    groups: all,
    flags: [
      { flags: '--confirm <cluster>', description: 'The name of the cluster, where nobody can be asked.' },
    ],
    examples: ['fleet reset', 'fleet reset --yes --confirm lab'],
    load: async () => (await import('./commands/reset.ts')).reset,
  },
  {
    name: 'remove',
    summary: 'Take hosts out of the cluster, and k3s off them',
    details:
      'One after the other: drains the node, deletes it and waits until its etcd member is gone, uninstalls k3s and takes back what was ' +
      'prepared for it. Refuses the last server, and what would cost the quorum. A host that is dead is removed from the cluster alone.',
    arguments: [
      {
        name: '<host...>',
        description: 'Hosts or groups of the inventory; with --gone also nodes that it no longer has.',
        completes: 'pattern',
      },
    ],
    groups: all,
    flags: [
      {
        flags: '--gone',
        description:
          'Remove nodes that cannot be reached or stand in no inventory. What is installed there stays.',
      },
    ],
    examples: ['fleet remove agent-3', 'fleet remove server-3 --yes', 'fleet remove --gone old-agent'],
    load: async () => (await import('./commands/remove.ts')).remove,
  },
  {
    name: 'stop',
    summary: 'Stop k3s, agents before servers',
    details:
      'Until `fleet start`, `fleet up` or the next boot. Containers run on unless --pods is given. With --limit it refuses to stop so many servers ' +
      'that the others lose the quorum.',
    arguments: [],
    groups: all,
    flags: [{ flags: '--pods', description: 'End the containers of the pods too.' }],
    examples: ['fleet stop', 'fleet stop --pods --yes', 'fleet stop --limit agent-2'],
    load: async () => (await import('./commands/stop.ts')).stop,
  },
  {
    name: 'start',
    summary: 'Start k3s where it is stopped, all servers together',
    arguments: [],
    groups: all,
    flags: [],
    examples: ['fleet start'],
    load: async () => (await import('./commands/start.ts')).start,
  },
  {
    name: 'restart',
    summary: 'Restart k3s, servers one at a time',
    details:
      'The next server only when the last is ready and votes again; then the agents, a quarter at a time.',
    arguments: [],
    groups: all,
    flags: [],
    examples: ['fleet restart', 'fleet restart --limit server --yes'],
    load: async () => (await import('./commands/restart.ts')).restart,
  },
  {
    name: 'repair',
    summary: 'Take back what a run that was broken off has left',
    details:
      'Uncordons nodes that fleet cordoned, releases locks of runs that died, removes their finished jobs and the files that were to be ' +
      'renamed into place. `up` does this too, but for the beginnings of uploads, with which it goes on.',
    arguments: [],
    groups: all,
    flags: [],
    examples: ['fleet repair', 'fleet repair --check'],
    load: async () => (await import('./commands/repair.ts')).repair,
  },
  {
    name: 'reboot',
    summary: 'Reboot the nodes, servers one at a time',
    arguments: [],
    groups: all,
    flags: [tolerateDown],
    examples: ['fleet reboot --limit agent', 'fleet reboot --yes'],
    load: async () => (await import('./commands/reboot.ts')).reboot,
  },
  {
    name: 'snapshot',
    summary: 'Save, fetch and restore snapshots of the cluster’s etcd',
    details:
      '`save` makes one on a server, `ls` lists those of all servers (also when no API answers), `get` fetches one and the token that ' +
      'opens it, encrypted, `delete` removes one, `schedule` shows when k3s makes them by itself. `restore` sets the whole cluster back: ' +
      'it asks for the name of the cluster, keeps the databases of now, and goes on where it stopped when it is run again.',
    arguments: [
      {
        name: '<action>',
        description: 'save, ls, get, delete, schedule or restore.',
        completes: ['save', 'ls', 'get', 'delete', 'schedule', 'restore'],
      },
      {
        name: '[snapshot]',
        description: 'Its name; for save what the name begins with, for restore also a file.',
        completes: 'file',
      },
    ],
    groups: all,
    flags: [
      { flags: '--to <folder>', description: 'get: where to. Default: here.', completes: 'folder' },
      {
        flags: '--passphrase-file <path>',
        description:
          'get and restore: a file with the passphrase of the token. Default: FLEET_SNAPSHOT_PASSPHRASE, or asked for.',
        completes: 'file',
      },
      {
        flags: '--recipient <key>',
        description: 'get: encrypt the token for this age key (age1…), not with a passphrase.',
        repeatable: true,
      },
      {
        flags: '--without-token',
        description: 'get: only the snapshot. Without its token it opens nowhere else.',
      },
      {
        flags: '--token <path>',
        description: 'restore: the encrypted token. Default: SNAPSHOT.token.age beside the file.',
        completes: 'file',
      },
      {
        flags: '--identity <path>',
        description: 'restore: the age key file that opens the token.',
        completes: 'file',
      },
      { flags: '--s3', description: 'restore: it is in the object store that server_config_yaml names.' },
      {
        flags: '--gone <host>',
        description: 'restore: this machine is off and gone for good; its node leaves the cluster.',
        repeatable: true,
      },
      { flags: '--back', description: 'restore: take one back that failed before it set anything back.' },
      {
        flags: '--confirm <cluster>',
        description: 'restore: the name of the cluster, where nobody can be asked.',
      },
    ],
    examples: [
      'fleet snapshot save before-migration',
      'fleet snapshot get before-migration-server1-1763682000 --to /backup',
      'fleet snapshot restore before-migration-server1-1763682000',
      'fleet snapshot restore /backup/nightly-server1-1763682000 --gone server2 --gone server3',
    ],
    load: async () => (await import('./commands/snapshot.ts')).snapshot,
  },
  {
    name: 'certs',
    summary: 'Show how long the certificates of every node are valid',
    details:
      'Warns of those that end within 30 days. Exit code 1 where one has ended, or a node does not answer.',
    arguments: [],
    groups: looking,
    flags: [],
    examples: ['fleet certs', 'fleet certs --output json'],
    load: async () => (await import('./commands/certs.ts')).certs,
  },
  {
    name: 'rotate',
    summary: 'Replace certificates, their authorities, the token or the encryption keys, in the right order',
    details:
      '`certs`: new certificates and keys for every node, then the kubeconfig. `token`: k3s makes a new one, and every node is restarted ' +
      'with it. `encryption-keys`: all Secrets are encrypted with a new key. One server at a time, the next only when the last is ready; a ' +
      'snapshot first. `ca`: new authorities that the old ones sign, so that nothing loses trust.',
    arguments: [
      {
        name: '<what>',
        description: 'certs, token, encryption-keys or ca.',
        completes: ['certs', 'token', 'encryption-keys', 'ca'],
      },
    ],
    groups: all,
    flags: [],
    examples: ['fleet rotate certs', 'fleet rotate token --yes', 'fleet rotate encryption-keys'],
    load: async () => (await import('./commands/rotate.ts')).rotate,
  },
  {
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
        description:
          'pull: also the newest release of every minor between the oldest and the newest version.',
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
        description:
          'pull: a mirror of https://rpm.rancher.io/k3s/stable/common; name its key with --rpm-key.',
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
        description: 'pull: sign the list with this Ed25519 key in PEM.',
        completes: 'file',
      },
      {
        flags: '--verify-key <path>',
        description: 'verify: the list must be signed by this Ed25519 key in PEM.',
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
    load: async () => (await import('./commands/airgap.ts')).airgap,
  },
  {
    name: 'doc',
    summary: 'Explain a step and its arguments',
    arguments: [{ name: '[step]', description: 'The step. Default: a list of all.', completes: 'step' }],
    groups: ['output'],
    flags: [],
    examples: ['fleet doc', 'fleet doc service'],
    load: async () => (await import('./commands/doc.ts')).doc,
  },
  {
    name: 'explain',
    summary: 'Explain an inventory variable',
    arguments: [
      { name: '[variable]', description: 'The variable. Default: a list of all.', completes: 'variable' },
    ],
    groups: ['output'],
    flags: [],
    examples: ['fleet explain', 'fleet explain api_endpoint'],
    load: async () => (await import('./commands/explain.ts')).explain,
  },
  {
    name: 'report',
    summary: 'Draw a past run as an HTML timeline',
    arguments: [
      {
        name: '[journal]',
        description: 'A run or its journal file. Default: the last run.',
        completes: 'file',
      },
    ],
    groups: ['output'],
    flags: [{ flags: '--out <path>', description: 'Where to write. Default: stdout.', completes: 'file' }],
    examples: [
      'fleet report --out run.html',
      'fleet report .fleet/journal/20261120-120000-ab12.jsonl > run.html',
    ],
    load: async () => (await import('./commands/report.ts')).report,
  },
  {
    name: 'completion',
    summary: 'Print shell completion',
    arguments: [{ name: '<shell>', description: 'bash, zsh or fish.', completes: ['bash', 'zsh', 'fish'] }],
    groups: ['output'],
    flags: [],
    examples: ['source <(fleet completion bash)', 'fleet completion fish | source'],
    load: async () => (await import('./commands/completion.ts')).completion,
  },
  {
    name: 'help',
    summary: 'Help for a command',
    arguments: [{ name: '[command]', description: 'The command.', completes: 'command' }],
    groups: ['output'],
    flags: [],
    examples: ['fleet help up'],
    load: async () => (await import('./commands/help.ts')).help,
  },
  {
    name: '__complete',
    summary: 'Answer the completion scripts',
    arguments: [],
    trailing: { name: 'words', description: 'The words so far, the one at the cursor last.' },
    groups: [],
    flags: [],
    examples: [],
    hidden: true,
    load: async () => (await import('./commands/complete.ts')).complete,
  },
];

export function findCommand(name: string): Command | undefined {
  return commands.find((command) => command.name === name);
}
