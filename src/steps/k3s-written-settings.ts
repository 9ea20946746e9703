import type { SettingSources } from '../k3s/effective-setting.ts';
import { splitAssignment } from '../k3s/env-file.ts';
import type { K3sNodeView } from './k3s-node.ts';

/** What the user says of k3s' own settings in the inventory, where k3s will find it. */
export function writtenSettings({ extraArgs, settings, config }: K3sNodeView): SettingSources {
  return {
    args: extraArgs,
    env: new Map([
      ...Object.entries(settings.extraInstallEnvs),
      ...settings.extraServiceEnvs.flatMap((assignment) => {
        const pair = splitAssignment(assignment);
        return pair === undefined ? [] : [pair];
      }),
    ]),
    configs: [config],
  };
}
