import { compareVersions, type K3sVersion } from './version.ts';

/** The way from what the servers run to the release that is wanted. */
export interface UpgradePath {
  /** The oldest release among the servers. */
  readonly from: K3sVersion;
  /** `v1.34`: minor versions on the way that have to run before the wanted one does, oldest first. */
  readonly between: readonly string[];
  readonly to: K3sVersion;
}

/**
 * A control plane moves one minor version at a time; which patch of those between is run on the way is free. Where some
 * servers are ahead already, a broken-off upgrade goes on from the one that is behind.
 * @param running what the servers run; not empty
 * @see https://kubernetes.io/releases/version-skew-policy/
 */
export function upgradePath(running: readonly K3sVersion[], to: K3sVersion): UpgradePath {
  const [from = to] = [...running].sort(compareVersions);
  const between: string[] = [];
  if (from.major === to.major) {
    for (let minor = from.minor + 1; minor < to.minor; minor += 1) between.push(`v${to.major}.${minor}`);
  }
  return { from, between, to };
}
