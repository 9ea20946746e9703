import { isIP } from 'node:net';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { packageRoot } from './package-root.ts';

/** A machine as a person names it. */
export interface Machine {
  readonly user: string | undefined;
  readonly host: string;
  readonly port: number | undefined;
}

export interface FirstInventory {
  readonly servers: readonly Machine[];
  readonly agents: readonly Machine[];
  readonly version: string;
  readonly token: { readonly from: 'text'; readonly text: string } | { readonly from: 'environment' };
  readonly context: string;
}

/** `debian@10.0.0.1:2222`, `[fd00::1]:22`, `fd00::1`, `node1.lan`. @throws FleetError (usage) */
export function parseMachine(text: string): Machine {
  const [, user, bracketed, plain, port] =
    /^(?:([^@\s]+)@)?(?:\[([^\]]+)\]|([^\s:@[\]]+|[0-9a-fA-F:]+(?:%\w+)?))(?::([0-9]+))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const number = port === undefined ? undefined : Number(port);
  const isName = host !== undefined && /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(host);
  if (
    host === undefined ||
    !(isName || isIP(host) !== 0) ||
    (number !== undefined && (number < 1 || number > 65_535))
  ) {
    throw new FleetError({
      code: 'MACHINE_UNREADABLE',
      message: `${JSON.stringify(text)} is not a machine`,
      fix: 'Write user@host or user@host:port, an IPv6 address with a port in brackets: user@[fd00::1]:22.',
      blame: 'usage',
    });
  }
  return { user, host, port: number };
}

/** Where the schema of inventories lies on this machine. */
export function schemaPath(): string {
  return join(packageRoot(), 'schemas', 'inventory.schema.json');
}

/**
 * The schema as a line of the inventory may name it: below its folder, so that the file means the same on any machine that has
 * the project. `undefined` where fleet is installed elsewhere.
 */
function portableSchema(inventory: string, schema: string): string | undefined {
  const path = relative(dirname(resolve(inventory)), schema);
  return path.startsWith('..') ? undefined : `./${path.split(sep).join('/')}`;
}

/** A fresh annotated inventory, in the form of k3s-ansible. */
export function firstInventory(
  wanted: FirstInventory,
  inventory = 'inventory.yml',
  schemaFile = schemaPath(),
): string {
  // Machines are mostly made alike: who is named once is meant for those that name nobody.
  const sharedUser = [...wanted.servers, ...wanted.agents].find(({ user }) => user !== undefined)?.user;
  const schema = portableSchema(inventory, schemaFile);
  const hostLines = (role: string, machines: readonly Machine[]): string[] =>
    machines.flatMap((machine, index) => {
      const isAddress = isIP(machine.host) !== 0;
      const vars = [
        ...(isAddress ? [`ansible_host: ${scalar(machine.host)}`] : []),
        ...(machine.port === undefined ? [] : [`ansible_port: ${machine.port}`]),
        ...(machine.user === undefined || machine.user === sharedUser
          ? []
          : [`ansible_user: ${scalar(machine.user)}`]),
      ];
      const name = isAddress ? `${role}${index + 1}` : scalar(machine.host);
      return [`        ${name}:`, ...vars.map((line) => `          ${line}`)];
    });
  const token =
    wanted.token.from === 'text'
      ? [
          '    # The secret that nodes join with; it never changes. Keep this file private, or move the value to',
          "    # a vault (ansible-vault encrypt_string) or to the environment (\"{{ lookup('env', 'FLEET_TOKEN') }}\").",
          `    token: ${scalar(wanted.token.text)}`,
        ]
      : [
          '    # The secret that nodes join with, from the environment; it never changes. Set FLEET_TOKEN, for example',
          '    # to the output of: openssl rand -hex 32',
          `    token: "{{ lookup('env', 'FLEET_TOKEN') }}"`,
        ];
  return `${[
    ...(schema === undefined ? [] : [`# yaml-language-server: $schema=${schema}`]),
    '---',
    '# fleet plan shows what would change on these machines, fleet up does it. Run both as often as you like.',
    'k3s_cluster:',
    '  children:',
    '    # Servers hold the API and the datastore. One, three or five: more than half of them must be up.',
    '    server:',
    '      hosts:',
    ...hostLines('server', wanted.servers),
    '    # Agents only run workloads.',
    '    agent:',
    ...(wanted.agents.length === 0
      ? ['      hosts: {}']
      : ['      hosts:', ...hostLines('agent', wanted.agents)]),
    '',
    '  vars:',
    ...(sharedUser === undefined
      ? ['    # Who logs in; sudo (or doas) makes it root.', '    # ansible_user: debian']
      : ['    # Who logs in; sudo (or doas) makes it root.', `    ansible_user: ${scalar(sharedUser)}`]),
    '',
    '    # A version (v1.33.1+k3s1), a minor (v1.33: its newest) or a channel (stable, latest). Change it and run',
    '    # fleet up again for a rolling upgrade.',
    `    k3s_version: ${scalar(wanted.version)}`,
    '',
    ...token,
    '',
    '    # Where the API is reached: by agents, by other servers and by your kubectl. A name or address of a load',
    '    # balancer, else the first server.',
    `    api_endpoint: "{{ hostvars[groups['server'][0]]['ansible_host'] | default(groups['server'][0]) }}"`,
    '',
    '    # The name of this cluster in ~/.kube/config.',
    `    cluster_context: ${scalar(wanted.context)}`,
    '',
    '    # Extra flags of k3s, and its config file.',
    '    # extra_server_args: --disable traefik',
    '    # extra_agent_args: --node-label=disk=ssd',
    '    # server_config_yaml: |',
    '    #   write-kubeconfig-mode: "0600"',
  ].join('\n')}\n`;
}

/** A YAML scalar that reads back as the same text. JSON strings are YAML. */
function scalar(text: string): string {
  const isPlain = /^[A-Za-z][A-Za-z0-9._+-]*$/.test(text) || /^[0-9]+(\.[0-9]+){3}$/.test(text);
  return isPlain && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(text) ? text : JSON.stringify(text);
}
