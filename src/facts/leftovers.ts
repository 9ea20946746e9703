import { readdirSync } from 'node:fs';
import { sh } from '../core/shell.ts';
import { jobsFolder } from '../engine/action-script.ts';
import type { ControlFact, Fact } from '../engine/fact.ts';
import { lockFolder, machine, staleAfterSeconds } from '../engine/lock.ts';
import { linesOf } from './answer-lines.ts';

/** What runs that were broken off left on a host. */
export interface Leftovers {
  readonly lock:
    | {
        /** As the run wrote it, with its process and machine. */
        readonly owner: string;
        /** Its heart has not beaten for so long that it must be dead. */
        readonly isStale: boolean;
      }
    | undefined;
  /** Folders of jobs that are not at work any more. */
  readonly jobs: readonly string[];
  /** Files that were to be renamed into place. */
  readonly files: readonly string[];
  /** Beginnings of uploads, which a later run goes on with. */
  readonly parts: readonly string[];
}

/** Where fleet's own playbooks put files. A user's own step may write anywhere: what it left, it names itself when it is run again. */
const folders = [
  '/etc',
  '/etc/modules-load.d',
  '/etc/rancher/k3s',
  '/etc/rancher/k3s/config.yaml.d',
  '/etc/sudoers.d',
  '/etc/sysctl.d',
  '/usr/local/bin',
];

/** Cheap enough to be asked in every run: it reads a few folders, not what is below them. */
export function leftovers(dataFolder: string, systemdFolder: string): Fact<Leftovers> {
  const searched = [
    ...folders,
    systemdFolder,
    `${dataFolder}/agent/images`,
    `${dataFolder}/server/manifests`,
  ];
  return {
    key: `fleet:leftovers:${dataFolder}:${systemdFolder}`,
    sh: sh`lock=${lockFolder}
if [ -d "$lock" ]; then
  beat=$(cat "$lock/beat" 2> /dev/null); beat=\${beat:-$(stat -c %Y "$lock" 2> /dev/null || date +%s)}
  if [ $(($(date +%s) - beat)) -gt ${staleAfterSeconds} ]; then echo stale; else echo fresh; fi
  echo "owner $(cat "$lock/owner" 2> /dev/null)"
fi
for job in ${jobsFolder}/*/; do
  [ -d "$job" ] || continue
  if [ ! -s "\${job}pid" ] || [ -f "\${job}code" ] || ! kill -0 "$(cat "\${job}pid")" 2> /dev/null; then echo "job \${job%/}"; fi
done
for folder in ${searched}; do
  for file in "$folder"/.fleet-*~ "$folder"/.*.fleet-*~; do if [ -f "$file" ]; then echo "file $file"; fi; done
  for file in "$folder"/.fleet-*.part; do if [ -f "$file" ]; then echo "part $file"; fi; done
done
true`,
    parse: ({ stdout }) => {
      const [owner] = linesOf(stdout, 'owner');
      return {
        lock: owner === undefined ? undefined : { owner, isStale: /^stale$/m.test(stdout) },
        jobs: linesOf(stdout, 'job'),
        files: linesOf(stdout, 'file'),
        parts: linesOf(stdout, 'part'),
      };
    },
  };
}

/** What runs on this machine: only here does the process number in a lock mean anything. */
export interface RunsHere {
  readonly machine: string;
  readonly processes: ReadonlySet<number>;
}

/** Source: /proc. Where there is none, no lock can be told to be dead before its heart has stood still. */
export const runsHere: ControlFact<RunsHere> = {
  key: 'runs-here',
  read: async () => {
    try {
      return {
        machine: machine(),
        processes: new Set(readdirSync('/proc').map(Number).filter(Number.isInteger)),
      };
    } catch {
      return { machine: '', processes: new Set() };
    }
  },
};
