import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** What is mounted now. Source: /proc/self/mounts. */
export const mountsInUse: Fact<readonly Mount[]> = {
  key: 'mount:all',
  sh: sh`cat /proc/self/mounts`,
  parse: (answer) => parseMounts(answer.stdout),
};

/** Lines of /proc/self/mounts or /etc/fstab; blanks in names are written `\040` there. */
export function parseMounts(text: string): readonly Mount[] {
  // /dev/vda1 / ext4 rw,relatime,discard 0 0
  return text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.trim().startsWith('#'))
    .map((line) => {
      const [source = '', target = '', type = '', options = ''] = line.trim().split(/\s+/).map(unescaped);
      return { source, target, type, options: options.split(',') };
    });
}

function unescaped(word: string): string {
  return word.replace(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** A name as fstab wants it. */
export function fstabWord(word: string): string {
  return word.replace(
    /[ \t\n\\]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}
