import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { FleetError } from '../core/errors.ts';
import { type ShellScript, sh } from '../core/shell.ts';
import { visible } from '../core/terminal-text.ts';
import type { HostSession } from './host-session.ts';

/** On a tmpfs: a reboot ends every lock. */
export const lockFolder = '/run/fleet/lock';
const beatEveryMs = 15_000;
/** A lock whose heart has not beaten for this long belongs to a run that crashed, and is taken over. */
export const staleAfterSeconds = 90;
const heldByAnother = 75;

/**
 * The locks of one run: one per host that it changes, taken before the first change, kept alive by a heartbeat, and
 * given back at the end. One run at a time per host, and by way of the first server per cluster.
 */
export class Locks {
  readonly #owner: string;
  readonly #held = new Map<HostSession, Promise<void>>();
  #heart: NodeJS.Timeout | undefined;

  constructor(runId: string) {
    this.#owner = `${userInfo().username}@${hostname()}, process ${process.pid} of ${machine()}, run ${runId}`;
  }

  /** Takes a host's lock once per run. @throws FleetError LOCKED that names who holds it */
  acquire(session: HostSession): Promise<void> {
    const held = this.#held.get(session) ?? this.#take(session);
    this.#held.set(session, held);
    return held;
  }

  /**
   * Takes the lock of a host again that was rebooted, for a reboot ends every lock.
   * @throws FleetError LOCKED where another run was faster
   */
  async takeAgain(host: string): Promise<void> {
    const sessions = [...this.#held.keys()].filter((session) => session.host === host);
    for (const session of sessions) this.#held.delete(session);
    await Promise.all(sessions.map((session) => this.acquire(session)));
  }

  async #take(session: HostSession): Promise<void> {
    let [answer] = await session.batch([{ script: takeScript(this.#owner, '') }], { deadlineMs: 30_000 });
    const holder = answer?.code === heldByAnother ? answer.stdout.trim() : '';
    if (isDead(holder)) {
      [answer] = await session.batch([{ script: takeScript(this.#owner, holder) }], { deadlineMs: 30_000 });
    }
    if (answer?.code === 0) {
      this.#heart ??= setInterval(() => void this.#beat(), beatEveryMs).unref();
      return;
    }
    if (answer?.code === heldByAnother) {
      throw new FleetError({
        code: 'LOCKED',
        message: `another run is at work on this host: ${visible(answer.stdout.trim())}`,
        host: session.host,
        fix: `Wait until it has ended. A run that crashed loses its lock after ${staleAfterSeconds} s.`,
      });
    }
    throw new FleetError({
      code: 'LOCK_FAILED',
      message: `cannot take the lock ${lockFolder}: ${visible(answer?.stderr.trim() ?? 'no answer')}`,
      host: session.host,
      fix: 'fleet needs root on the host: check ansible_become and ansible_become_method.',
    });
  }

  async #beat(): Promise<void> {
    await Promise.allSettled(
      [...this.#held.keys()].map((session) =>
        session.runBeside(beatScript(this.#owner), { deadlineMs: beatEveryMs }),
      ),
    );
  }

  /** Gives all locks back. A host that cannot be reached any more keeps its lock until it is stale. */
  async release(): Promise<void> {
    clearInterval(this.#heart);
    const sessions = [...this.#held.keys()];
    this.#held.clear();
    await Promise.allSettled(
      sessions.map((session) =>
        session.batch([{ script: releaseScript(this.#owner) }], { deadlineMs: 10_000 }),
      ),
    );
  }
}

/** Which boot of which machine, and which of its process namespaces: only there does a process number mean anything. */
export function machine(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return createHash('sha256')
      .update(`${boot} ${readlinkSync('/proc/self/ns/pid')}`)
      .digest('hex')
      .slice(0, 12);
  } catch {
    return 'this machine';
  }
}

/** Which process of which machine a lock's owner was; `undefined` where it does not say. */
export function runOf(owner: string): { readonly machine: string; readonly process: number } | undefined {
  const match = /process (\d+) of ([0-9a-f]{12}),/.exec(owner);
  return match?.[2] === undefined ? undefined : { machine: match[2], process: Number(match[1]) };
}

/** Whether a lock's owner was a process of this very machine that is no more: nobody needs to wait for that one. */
function isDead(owner: string): boolean {
  const run = runOf(owner);
  if (run === undefined || run.machine !== machine()) return false;
  try {
    process.kill(run.process, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/**
 * Only root changes what another run could be changing too: anybody else works without a lock. `mkdir` is atomic
 * everywhere. A stale lock is moved aside first, so that of two that find it only one takes it over.
 * @param dead the owner whose lock may be taken over although its heart beat a moment ago; empty for none
 */
function takeScript(owner: string, dead: string): ShellScript {
  return sh`[ -w /run ] || [ "$(id -u)" = 0 ] || exit 0
umask 077; lock=${lockFolder}; owner=${owner}
mkdir -p "\${lock%/*}" || exit 1
take() { mkdir "$lock" 2>/dev/null && printf '%s\n' "$owner" > "$lock/owner" && date +%s > "$lock/beat"; }
take && exit 0
[ "$(cat "$lock/owner" 2>/dev/null)" = "$owner" ] && exit 0
# A lock that is just being made has no beat yet: its own age counts until then.
beat=$(cat "$lock/beat" 2>/dev/null); beat=\${beat:-$(stat -c %Y "$lock" 2>/dev/null || date +%s)}; dead=${dead}
if [ $(($(date +%s) - beat)) -gt ${staleAfterSeconds} ] || { [ -n "$dead" ] && [ "$(cat "$lock/owner" 2>/dev/null)" = "$dead" ]; }; then
  stale=$(cat "$lock/owner" 2>/dev/null); aside="$lock.stale.$$"
  if mv "$lock" "$aside" 2>/dev/null; then
    if [ "$(cat "$aside/owner" 2>/dev/null)" = "$stale" ]; then rm -rf "$aside"; take && exit 0; else mv "$aside" "$lock"; fi
  fi
fi
# Two names of one machine may be here at once: the other may have been about to write whose the lock is.
held=$(cat "$lock/owner" 2>/dev/null); [ -n "$held" ] || { sleep 1; held=$(cat "$lock/owner" 2>/dev/null); }
[ "$held" = "$owner" ] && exit 0
printf '%s\n' "$held"; exit ${heldByAnother}`;
}

function beatScript(owner: string): ShellScript {
  return sh`[ "$(cat ${lockFolder}/owner)" = ${owner} ] && date +%s > ${lockFolder}/beat`;
}

function releaseScript(owner: string): ShellScript {
  return sh`owner=; { read -r owner < ${lockFolder}/owner; } 2>/dev/null
if [ "$owner" = ${owner} ]; then rm -rf ${lockFolder}; rmdir /run/fleet/jobs /run/fleet 2>/dev/null; fi; true`;
}
