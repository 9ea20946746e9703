import { FleetError } from '../core/errors.ts';
import type { Wait } from './action.ts';
import type { HostSession } from './host-session.ts';

const defaultEveryMs = 500;

/**
 * Asks a fact again and again until it holds. A host that cannot answer is asked again too: it may be rebooting.
 * @throws FleetError WAIT_TIMED_OUT or WAIT_HOPELESS, with the last reason and the host's own evidence;
 *   INTERRUPTED as soon as the signal fires, for waiting changes nothing
 */
export async function waitUntilHolds(
  wait: Wait,
  session: HostSession,
  signal: AbortSignal,
  onReason: (reason: string) => void,
): Promise<void> {
  const deadline = Date.now() + wait.deadlineMs;
  let told: string | undefined;
  let first: { readonly value: unknown } | undefined;
  for (;;) {
    session.facts.forget([wait.fact.key]);
    const known = (await session.ask([wait.fact])).get(wait.fact.key);
    const verdict =
      known === undefined ? 'no answer' : 'error' in known ? known.error.message : wait.holds(known.value);
    if (verdict === true) return;
    let hopeless: string | undefined;
    if (known !== undefined && 'value' in known) {
      first ??= known;
      hopeless = wait.hopeless?.(known.value, first.value);
    }
    if (hopeless !== undefined) throw await giveUp(wait, session, 'WAIT_HOPELESS', hopeless);
    if (Date.now() >= deadline) throw await giveUp(wait, session, 'WAIT_TIMED_OUT', verdict);
    if (verdict !== told) onReason(verdict);
    told = verdict;
    await pause(Math.min(wait.everyMs ?? defaultEveryMs, Math.max(0, deadline - Date.now())), signal);
  }
}

async function giveUp(wait: Wait, session: HostSession, code: string, reason: string): Promise<FleetError> {
  const evidence = wait.evidence === undefined ? '' : await evidenceOf(wait, session);
  return new FleetError({
    code,
    message:
      code === 'WAIT_HOPELESS'
        ? `waiting for ${wait.what} is pointless: ${reason}${evidence}`
        : `waited ${Math.round(wait.deadlineMs / 1000)} s for ${wait.what}: ${reason}${evidence}`,
    host: session.host,
    fix: 'Mend what the message names, then run the same command again: it continues where it stopped.',
  });
}

async function evidenceOf(wait: Wait, session: HostSession): Promise<string> {
  if (wait.evidence === undefined) return '';
  session.facts.forget([wait.evidence.key]);
  const known = (await session.ask([wait.evidence])).get(wait.evidence.key);
  return known !== undefined && 'value' in known && known.value !== '' ? `\n${String(known.value)}` : '';
}

/** Resolves after a time. @throws FleetError INTERRUPTED when the signal fires first. */
export function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(interrupted());
    };
    if (signal.aborted) {
      reject(interrupted());
      return;
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, durationMs);
    signal.addEventListener('abort', stop, { once: true });
  });
}

/** What a task that was stopped by Ctrl-C ends with. */
export function interrupted(): FleetError {
  return new FleetError({
    code: 'INTERRUPTED',
    message: 'interrupted',
    fix: 'Run the same command again: it continues where it stopped.',
  });
}
