import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { binaryPath, stagedFolder } from '../k3s/paths.ts';
import type { K3sVersion } from '../k3s/version.ts';
import {
  type BinarySeen,
  binaryAction,
  binaryQuestions,
  isRelease,
  isStaged,
  stagedPath,
} from './k3s-binary.ts';

/** The transfer is what takes time and fails: done on every node before the first is touched, no node waits for it with its service down. */
export const k3sStageStep = defineStep<ReturnType<typeof Type.Object>, BinarySeen>({
  name: 'k3s_stage',
  summary:
    'The binary of the release that k3s_version names is on the host, verified and told its version: in place, or beside it where k3s_binary has only to rename it.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_stage:\n'],
  look: (_args, host) => binaryQuestions(host),
  plan(seen, _args, host): Plan<BinarySeen> {
    const { installed, wanted } = seen;
    if (isRelease(installed, wanted))
      return seen.staged.size === 0 ? unchanged(`${wanted.text} is installed`) : tidied(wanted);
    const fetch = binaryAction(host, seen, binaryPath);
    if ('verdict' in fetch) return fetch;
    const path = stagedPath(fetch, seen);
    if (isStaged(path, seen)) return unchanged(`${wanted.text} waits beside what is installed`);
    const stage = binaryAction(host, seen, path);
    if ('verdict' in stage) return stage;
    return change(
      `${wanted.text} is not here yet`,
      [
        {
          kind: 'run',
          what: `make ${stagedFolder}, without what else waited there`,
          script: sh`mkdir -p -m 0755 ${stagedFolder} && find ${stagedFolder} -type f ! -name ${`.fleet-${posix.basename(path)}-*`} -exec rm -f {} +`,
        },
        stage,
      ],
      { after: { staged: new Map([[posix.basename(path), wanted]]) } },
    );
  },
});

/** An upgrade that was taken back leaves its binary on the nodes whose turn had not come. */
function tidied(wanted: K3sVersion): Plan<BinarySeen> {
  return change(
    `${wanted.text} is installed, and another release waits beside it`,
    [{ kind: 'run', what: `remove ${stagedFolder}`, script: sh`rm -rf ${stagedFolder}` }],
    { after: { staged: new Map() } },
  );
}
