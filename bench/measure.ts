/**
 * One run of one command: how long it took, what it cost on this machine, and how much of the machine others used meanwhile.
 *
 * The command runs in a control group of its own, so that processes that detach themselves (ssh's ControlPersist masters, Ansible's
 * workers) are counted like all others. Its output goes to files: a master that outlives the run would keep a pipe open.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';

/** What to run. */
export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** What was measured. */
export interface Reading {
  readonly wallMs: number;
  /** User and system time of the command and all that it started on this machine. */
  readonly cpuMs: number;
  /** The highest sum over its processes, shared pages counted once; only where memory was sampled. */
  readonly peakPss?: number;
  /** The same with shared pages counted in every process. */
  readonly peakRss?: number;
  /** CPU that neither the command nor its nodes used, as a share of all cores. */
  readonly foreignShare: number;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Something whose CPU time belongs to the measurement: the nodes. */
export interface CpuOf {
  readonly cpuMs: () => number;
}

export const cores = availableParallelism();

/** Runs a command and measures it. Sampling memory costs CPU, so it is done in a run of its own. */
export async function measure(
  command: Command,
  options: { readonly nodes?: CpuOf; readonly sampleMemory?: boolean } = {},
): Promise<Reading> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fleet-bench-output-'));
  const group = new ControlGroup();
  const [stdout, stderr] = await Promise.all(
    ['stdout', 'stderr'].map(async (name) => await open(path.join(folder, name), 'w')),
  );
  try {
    const busyBefore = busyMs();
    const nodesBefore = options.nodes?.cpuMs() ?? 0;
    const begun = performance.now();
    const child = spawn('sh', ['-c', `echo $$ > '${group.membersFile}'; exec "$@"`, 'sh', ...command.argv], {
      cwd: command.cwd,
      env: { ...process.env, ...command.env },
      stdio: ['ignore', stdout?.fd, stderr?.fd],
    });
    const sampler = options.sampleMemory === true ? new MemorySampler(group) : undefined;
    const code = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (status) => resolve(status ?? -1));
    });
    const wallMs = performance.now() - begun;
    const cpuMs = group.cpuMs();
    const foreign = busyMs() - busyBefore - cpuMs - ((options.nodes?.cpuMs() ?? 0) - nodesBefore);
    return {
      wallMs,
      cpuMs,
      ...(await sampler?.stop()),
      foreignShare: Math.max(0, foreign / (wallMs * cores)),
      code,
      stdout: await readFile(path.join(folder, 'stdout'), 'utf8'),
      stderr: await readFile(path.join(folder, 'stderr'), 'utf8'),
    };
  } finally {
    await group.end();
    await Promise.all([stdout?.close(), stderr?.close()]);
    await rm(folder, { recursive: true, force: true });
  }
}

const groupRoot = '/sys/fs/cgroup';
/** cgroup v1 has a hierarchy per controller. */
const accounting = existsSync(`${groupRoot}/cpuacct`) ? `${groupRoot}/cpuacct` : groupRoot;

/** CPU time of a control group, v1 or v2. */
export function groupCpuMs(folder: string): number {
  if (existsSync(`${folder}/cpuacct.usage`))
    return Number(readFileSync(`${folder}/cpuacct.usage`, 'utf8')) / 1e6;
  const usage = /^usage_usec (\d+)/m.exec(readFileSync(`${folder}/cpu.stat`, 'utf8'))?.[1];
  return Number(usage ?? 0) / 1000;
}

