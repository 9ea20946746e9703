/**
 * The real command line as a person or a CI job drives it: a child process with a home, a working folder and a cache of its own.
 *
 *     const cli = await FleetCli.make(nodes);
 *     const done = await cli.run(['up', '--yes', '--output', 'json'], { expect: 0 });
 *     const running = cli.start(['up', '--yes', '--output', 'json']);
 *     await running.until((event) => event.kind === 'task-started'); running.kill('SIGKILL'); await running.ended;
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { Ajv } from 'ajv';
import { inject } from 'vitest';
import { type EventKind, eventJsonSchema, type StampedEvent } from '../../src/engine/event.ts';

/** An event of a kind, as it stands in a line. */
export type EventOf<Kind extends EventKind> = Extract<StampedEvent, { kind: Kind }>;

/** How a command ended, and all that it said. */
export interface Ended {
  /** `null` for one that was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of `--output json`; each was checked against the schema that ships. */
  readonly events: readonly StampedEvent[];
  readonly durationMs: number;
}

export interface CliOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Another inventory than the nodes' own; null for a command that takes none. */
  readonly inventory?: string | null;
}

/** Commands whose `--output json` is a line per event; the others print one document. */
const tellsEvents: ReadonlySet<string> = new Set([
  'up',
  'upgrade',
  'plan',
  'reset',
  'reboot',
  'remove',
  'stop',
  'start',
  'restart',
  'repair',
  'play',
  'run',
  'snapshot restore',
  'rotate',
]);

const isDateTime = (text: string): boolean => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/.test(text);
const isEvent = new Ajv({ allErrors: true, formats: { 'date-time': isDateTime } }).compile(eventJsonSchema());

/** One line of `--output json`. @throws where it is not what the schema promises */
export function eventOf(line: string): StampedEvent {
  const event: unknown = JSON.parse(line);
  if (!isEvent(event)) {
    const kind = (event as { kind?: unknown }).kind;
    const faults = isEvent.errors?.filter((error) => error.keyword !== 'const' && error.keyword !== 'oneOf');
    throw new Error(`an event ${String(kind)} is not as the schema says: ${line}\n${JSON.stringify(faults)}`);
  }
  return event as StampedEvent;
}

/** The events of a kind, in order. */
export function ofKind<Kind extends EventKind>(
  events: readonly StampedEvent[],
  kind: Kind,
): readonly EventOf<Kind>[] {
  return events.filter((event): event is EventOf<Kind> => event.kind === kind);
}

/** `host: task (item)`, as tests name a task that ended so. */
export function endedAs(events: readonly StampedEvent[], ...statuses: readonly string[]): string[] {
  return ofKind(events, 'task-finished')
    .filter(({ status }) => statuses.includes(status))
    .map(taskName);
}

export function taskName({ host, task, item }: { host: string; task: string; item?: string }): string {
  return `${host}: ${task}${item === undefined ? '' : ` (${item})`}`;
}

/** What a person would want to read of a run that went otherwise than expected. */
function oddWords(event: StampedEvent): string[] {
  const { kind } = event;
  const isOdd =
    ['host-lost', 'host-failed', 'run-failed', 'interrupted', 'warning', 'run-finished'].includes(kind) ||
    (kind === 'task-finished' && event.status !== 'unchanged');
  return isOdd ? [JSON.stringify(event)] : [];
}

/** A command at work. */
export class FleetProcess {
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #events: StampedEvent[] = [];
  readonly #watchers = new Set<() => void>();
  #stdout = '';
  #stderr = '';
  #read = 0;
  #fault: unknown;

