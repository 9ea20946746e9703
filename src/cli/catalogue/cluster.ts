import type { Command } from '../command.ts';
import type { Flag } from '../flags.ts';
import { all, looking, pattern, tolerateDown } from './in-several.ts';

const startAt: readonly Flag[] = [
  { flags: '--start-at <task>', description: 'Begin at the first task of this name.' },
  { flags: '--step', description: 'Ask before each step.' },
  { flags: '--list-hosts', description: 'Only list the hosts of each play.' },
  { flags: '--list-steps', description: 'Only list the steps.' },
  { flags: '--list-tags', description: 'Only list the tags.' },
];

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

/** To bring a cluster to what the inventory says, and to look at it and work on its hosts. */
export const clusterCommands: readonly Command[] = [
  {
    name: 'plan',
    summary: 'Show what `up` would change, and change nothing',
    details: 'Exit code 0: nothing to do. 2: there are changes. 1: a host failed or the plan is refused.',
    arguments: [],
    groups: all,
    flags: [...startAt, tolerateDown, forceBootstrap, now, allowRemovedApis, prune],
    examples: ['fleet plan', 'fleet plan --limit agent --output json'],
    load: async () => (await import('../commands/plan.ts')).plan,
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
    load: async () => (await import('../commands/up.ts')).up,
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
    load: async () => (await import('../commands/upgrade.ts')).upgrade,
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
    load: async () => (await import('../commands/check.ts')).check,
  },
  {
    name: 'status',
    summary: 'Show nodes, versions, services, voters and drift',
    arguments: [],
    groups: looking,
    flags: [],
    examples: ['fleet status', 'fleet status --output json'],
    load: async () => (await import('../commands/status.ts')).status,
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
    load: async () => (await import('../commands/run.ts')).run,
  },
  {
    name: 'play',
    summary: 'Run a playbook of your own',
    arguments: [{ name: '<file>', description: 'The playbook.', completes: 'file' }],
    groups: all,
    flags: [...startAt, now],
    examples: ['fleet play harden.yml', 'fleet play harden.yml --check --diff'],
    load: async () => (await import('../commands/play.ts')).play,
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
    load: async () => (await import('../commands/kubeconfig.ts')).kubeconfig,
  },
];
