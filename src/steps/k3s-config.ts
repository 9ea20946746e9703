import { Type } from '@sinclair/typebox';
import { ask, askControl } from '../engine/fact.ts';
import { defineStep, refuse, unchanged } from '../engine/step.ts';
import { inUse } from '../facts/k3s-in-use.ts';
import { wantedRelease } from '../facts/k3s-release.ts';
import { unknownSettings } from '../k3s/known-flags.ts';
import { configPath } from '../k3s/paths.ts';
import type { K3sVersion } from '../k3s/version.ts';
import { type ConfigFileSeen, landConfigFile, siteQuestions } from './k3s-file.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen extends ConfigFileSeen {
  readonly wanted: K3sVersion;
}

/** config.yaml belongs to the user: it is what the inventory says, to the letter, and left alone where it says nothing. */
export const k3sConfigStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_config',
  summary:
    '/etc/rancher/k3s/config.yaml holds server_config_yaml or agent_config_yaml; without either it is left as it is.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_config:\n'],
  look(_args, host) {
    const { role, settings } = k3sNode(host);
    return {
      ...siteQuestions(configPath),
      inUse: ask(inUse(role, settings.systemdDir)),
      wanted: askControl(wantedRelease(settings.k3sVersion, settings.channelsUrl, settings.airgapDir)),
    };
  },
  plan(seen, _args, host) {
    const { role, configText, config, extraArgs } = k3sNode(host);
    const unknown = unknownSettings(role, seen.wanted, config, extraArgs).find(({ isFatal }) => isFatal);
    if (unknown !== undefined)
      return refuse(
        `${unknown.setting} ${unknown.because}: k3s would not run with it`,
        unknown.fix,
        'K3S_SETTING',
      );
    if (configText === undefined || configText.trim() === '')
      return unchanged(`${role}_config_yaml is not set`);
    return landConfigFile(seen, {
      path: configPath,
      content: configText.endsWith('\n') ? configText : `${configText}\n`,
    });
  },
});
