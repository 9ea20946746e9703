/** The three that are compared, as command lines over the same inventory. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fleetTestDirectory, runCommand } from '../test/fleet/docker.ts';
import type { Command, Reading } from './measure.ts';

export const tools = ['fleet', 'mitogen', 'ansible'] as const;
export type Tool = (typeof tools)[number];

const mitogenPlugins = '/usr/lib/python3/dist-packages/ansible_mitogen/plugins/strategy';

/** Makes sure that Ansible with its collections, mitogen and rsync are there, from Debian. */
export async function provideAnsible(): Promise<void> {
  const wanted = [
    ...['/usr/bin/ansible-playbook', '/usr/bin/ansible-community', '/usr/bin/ssh', '/usr/bin/rsync'],
    mitogenPlugins,
  ];
  if (wanted.every((file) => existsSync(file))) return;
  const script = path.join(fleetTestDirectory, 'install-packages.sh');
  const packages = ['ansible', 'ansible-mitogen', 'openssh-client', 'rsync'];
  const { code } = await runCommand('sh', [script, 'fleet is compared with Ansible', ...packages], {
    show: true,
  });
  if (code !== 0) throw new Error('Ansible, mitogen and rsync could not be installed');
}

/** How the tools are called in one place: where their settings are, and fleet's entry. */
export class Toolbox {
  readonly #fleet: string;
  readonly #folder: string;

  constructor(options: { readonly fleetEntry: string; readonly folder: string }) {
    this.#fleet = options.fleetEntry;
    this.#folder = options.folder;
  }

  /**
   * A run of a playbook. fleet's is its own where `fleetCommand` says so, Ansible's and mitogen's is `playbook`. Each tells a person what
   * it does; with `countsTrips` fleet tells a program, which it also tells of round trips.
   */
  async playbook(
    tool: Tool,
    run: {
      readonly inventory: string;
      readonly playbook: string;
      readonly forks: number;
      readonly fleetCommand?: readonly string[];
      readonly extraVars?: Readonly<Record<string, string>>;
      readonly countsTrips?: boolean;
    },
  ): Promise<Command> {
    if (tool === 'fleet') {
      const command = run.fleetCommand ?? ['play', run.playbook];
      const output = run.countsTrips === true ? ['--output', 'json'] : [];
      return { argv: ['node', this.#fleet, ...command, '-i', run.inventory, ...output], cwd: this.#folder };
    }
    const extra = Object.entries(run.extraVars ?? {}).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    return await this.#ansible(tool, run.forks, [
      'ansible-playbook',
      '-i',
      run.inventory,
      run.playbook,
      ...extra,
    ]);
  }

