import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

export interface Timezone {
  /** `Europe/Berlin`; empty when the host says it nowhere. */
  readonly name: string;
  /** Whether the host's zone database has the zone that was asked for. */
  readonly known: boolean;
  /** What /etc/timezone (Debian's own note) says; `undefined` where there is no such file. */
  readonly noted: string | undefined;
}

/** The zone of the host's clock, and whether a wanted one exists there. Source: /etc/localtime, /etc/timezone, /usr/share/zoneinfo. */
export function timezone(wanted: string): Fact<Timezone> {
  return {
    key: `clock:timezone ${wanted}`,
    sh: sh`readlink -f /etc/localtime 2>/dev/null || echo
if [ -f ${`/usr/share/zoneinfo/${wanted}`} ]; then echo yes; else echo no; fi
if [ -f /etc/timezone ]; then echo =; cat /etc/timezone; fi`,
    parse: (answer) => {
      const [link = '', known = '', mark = '', noted = ''] = answer.stdout.split('\n');
      return {
        name: /zoneinfo\/(?:posix\/|right\/)?(.+)$/.exec(link)?.[1] ?? noted.trim(),
        known: known === 'yes',
        noted: mark === '=' ? noted.trim() : undefined,
      };
    },
  };
}
