import { Type } from '@sinclair/typebox';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { whyNoEmbeddedRegistry } from '../k3s/embedded-registry.ts';
import { type BinarySeen, binaryQuestions, isRelease, whyNotRelease } from './k3s-binary.ts';
import { k3sNode } from './k3s-node.ts';

/** Told before anything is changed on any host; k3s_binary, which would refuse too, comes when others have been worked on. */
export const k3sReleaseStep = defineStep<ReturnType<typeof Type.Object>, BinarySeen>({
  name: 'k3s_release',
  summary:
    'The release that k3s_version names may follow the one that is installed: no minor version skipped on a server, and none back; and it can do what the inventory wants of it; changes nothing.',
  readsOnly: true,
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_release:\n'],
  look: (_args, host) => binaryQuestions(host),
  plan(seen, _args, host): Plan<BinarySeen> {
    const { installed, wanted } = seen;
    const { embeddedRegistry, registriesConfigYaml } = k3sNode(host).settings;
    const hindrance = embeddedRegistry ? whyNoEmbeddedRegistry(wanted, registriesConfigYaml) : undefined;
    if (hindrance !== undefined) return refuse(`embedded_registry ${hindrance.because}`, hindrance.fix);
    if (isRelease(installed, wanted)) return unchanged(`${wanted.text} is installed`);
    return whyNotRelease(host, seen) ?? unchanged(`${wanted.text} may be installed`);
  },
});
