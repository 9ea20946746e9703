import { Type } from '@sinclair/typebox';
import { defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type BinarySeen, binaryQuestions, isRelease, whyNotRelease } from './k3s-binary.ts';

/** Told before anything is changed on any host; k3s_binary, which would refuse too, comes when others have been worked on. */
export const k3sReleaseStep = defineStep<ReturnType<typeof Type.Object>, BinarySeen>({
  name: 'k3s_release',
  summary:
    'The release that k3s_version names may follow the one that is installed: no minor version skipped on a server, and none back; changes nothing.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_release:\n'],
  look: (_args, host) => binaryQuestions(host),
  plan(seen, _args, host): Plan<BinarySeen> {
    const { installed, wanted } = seen;
    if (isRelease(installed, wanted)) return unchanged(`${wanted.text} is installed`);
    return whyNotRelease(host, seen) ?? unchanged(`${wanted.text} may be installed`);
  },
});
