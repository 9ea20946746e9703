import type { Command } from '../command.ts';
import { all, looking, tolerateDown } from './in-several.ts';

/** What is done to a cluster that is there. */
export const operationCommands: readonly Command[] = [
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
    load: async () => (await import('../commands/reset.ts')).reset,
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
    load: async () => (await import('../commands/remove.ts')).remove,
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
    load: async () => (await import('../commands/stop.ts')).stop,
  },
  {
    name: 'start',
    summary: 'Start k3s where it is stopped, all servers together',
    arguments: [],
    groups: all,
    flags: [],
    examples: ['fleet start'],
    load: async () => (await import('../commands/start.ts')).start,
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
    load: async () => (await import('../commands/restart.ts')).restart,
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
    load: async () => (await import('../commands/repair.ts')).repair,
  },
  {
    name: 'reboot',
    summary: 'Reboot the nodes, servers one at a time',
    arguments: [],
    groups: all,
    flags: [tolerateDown],
    examples: ['fleet reboot --limit agent', 'fleet reboot --yes'],
    load: async () => (await import('../commands/reboot.ts')).reboot,
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
    load: async () => (await import('../commands/snapshot.ts')).snapshot,
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
    load: async () => (await import('../commands/certs.ts')).certs,
  },
  {
    name: 'rotate',
    summary: 'Replace certificates, their authorities, the token or the encryption keys, in the right order',
    details:
      '`certs`: new certificates and keys for every node, then the kubeconfig. `token`: k3s makes a new one, and every node is restarted ' +
      'with it. `encryption-keys`: all Secrets are encrypted with a new key. One server at a time, the next only when the last is ready; a ' +
      'snapshot first. `ca`: new authorities that the old ones sign, so that nothing loses trust, or, with `--path`, those that you bring.',
    arguments: [
      {
        name: '<what>',
        description: 'certs, token, encryption-keys or ca.',
        completes: ['certs', 'token', 'encryption-keys', 'ca'],
      },
    ],
    groups: all,
    flags: [
      {
        flags: '--path <folder>',
        description:
          'With `ca`: a folder with authorities of your own, as for `k3s certificate rotate-ca`: server-ca.crt, server-ca.key and the four others.',
        completes: 'folder',
      },
    ],
    examples: [
      'fleet rotate certs',
      'fleet rotate token --yes',
      'fleet rotate encryption-keys',
      'fleet rotate ca --path ./new-ca',
    ],
    load: async () => (await import('../commands/rotate.ts')).rotate,
  },
];
