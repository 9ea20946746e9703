import { raw } from '../core/shell.ts';
import { waitUntil } from './action.ts';
import { jobsFolder } from './action-script.ts';
import type { Fact } from './fact.ts';

/** Jobs of a run that was broken off and that are still at work: their scripts' first lines. Finished ones are nobody's any more. */
export const unfinishedJobs: Fact<number> = {
  key: 'fleet:jobs',
  sh: raw(
    `n=0; for pid in ${jobsFolder}/*/pid; do [ -s "$pid" ] && [ ! -f "\${pid%/pid}/code" ] && kill -0 "$(cat "$pid")" 2>/dev/null && n=$((n + 1)); done; echo "$n"`,
  ),
  parse: ({ stdout }) => Number(stdout.trim()),
  volatile: true,
};

/** Removes what finished jobs of broken-off runs left: their scripts may hold secrets. */
export const removeFinishedJobs = raw(
  `for pid in ${jobsFolder}/*/pid; do [ -e "$pid" ] || continue; kill -0 "$(cat "$pid")" 2>/dev/null && [ ! -f "\${pid%/pid}/code" ] || rm -rf "\${pid%/pid}"; done`,
);

/** Waits for them: looking at a host in the middle of an installation would see neither before nor after. */
export const waitForUnfinishedJobs = waitUntil({
  what: 'the job of an earlier, broken-off run to end',
  fact: unfinishedJobs,
  holds: (count) => count === 0 || `${count} still at work in ${jobsFolder}`,
  deadlineMs: 900_000,
});
