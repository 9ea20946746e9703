import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { usageError } from './findings.ts';
import { splitPattern } from './host-selection.ts';

/**
 * A `--limit` with every `@FILE` in it replaced by what stands in the file, one pattern a line: the `.retry` files of Ansible.
 * @throws FleetError `LIMIT_FILE` for one that cannot be read
 */
export function withLimitFiles(limit: string, cwd = process.cwd()): string {
  if (!limit.includes('@')) return limit;
  return splitPattern(limit)
    .flatMap((part) => (part.startsWith('@') ? patternsIn(resolve(cwd, part.slice(1))) : [part]))
    .join(',');
}

function patternsIn(file: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw usageError({
      code: 'LIMIT_FILE',
      message: `cannot read ${file}, which --limit names`,
      fix: 'Name a file with one host or pattern a line.',
      where: { file },
    });
  }
  const patterns = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  // Without a single host it must not mean all of them.
  return patterns.length === 0 ? ['!all'] : patterns;
}
