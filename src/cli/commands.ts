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
    flags: startAt,
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
    flags: startAt,
    examples: ['fleet up', 'fleet up --yes --diff', 'fleet up --limit agent3'],
    load: async () => (await import('./commands/up.ts')).up,
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
    flags: startAt,
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
    name: 'reboot',
    summary: 'Reboot the nodes, servers one at a time',
    arguments: [],
    groups: all,
    flags: [],
    examples: ['fleet reboot --limit agent', 'fleet reboot --yes'],
    load: async () => (await import('./commands/reboot.ts')).reboot,
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