/** The control group of a process on this machine, v1 or v2. */
export function groupOf(pid: number): string {
  for (const line of readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n')) {
    const [, controllers = '', folder = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isOurs = accounting === groupRoot ? controllers === '' : controllers.split(',').includes('cpuacct');
    if (isOurs && folder !== '') return path.join(accounting, folder);
  }
  throw new Error(`process ${pid} is in no control group that counts CPU time`);
}

const groupPrefix = 'fleet-bench-';

/** Groups of runs that were killed, once nothing is in them any more. */
export function removeLeftGroups(): void {
  for (const name of readdirSync(accounting).filter((each) => each.startsWith(groupPrefix))) {
    const folder = `${accounting}/${name}`;
    if (readFileSync(`${folder}/cgroup.procs`, 'utf8') === '') rmdirSync(folder);
  }
}

let groupsMade = 0;

class ControlGroup {
  readonly #folder: string;

  constructor() {
    groupsMade += 1;
    this.#folder = `${accounting}/${groupPrefix}${process.pid}-${groupsMade}`;
    mkdirSync(this.#folder);
  }

  get membersFile(): string {
    return `${this.#folder}/cgroup.procs`;
  }

  members(): number[] {
    return readFileSync(this.membersFile, 'utf8').split('\n').filter(Boolean).map(Number);
  }

  cpuMs(): number {
    return groupCpuMs(this.#folder);
  }

  /** Ends what the command left running (ControlPersist masters): the next run connects anew, as one an hour later would. */
  async end(): Promise<void> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const left = this.members();
      if (left.length === 0) break;
      for (const pid of left) {
        try {
          process.kill(pid, attempt < 50 ? 'SIGTERM' : 'SIGKILL');
        } catch {
          // It ended by itself.
        }
      }
      await sleep(50);
    }
    rmdirSync(this.#folder);
  }
}

/** Adds up the memory of all processes of a group, again and again, and keeps the highest sum. */
class MemorySampler {
  readonly #group: ControlGroup;
  #peakPss = 0;
  #peakRss = 0;
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(group: ControlGroup) {
    this.#group = group;
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const begun = performance.now();
      this.#sample();
      // At most a fifth of one core.
      await sleep(Math.max(10, 4 * (performance.now() - begun)));
    }
  }

  #sample(): void {
    let pss = 0;
    let rss = 0;
    for (const pid of this.#group.members()) {
      try {
        const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
        pss += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
        rss += Number(/^Rss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
      } catch {
        // It ended since the list was read.
      }
    }
    this.#peakPss = Math.max(this.#peakPss, pss);
    this.#peakRss = Math.max(this.#peakRss, rss);
  }

  async stop(): Promise<{ peakPss: number; peakRss: number }> {
    this.#stopped = true;
    await this.#done;
    return { peakPss: this.#peakPss, peakRss: this.#peakRss };
  }
}

/** CPU time that all processes of this machine have used since it started. */
function busyMs(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? ''
  )
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq) * 10;
}

const quietShare = 0.1;
/** A run counts as undisturbed when others had no more of the machine than this. */
const disturbedShare = 0.15;
let patienceMs = 20 * 60_000;

/** Measures whatever else this machine does: to see that everything works. */
export function neverWait(): void {
  patienceMs = 0;
}

/** Waits until others use less than a tenth of this machine, or the time is over. */
export async function untilQuiet(nodes?: CpuOf, deadline = Date.now() + patienceMs): Promise<void> {
  for (let told = false; Date.now() < deadline; told = true) {
    const [busy, own, begun] = [busyMs(), nodes?.cpuMs() ?? 0, performance.now()];
    await sleep(500);
    const used = busyMs() - busy - ((nodes?.cpuMs() ?? 0) - own);
    if (used / ((performance.now() - begun) * cores) < quietShare) return;
    if (!told) process.stderr.write('bench: waiting until this machine is less busy\n');
  }
}

/** How often a run that others disturbed is made again. */
const repetitions = 3;

/** Measures while the machine is quiet. A run that others disturbed all the same is made again; the least disturbed counts. */
export async function measureQuietly(
  command: Command,
  options: { readonly nodes?: CpuOf; readonly sampleMemory?: boolean } = {},
): Promise<Reading> {
  return quietly(() => measure(command, options), options.nodes);
}

/** The same for a run that must be prepared anew each time. */
export async function quietly<Taken extends Reading>(
  take: () => Promise<Taken>,
  nodes?: CpuOf,
): Promise<Taken> {
  const deadline = Date.now() + patienceMs;
  await untilQuiet(nodes, deadline);
  let best = await take();
  for (let again = 0; again < repetitions && best.foreignShare > disturbedShare; again += 1) {
    if (Date.now() > deadline) break;
    await untilQuiet(nodes, deadline);
    const reading = await take();
    if (reading.foreignShare < best.foreignShare) best = reading;
  }
  const others = Math.round(100 * best.foreignShare);
  process.stderr.write(`bench:   ${(best.wallMs / 1000).toFixed(2)} s, others used ${others} %\n`);
  return best;
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
