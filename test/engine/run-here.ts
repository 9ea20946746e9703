import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Ajv } from 'ajv';
import { expect, onTestFinished } from 'vitest';
import { Redactor } from '../../src/core/secret.ts';
import { quote } from '../../src/core/shell.ts';
import { type EventKind, type EventOf, eventJsonSchema, type StampedEvent } from '../../src/engine/event.ts';
import { openRun, type Run, type RunResult } from '../../src/engine/run.ts';
import type { OpenConnection } from '../../src/engine/sessions.ts';
import type { AnyStep } from '../../src/engine/step.ts';
import type { WaveSource } from '../../src/engine/waves.ts';
import { loadFleet } from '../../src/inventory/load-fleet.ts';
import { compilePlaybook } from '../../src/playbook/compile.ts';

import { LocalConnection } from '../../src/ssh/local-connection.ts';
import { readArguments } from '../../src/steps/arguments.ts';
import { allSteps, stepNamed } from '../../src/steps/registry.ts';

/**
 * Real runs of real playbooks on this machine, over local connections. The hosts share a /run of their own, so that
 * tests in parallel do not wait for each other's lock, and leave this machine's alone.
 */

export interface Here {
  /** Where the playbook stands: `{{ playbook_dir }}`. */
  readonly folder: string;
  /** The pid whose mount namespace the hosts live in; `undefined` where none can be made, for want of root. */
  readonly namespace: number | undefined;
}

/** A folder, and a /run for its hosts; both go away with the test. */
export async function here(files: Readonly<Record<string, string>> = {}): Promise<Here> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'fleet-run-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return { folder, namespace: await privateRun() };
}

/** Whether hosts can have a /run of their own here. */
export const isIsolated =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['-m', '--propagation', 'private', 'mount', '-t', 'tmpfs', 'tmpfs', '/run']).status ===
    0;

/** The pid whose mount namespace has a /run of its own, until the test, or whatever `atEnd` waits for, is over. */
export async function privateRun(
  atEnd: (end: () => Promise<void>) => void = onTestFinished,
): Promise<number | undefined> {
  if (!isIsolated) return undefined;
  const keeper = spawn(
    'unshare',
    ['-m', '--propagation', 'private', 'sh', '-c', 'mount -t tmpfs tmpfs /run && echo ready && exec cat'],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  atEnd(() => ended(keeper));
  await new Promise((resolve) => keeper.stdout.once('data', resolve));
  return keeper.pid;
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('close', () => resolve());
    child.stdin?.end();
  });
}

export class HostHere extends LocalConnection {
  readonly #namespace: number | undefined;

  constructor(name: string, namespace: number | undefined) {
    super(name);
    this.#namespace = namespace;
  }

  override open(command: string, options: { readonly pty?: boolean } = {}) {
    return super.open(
      this.#namespace === undefined
        ? command
        : `exec nsenter -t ${this.#namespace} -m sh -c ${quote(command)}`,
      options,
    );
  }
}

