import type { Host } from '../inventory/fleet.ts';
import type { Become, Connection } from '../ssh/connection.ts';
import type { EmitEvent } from './event.ts';
import type { Epoch } from './fact-store.ts';
import { HostSession } from './host-session.ts';
import type { TaskBecome } from './play.ts';

/** How hosts are reached; assembled from the inventory and ssh/ by `access.ts`. */
export interface OpenConnection {
  /** Opens a connection. @throws FleetError that names the host and what to do */
  connect(host: string): Promise<Connection>;
  /** As whom a task runs there; `undefined` for the login user itself. */
  becomeOf(host: string, task: TaskBecome | undefined): Become | undefined;
}

/** All sessions of a run: one connection per host, one session per host and user. */
export class Sessions {
  readonly #sessions = new Map<string, HostSession>();
  /** The same by what a task says of becoming: as whom that is on a host is decided once, though it is asked for every question. */
  readonly #ofTasks = new Map<TaskBecome | undefined, Map<string, HostSession>>();
  readonly #connections = new Map<string, Promise<Connection>>();
  readonly #open: OpenConnection;
  readonly #epoch: Epoch;
  readonly #emit: EmitEvent;

  constructor(open: OpenConnection, epoch: Epoch, emit: EmitEvent) {
    this.#open = open;
    this.#epoch = epoch;
    this.#emit = emit;
  }

  of(host: Host['name'], task: TaskBecome | undefined): HostSession {
    const ofTask = this.#ofTasks.get(task) ?? new Map<string, HostSession>();
    this.#ofTasks.set(task, ofTask);
    const session = ofTask.get(host) ?? this.#made(host, task);
    ofTask.set(host, session);
    return session;
  }

  #made(host: Host['name'], task: TaskBecome | undefined): HostSession {
    const become = this.#open.becomeOf(host, task);
    const identity = `${host}\0${become?.method ?? ''}\0${become?.user ?? ''}`;
    const known = this.#sessions.get(identity);
    if (known !== undefined) return known;
    const session = new HostSession(host, {
      open: () => this.#connection(host),
      become,
      epoch: this.#epoch,
      onLost: (reason) => this.#emit({ kind: 'host-lost', host, reason }),
    });
    this.#sessions.set(identity, session);
    return session;
  }

  #connection(host: string): Promise<Connection> {
    const known = this.#connections.get(host);
    if (known !== undefined) return known;
    const startedAt = Date.now();
    const opening = this.#open.connect(host).then(
      (connection) => {
        this.#emit({ kind: 'host-connected', host, durationMs: Date.now() - startedAt });
        void connection.closed.then(() => this.#connections.delete(host));
        return connection;
      },
      (error) => {
        this.#connections.delete(host);
        throw error;
      },
    );
    this.#connections.set(host, opening);
    return opening;
  }

  roundTripsOf(host: string): number {
    return [...this.#sessions.values()].reduce(
      (sum, session) => sum + (session.host === host ? session.roundTrips : 0),
      0,
    );
  }

  forgetAll(): void {
    for (const session of this.#sessions.values()) session.facts.forget('everything');
  }

  /** Whatever is foreseen meanwhile on any host is forgotten again; what was asked meanwhile stays known. */
  async withoutTrace<Result>(act: () => Promise<Result>): Promise<Result> {
    const before = new Map([...this.#sessions.values()].map(({ facts }) => [facts, facts.foresight()]));
    try {
      return await act();
    } finally {
      for (const { facts } of this.#sessions.values()) (before.get(facts) ?? (() => facts.endForesight()))();
    }
  }

  endForesight(): void {
    for (const session of this.#sessions.values()) session.facts.endForesight();
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#connections.values()].map(async (opening) => (await opening).close()));
  }
}
