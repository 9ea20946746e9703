import { Secret } from '../core/secret.ts';
import { flagValue } from '../k3s/command-line.ts';
import { configOf } from '../k3s/config-text.ts';
import { splitAssignment } from '../k3s/env-file.ts';
import { configPath } from '../k3s/paths.ts';
import type { K3sNodeView } from './k3s-node.ts';

/** A token in the user's own words, beside the variable `token`: fleet does not change it behind his back. */
export interface WrittenToken {
  /** The variable, or the file on the node. */
  readonly where: string;
  readonly token: Secret;
}

/**
 * Every place that gives the node a token, in the order in which k3s goes by them.
 * @param configOnDisk the node's config.yaml, which counts where the inventory leaves it alone
 */
export function writtenTokens(node: K3sNodeView, configOnDisk: string | undefined): readonly WrittenToken[] {
  const { role, extraArgs, settings, configText } = node;
  const isOurs = configText !== undefined && configText.trim() !== '';
  const config = isOurs ? node.config : configOf(configOnDisk);
  const inService = settings.extraServiceEnvs
    .map((assignment) => splitAssignment(assignment))
    .findLast((pair) => pair?.[0] === 'K3S_TOKEN')?.[1];
  const places: readonly (readonly [string, unknown])[] = [
    [`extra_${role}_args`, flagValue(extraArgs, '--token') ?? flagValue(extraArgs, '-t')],
    ['extra_service_envs', inService],
    ['extra_install_envs', settings.extraInstallEnvs.K3S_TOKEN],
    [isOurs ? `${role}_config_yaml` : configPath, config.token],
  ];
  return places.flatMap(([where, token]) =>
    typeof token === 'string' && token !== '' ? [{ where, token: new Secret(token) }] : [],
  );
}
