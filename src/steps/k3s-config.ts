import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, unchanged } from '../engine/step.ts';
import { inUse } from '../facts/k3s-in-use.ts';
import { configPath } from '../k3s/paths.ts';
import { type ConfigFileSeen, landConfigFile, siteQuestions } from './k3s-file.ts';
import { k3sNode } from './k3s-node.ts';

/** config.yaml belongs to the user: it is what the inventory says, to the letter, and left alone where it says nothing. */
export const k3sConfigStep = defineStep<ReturnType<typeof Type.Object>, ConfigFileSeen>({
  name: 'k3s_config',
  summary:
    '/etc/rancher/k3s/config.yaml holds server_config_yaml or agent_config_yaml; without either it is left as it is.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_config:\n'],
  look(_args, host) {
    const { role, settings } = k3sNode(host);
    return { ...siteQuestions(configPath), inUse: ask(inUse(role, settings.systemdDir)) };
  },
  plan(seen, _args, host) {
    const { role, configText } = k3sNode(host);
    if (configText === undefined || configText.trim() === '')
      return unchanged(`${role}_config_yaml is not set`);
    return landConfigFile(seen, {
      path: configPath,
      content: configText.endsWith('\n') ? configText : `${configText}\n`,
    });
  },
});
