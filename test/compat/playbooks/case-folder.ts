import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { filesOf, type PlaybookCase } from './playbook-case.ts';

/** Writes the files of a case and gives the folder. */
export function writeCase(folder: string, one: PlaybookCase): string {
  for (const [name, text] of Object.entries(filesOf(one))) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** What a run left in `out`. */
export function outOf(folder: string): Readonly<Record<string, string>> {
  const out = join(folder, 'out');
  return Object.fromEntries(
    readdirSync(out, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== '.keep')
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [relative(out, path), readFileSync(path, 'utf8').replaceAll(folder, 'FOLDER')]),
  );
}
