import { createWriteStream, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { StampedEvent } from './event.ts';

/** How many runs a journal folder remembers. */
const kept = 50;

/** The events of a run on disk, one JSON object a line: `FOLDER/RUN.jsonl`, 0600. Any past run can be redrawn from it. */
export interface Journal {
  readonly path: string;
  append(event: StampedEvent): void;
  close(): Promise<void>;
}

/** Opens the journal of a run and forgets the oldest ones. */
export function openJournal(folder: string, runId: string): Journal {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const old = readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .slice(0, -(kept - 1));
  for (const name of old) rmSync(join(folder, name), { force: true });
  const path = join(folder, `${runId}.jsonl`);
  const stream = createWriteStream(path, { mode: 0o600, flags: 'ax' });
  return {
    path,
    append: (event) => void stream.write(`${JSON.stringify(event)}\n`),
    close: () => new Promise((resolve) => stream.end(() => resolve())),
  };
}
