import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, unchanged } from '../engine/step.ts';
import { inUse } from '../facts/k3s-in-use.ts';
import { withMirrors } from '../k3s/embedded-registry.ts';
import { registriesPath } from '../k3s/paths.ts';
import { type ConfigFileSeen, landConfigFile, siteQuestions } from './k3s-file.ts';
import { k3sNode } from './k3s-node.ts';

/** @see https://docs.k3s.io/installation/private-registry */
export const k3sRegistriesStep = defineStep<ReturnType<typeof Type.Object>, ConfigFileSeen>({
  name: 'k3s_registries',
  summary:
    '/etc/rancher/k3s/registries.yaml holds registries_config_yaml, and with embedded_registry a mirror entry for all registries where it has none, readable by root alone; left as it is where neither is set.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_registries:\n'],
  look(_args, host) {
    const { role, settings } = k3sNode(host);
    return { ...siteQuestions(registriesPath), inUse: ask(inUse(role, settings.systemdDir)) };
  },
  plan(seen, _args, host) {
    const { registriesConfigYaml, embeddedRegistry } = k3sNode(host).settings;
    const text = embeddedRegistry ? withMirrors(registriesConfigYaml) : registriesConfigYaml;
    if (text === undefined || text.trim() === '') return unchanged('registries_config_yaml is not set');
    const plan = landConfigFile(seen, {
      path: registriesPath,
      content: text.endsWith('\n') ? text : `${text}\n`,
    });
    // Passwords stand anywhere in it, under keys of the user's choice: no diff.
    if (plan.verdict !== 'change') return plan;
    return {
      ...plan,
      diff: [{ subject: registriesPath, before: undefined, after: '(hidden: it may hold passwords)\n' }],
    };
  },
});