/** Runs a command where the hosts of a test live. */
export function onHost({ namespace }: Here, command: string): string {
  const [program, ...args] =
    namespace === undefined ? ['sh'] : ['nsenter', '-t', String(namespace), '-m', 'sh'];
  const done = spawnSync(program ?? 'sh', [...args, '-c', command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return done.stdout;
}

export interface Wanted {
  readonly hosts?: readonly string[];
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly secrets?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: StampedEvent) => void;
  readonly steps?: readonly AnyStep[];
  readonly lockFirst?: readonly string[];
  readonly waves?: WaveSource;
  readonly mayBeDown?: readonly string[];
  readonly confirmPause?: (question: string) => Promise<boolean>;
  /** Hosts that refuse to be connected to. */
  readonly unreachable?: readonly string[];
}

const ajv = new Ajv({ strict: false, formats: { 'date-time': true }, allErrors: false });
const isEvent = ajv.compile(eventJsonSchema());

/** One run, opened but not begun, with the events it will tell. Every event is checked against the published schema. */
export async function opened(
  where: Here,
  playbook: string,
  wanted: Wanted = {},
): Promise<{ readonly run: Run; readonly events: StampedEvent[] }> {
  const path = join(where.folder, 'site.yml');
  writeFileSync(path, playbook);
  const hosts = wanted.hosts ?? ['a'];
  const fleet = await loadFleet({
    sources: [`${hosts.join(',')},`],
    extraVars: [JSON.stringify({ ansible_connection: 'local', gather_facts: false, ...wanted.vars })],
    playbookFolder: where.folder,
  });
  const extra = wanted.steps ?? [];
  const plays = await compilePlaybook(path, {
    fleet,
    scope: fleet.vars,
    steps: {
      allSteps: [...allSteps, ...extra],
      stepNamed: (name) => extra.find((step) => step.name === name) ?? stepNamed(name),
    },
  });
  const redactor = new Redactor();
  for (const secret of wanted.secrets ?? []) redactor.add(secret);
  const events: StampedEvent[] = [];
  const open: OpenConnection = {
    connect: async (name) => {
      if (wanted.unreachable?.includes(name) === true) throw new Error(`${name} is away`);
      return new HostHere(name, where.namespace);
    },
    becomeOf: () => undefined,
  };
  const run = openRun({
    command: 'play',
    fleet,
    plays,
    open,
    checkArgs: (step, args, at) => readArguments(step, args, at),
    emit: (event) => {
      const valid = isEvent(JSON.parse(JSON.stringify(event)));
      expect(valid, `${JSON.stringify(event)} ${ajv.errorsText(isEvent.errors)}`).toBe(true);
      expect(event.sequence).toBe(events.length + 1);
      for (const secret of wanted.secrets ?? []) expect(JSON.stringify(event)).not.toContain(secret);
      events.push(event);
      wanted.onEvent?.(event);
    },
    redactor,
    signal: wanted.signal ?? new AbortController().signal,
    ...(wanted.lockFirst === undefined ? {} : { lockFirst: wanted.lockFirst }),
    ...(wanted.waves === undefined ? {} : { waves: wanted.waves }),
    ...(wanted.mayBeDown === undefined ? {} : { mayBeDown: wanted.mayBeDown }),
    ...(wanted.confirmPause === undefined ? {} : { confirmPause: wanted.confirmPause }),
  });
  onTestFinished(() => run.close());
  return { run, events };
}

export interface Told {
  readonly result: RunResult;
  readonly events: readonly StampedEvent[];
  /** `host task status`, with `[item]` behind the task in a loop, in the order in which they ended. */
  readonly tasks: readonly string[];
}

export async function applied(where: Here, playbook: string, wanted: Wanted = {}): Promise<Told> {
  const { run, events } = await opened(where, playbook, wanted);
  const result = await run.apply();
  await run.close();
  return { result, events, tasks: tasksIn(events) };
}

export async function planned(where: Here, playbook: string, wanted: Wanted = {}): Promise<Told> {
  const { run, events } = await opened(where, playbook, wanted);
  const result = await run.plan();
  await run.close();
  return { result, events, tasks: tasksIn(events) };
}

export function only<Kind extends EventKind>(
  events: readonly StampedEvent[],
  kind: Kind,
): readonly EventOf<Kind>[] {
  return events.filter((event) => event.kind === kind) as unknown as readonly EventOf<Kind>[];
}

export function tasksIn(events: readonly StampedEvent[]): readonly string[] {
  return only(events, 'task-finished').map(
    ({ host, task, item, status }) => `${host} ${task}${item === undefined ? '' : `[${item}]`} ${status}`,
  );
}

export function messagesIn(events: readonly StampedEvent[]): readonly string[] {
  return only(events, 'message').map(({ host, text }) => `${host}: ${text}`);
}

/** A play on all hosts around some tasks, which are written flush left. */
export function play(tasks: string, keywords = ''): string {
  return `- name: Play\n  hosts: all\n  gather_facts: false\n${keywords.replace(/^(?=.)/gm, '  ')}${keywords === '' ? '' : '\n'}  tasks:\n${tasks.trim().replace(/^(?=.)/gm, '    ')}\n`;
}
