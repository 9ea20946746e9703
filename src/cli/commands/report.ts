import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FleetError } from '../../core/errors.ts';
import type { StampedEvent } from '../../engine/event.ts';
import { htmlReport } from '../../ui/html.ts';
import type { RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { journalFolder } from '../journal-folder.ts';

/** Draws a journal as an HTML timeline. */
export const report: RunCommand = async ({ arguments: [named], flags, console }) => {
  const path = named === undefined ? lastJournal() : pathOf(named);
  const html = htmlReport(readJournal(path));
  const out = flags.text('out');
  if (out === undefined) console.revealed(html);
  else {
    // What a run did is nobody else's business either.
    writeFileSync(out, html, { mode: 0o600 });
    console.note(`Wrote ${out}`);
  }
  return exit.ok;
};

function lastJournal(): string {
  const names = journals();
  const last = names.at(-1);
  if (last === undefined) {
    throw new FleetError({
      code: 'NO_JOURNAL',
      message: `there is no run in ${journalFolder}`,
      fix: 'Run this where `fleet up` was run, or name a journal file.',
      blame: 'usage',
    });
  }
  return join(journalFolder, last);
}

function journals(): string[] {
  try {
    return readdirSync(journalFolder)
      .filter((name) => name.endsWith('.jsonl'))
      .sort();
  } catch {
    return [];
  }
}

/** A run may be named by its identifier alone. */
function pathOf(named: string): string {
  return journals().includes(`${named}.jsonl`) ? join(journalFolder, `${named}.jsonl`) : named;
}

function readJournal(path: string): StampedEvent[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new FleetError({
      code: 'JOURNAL_UNREADABLE',
      message: `the journal ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      fix: `Journals are in ${journalFolder}.`,
      blame: 'usage',
    });
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.flatMap((line, index) => {
    const event = parseEvent(line);
    if (event !== undefined) return [event];
    // A run that was killed leaves half a line at the end.
    if (index === lines.length - 1 && index > 0) return [];
    throw new FleetError({
      code: 'JOURNAL_UNREADABLE',
      message: 'this line is not an event',
      where: { file: path, line: index + 1 },
      fix: 'Name a .jsonl file that fleet wrote.',
      blame: 'usage',
    });
  });
}

function parseEvent(line: string): StampedEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isEvent =
      typeof value === 'object' &&
      value !== null &&
      'kind' in value &&
      'at' in value &&
      typeof value.at === 'string';
    return isEvent ? (value as StampedEvent) : undefined;
  } catch {
    return undefined;
  }
}
