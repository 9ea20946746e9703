import { templatesOf } from './decide.ts';
import type { Entry, Play, Task } from './play.ts';

/**
 * Hosts of a batch go their own ways, but for the few tasks that read what another host registered or found out. Before
 * such a task a host waits until no other host of the batch can add anything: each has ended, or waits as well.
 */
export class Meeting {
  /** In the order of the batch. */
  readonly #active: Set<string>;
  #waiting: (() => void)[] = [];
  /** Hosts that came to a `run_once` before the one that shall do it. */
  readonly #behind = new Map<string, { readonly isBegun: () => boolean; readonly release: () => void }>();

  constructor(hosts: Iterable<string>) {
    this.#active = new Set(hosts);
  }

  async gather(): Promise<void> {
    const met = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#check();
    await met;
  }

  /**
   * Waits until it is this host's turn to do what is done once for all, or another has begun it. As in Ansible that is the
   * first host of the batch that is left, whichever comes first; unless it never comes, since it waits for the others.
   */
  async turn(host: string, isBegun: () => boolean): Promise<void> {
    if (!this.#active.has(host)) return;
    const released = new Promise<void>((release) => this.#behind.set(host, { isBegun, release }));
    this.#check();
    await released;
  }

  /** Something that is done once has begun: nobody waits for its turn to do it. */
  begun(): void {
    this.#check();
  }

  /** A host that has ended is waited for no longer. */
  leave(host: string): void {
    if (this.#active.delete(host)) this.#check();
  }

  #check(): void {
    const [first] = this.#active;
    for (const [host, { isBegun }] of [...this.#behind]) if (host === first || isBegun()) this.#release(host);
    if (this.#waiting.length + this.#behind.size < this.#active.size) return;
    const next = [...this.#active].find((host) => this.#behind.has(host));
    if (next !== undefined) {
      this.#release(next);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const release of waiting) release();
  }

  #release(host: string): void {
    const one = this.#behind.get(host);
    this.#behind.delete(host);
    one?.release();
  }
}

/** How a host is reached is in the inventory: asking for that is no reason to wait for anybody. */
const inventoryOnly =
  /hostvars\[(?:[^[\]]|\[(?:[^[\]]|\[[^[\]]*\])*\])*\](?:\.|\[\\?['"])(?:ansible_(?:host|user|port|ssh_\w+|connection)|inventory_hostname)\b/g;

const known = new WeakMap<Task, boolean>();

/** Whether what a task is written with looks at the variables of other hosts. */
export function readsOthers(task: Task): boolean {
  const origin = task.origin ?? task;
  const before = known.get(origin);
  if (before !== undefined) return before;
  const written = JSON.stringify(templatesOf(task));
  const answer = written.includes('hostvars') && written.replace(inventoryOnly, '').includes('hostvars');
  known.set(origin, answer);
  return answer;
}

/** Whether hosts of a play must all be under way at once: else those who wait would keep the others from beginning. */
export function meets(play: Play): boolean {
  const any = (entries: readonly Entry[]): boolean =>
    entries.some((entry) => {
      if (entry.kind === 'block') return any([...entry.tasks, ...entry.rescue, ...entry.always]);
      // What an include brings is known when it is read.
      return entry.kind === 'include' || isMeeting(play, entry);
    });
  return any(play.tasks);
}

/**
 * Whether hosts wait for each other before this task: where it reads what others found out, and throughout a play that a
 * failure of some must stop for all, for else the others would be far ahead by then.
 */
export function isMeeting(play: Play, task: Task): boolean {
  return (
    play.anyErrorsFatal ||
    play.maxFailPercentage !== undefined ||
    task.anyErrorsFatal === true ||
    task.meta === 'end_play' ||
    task.meta === 'end_batch' ||
    readsOthers(task)
  );
}
