import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { binaryPath, stagedFolder } from '../k3s/paths.ts';
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
    if (isRelease(installed, wanted)) return unchanged(`${wanted.text} is installed`);
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
