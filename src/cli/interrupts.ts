import { exit } from './exit-codes.ts';

/** Ctrl-C during a run: once for a graceful end, twice for an end at once. */
export interface Interrupts {
  /** Fires at the first: what runs is finished, nothing new is begun. */
  readonly signal: AbortSignal;
  /** Ctrl-C means what it means elsewhere again. */
  stopListening(): void;
}

// A closed terminal and a CI job that is cancelled deserve the same care as Ctrl-C.
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const SHOW_CURSOR = '\u001b[?25h';

export function listenForInterrupts(onFirst: () => void): Interrupts {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) {
      // A drawn list hides the cursor, and nothing runs after this that would show it.
      if (process.stderr.isTTY === true) process.stderr.write(`${SHOW_CURSOR}\n`);
      process.exit(exit.interrupted);
    }
    controller.abort('graceful');
    onFirst();
  };
  for (const name of signals) process.on(name, onSignal);
  return {
    signal: controller.signal,
    stopListening: () => {
      for (const name of signals) process.off(name, onSignal);
    },
  };
}