  /** A single command on all hosts of a group, as each tool does it ad hoc. */
  async adhoc(
    tool: Tool | 'ansible-raw',
    run: {
      readonly inventory: string;
      readonly command: string;
      readonly limit: string;
      readonly forks: number;
    },
  ): Promise<Command> {
    if (tool === 'fleet') {
      const where = ['-i', run.inventory, '--limit', run.limit, '--output', 'json'];
      return {
        argv: ['node', this.#fleet, 'run', 'all', ...where, '--', run.command],
        cwd: this.#folder,
      };
    }
    const module = tool === 'ansible-raw' ? 'raw' : 'command';
    return await this.#ansible(tool === 'mitogen' ? 'mitogen' : 'ansible', run.forks, [
      'ansible',
      'all',
      '-i',
      run.inventory,
      '--limit',
      run.limit,
      '-m',
      module,
      '-a',
      run.command,
    ]);
  }

  /** Everything that each tool finds out about hosts, printed. */
  async facts(
    tool: Tool,
    run: { readonly inventory: string; readonly limit: string; readonly forks: number },
  ): Promise<Command> {
    if (tool === 'fleet') {
      const where = ['-i', run.inventory, '--limit', run.limit, '--output', 'json'];
      return { argv: ['node', this.#fleet, 'facts', 'all', ...where], cwd: this.#folder };
    }
    const setup = ['ansible', 'all', '-i', run.inventory, '--limit', run.limit, '-m', 'setup'] as const;
    return await this.#ansible(tool, run.forks, setup);
  }

  /** Settings that Ansible's own manual recommends for speed; no discovery of the interpreter, no compression on a fast network. */
  async #ansible(
    tool: 'ansible' | 'mitogen',
    forks: number,
    argv: readonly [string, ...string[]],
  ): Promise<Command> {
    const folder = path.join(this.#folder, tool);
    await mkdir(folder, { recursive: true });
    const configuration = path.join(folder, 'ansible.cfg');
    await writeFile(
      configuration,
      [
        '[defaults]',
        `forks = ${forks}`,
        'gathering = explicit',
        'host_key_checking = true',
        'interpreter_python = /usr/bin/python3',
        'retry_files_enabled = false',
        `local_tmp = ${folder}/tmp`,
        ...(tool === 'mitogen' ? [`strategy_plugins = ${mitogenPlugins}`, 'strategy = mitogen_linear'] : []),
        '[ssh_connection]',
        'pipelining = true',
        'ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o PreferredAuthentications=publickey',
        // A socket's path must be short, whatever the path of the checkout.
        `control_path_dir = ${path.join(tmpdir(), `fleet-bench-${tool}`)}`,
        '',
      ].join('\n'),
    );
    return { argv, cwd: folder, env: { ANSIBLE_CONFIG: configuration, ANSIBLE_NOCOLOR: '1' } };
  }
}

/** What a run says of itself. */
export interface Outcome {
  readonly changed: number;
  readonly failed: number;
  /** Per host, where the tool counts them. */
  readonly roundTrips?: readonly number[];
  readonly hosts: number;
}

/** @throws Error with what the tool printed when there is no outcome in it, or a host failed. */
export function outcomeOf(tool: Tool, reading: Reading): Outcome {
  const outcome = tool === 'fleet' ? fleetOutcome(reading) : ansibleOutcome(reading);
  if (outcome === undefined || outcome.failed > 0 || reading.code !== 0) {
    const printed = `${reading.stdout.slice(-4000)}\n${reading.stderr.slice(-4000)}`;
    throw new Error(`${tool} ended with status ${reading.code}:\n${printed}`);
  }
  return outcome;
}

function fleetOutcome({ stdout, stderr }: Reading): Outcome | undefined {
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) return toldOutcome(stderr);
  const event = JSON.parse(last) as {
    kind: string;
    hosts?: Record<string, { changed: number; failed: number; roundTrips: number }>;
  };
  if (event.kind !== 'run-finished' || event.hosts === undefined) return undefined;
  const hosts = Object.values(event.hosts);
  return {
    changed: sum(hosts.map((host) => host.changed)),
    failed: sum(hosts.map((host) => host.failed)),
    roundTrips: hosts.map((host) => host.roundTrips),
    hosts: hosts.length,
  };
}

/** `Nothing to change on 20 hosts (0.9s)`, or `Done on 20 hosts (31 changed, 0.9s)`. */
function toldOutcome(stderr: string): Outcome | undefined {
  const [, hosts, changed = 0] =
    /^(?:Nothing to change|Done) on (\d+) hosts? \((?:(\d+) changed, )?/m.exec(stderr) ?? [];
  return hosts === undefined ? undefined : { changed: Number(changed), failed: 0, hosts: Number(hosts) };
}

function ansibleOutcome({ stdout }: Reading): Outcome | undefined {
  const recaps = [...stdout.matchAll(/^\S+\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)/gm)];
  if (recaps.length === 0) return undefined;
  return {
    changed: sum(recaps.map((recap) => Number(recap[1]))),
    failed: sum(recaps.map((recap) => Number(recap[2]) + Number(recap[3]))),
    hosts: recaps.length,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