  constructor(child: ChildProcess, isJson: boolean) {
    this.#child = child;
    const startedAt = Date.now();
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      if (isJson) this.#readLines();
      this.#tell();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#tell();
    });
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        this.#tell();
        if (this.#fault !== undefined) reject(this.#fault);
        else
          resolve({
            code,
            stdout: this.#stdout,
            stderr: this.#stderr,
            events: this.#events,
            durationMs: Date.now() - startedAt,
          });
      });
    });
    // Whoever waits for an event hears of it first.
    this.ended.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get events(): readonly StampedEvent[] {
    return this.#events;
  }

  /** Resolves with the first event that is so, come or to come. @throws where the command ends without one */
  async until(isIt: (event: StampedEvent) => boolean): Promise<StampedEvent> {
    let found: StampedEvent | undefined;
    await this.#when(() => {
      found ??= this.#events.find(isIt);
      return found !== undefined;
    });
    if (found === undefined) throw new Error('no such event');
    return found;
  }

  /** Resolves once stderr says this. @throws where the command ends without having said it */
  async untilSaid(what: RegExp): Promise<void> {
    await this.#when(() => what.test(this.#stderr));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #when(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const watcher = (): void => {
        if (this.#fault !== undefined) reject(this.#fault);
        else if (holds()) resolve();
        else return;
        this.#watchers.delete(watcher);
      };
      this.#watchers.add(watcher);
      watcher();
      void this.ended
        .catch(() => undefined)
        .then(() => {
          watcher();
          reject(new Error(`fleet ended before that:\n${this.#stdout}${this.#stderr}`));
        });
    });
  }

  #readLines(): void {
    for (;;) {
      const end = this.#stdout.indexOf('\n', this.#read);
      if (end < 0) return;
      const line = this.#stdout.slice(this.#read, end);
      this.#read = end + 1;
      try {
        this.#events.push(eventOf(line));
      } catch (error) {
        this.#fault ??= error;
      }
    }
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

export class FleetCli {
  /** Where it runs: its journal is below. */
  readonly folder: string;
  readonly home: string;
  readonly inventory: string;

  private constructor(folder: string, inventory: string) {
    this.folder = path.join(folder, 'work');
    this.home = path.join(folder, 'home');
    this.inventory = inventory;
  }

  /** @param at a folder that is removed by whoever made it; the nodes' own is a good one */
  static async make(at: string, inventory: string): Promise<FleetCli> {
    const cli = new FleetCli(await mkdtemp(path.join(at, 'cli-')), inventory);
    await mkdir(cli.folder, { mode: 0o700 });
    await mkdir(cli.home, { mode: 0o700 });
    return cli;
  }

  /** `~/.kube/config` of whoever runs it. */
  get kubeconfig(): string {
    return path.join(this.home, '.kube', 'config');
  }

  start(args: readonly string[], options: CliOptions = {}): FleetProcess {
    const { PATH, TMPDIR, DOCKER_HOST } = process.env;
    const child = spawn(
      process.execPath,
      [
        inject('fleetCommand'),
        ...args,
        ...(options.inventory === null ? [] : ['--inventory', options.inventory ?? this.inventory]),
      ],
      {
        cwd: this.folder,
        env: { PATH, TMPDIR, DOCKER_HOST, HOME: this.home, NO_COLOR: '1', ...options.env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const [command = '', action = ''] = args;
    const isRun = tellsEvents.has(command) || tellsEvents.has(`${command} ${action}`);
    return new FleetProcess(child, args.includes('json') && isRun);
  }

  /** Runs a command to its end. @throws with all that it said, where its exit code is not the expected one */
  async run(args: readonly string[], options: CliOptions & { expect?: number } = {}): Promise<Ended> {
    const ended = await this.start(args, options).ended;
    if (options.expect !== undefined && ended.code !== options.expect) {
      const said = ended.events.length > 0 ? ended.events.flatMap(oddWords).join('\n') : ended.stdout;
      throw new Error(
        `fleet ${args.join(' ')} ended with ${ended.code}, not ${options.expect}:\n${said}\n${ended.stderr}`,
      );
    }
    return ended;
  }

  /** `up --yes` with its events. */
  async up(options: CliOptions & { expect?: number; args?: readonly string[] } = {}): Promise<Ended> {
    return this.run(['up', '--yes', '--output', 'json', ...(options.args ?? [])], { expect: 0, ...options });
  }

  /** `plan` with its events. */
  async plan(options: CliOptions & { expect?: number } = {}): Promise<Ended> {
    return this.run(['plan', '--output', 'json'], options);
  }

  /** The text of every journal that it has written. */
  async journals(): Promise<readonly string[]> {
    const folder = path.join(this.folder, '.fleet', 'journal');
    const names = await readdir(folder).catch(() => []);
    return Promise.all(names.sort().map((name) => readFile(path.join(folder, name), 'utf8')));
  }

  async remove(): Promise<void> {
    await rm(path.dirname(this.folder), { recursive: true, force: true });
  }
}
