import { flagValue } from './command-line.ts';

/** Where k3s finds its settings. */
export interface SettingSources {
  /** Behind `k3s server` or `k3s agent`. */
  readonly args: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  /** config.yaml, then what is in config.yaml.d: of two that say the same key the later one counts. */
  readonly configs: readonly Readonly<Record<string, unknown>>[];
}

/**
 * What k3s goes by for a setting that is one value: flags win over the environment, and both over the config files.
 * A list counts as its values with commas between them. `undefined` where nobody says it.
 * @see https://docs.k3s.io/installation/configuration
 */
export function effectiveSetting(key: string, { args, env, configs }: SettingSources): string | undefined {
  const said =
    flagValue(args, `--${key}`) ??
    env.get(`K3S_${key.toUpperCase().replaceAll('-', '_')}`) ??
    configs.findLast((config) => key in config)?.[key];
  if (said === undefined || said === null) return undefined;
  return Array.isArray(said) ? said.map(String).join(',') : String(said);
}
