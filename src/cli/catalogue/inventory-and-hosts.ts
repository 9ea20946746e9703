import type { Command } from '../command.ts';
import { looking, pattern } from './in-several.ts';

/** To begin with an inventory, and to see what it says and what the hosts are. */
export const inventoryCommands: readonly Command[] = [
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
    load: async () => (await import('../commands/init.ts')).init,
  },
  {
    name: 'validate',
    summary: 'Check inventory and variables without connecting',
    arguments: [],
    groups: ['inventory', 'output'],
    flags: [],
    examples: ['fleet validate', 'fleet validate -i production.yml --output json'],
    load: async () => (await import('../commands/validate.ts')).validate,
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
    load: async () => (await import('../commands/inventory.ts')).inventory,
  },
  {
    name: 'ping',
    summary: 'Log in on every host and become root there',
    arguments: [pattern],
    groups: looking,
    flags: [],
    examples: ['fleet ping', 'fleet ping agent'],
    load: async () => (await import('../commands/ping.ts')).ping,
  },
  {
    name: 'facts',
    summary: 'Show what fleet finds on the hosts',
    arguments: [pattern],
    groups: looking,
    flags: [],
    examples: ['fleet facts server1', 'fleet facts --output json'],
    load: async () => (await import('../commands/facts.ts')).facts,
  },
];
