/** Where k3s keeps things. @see https://docs.k3s.io/installation/configuration and the upstream install script */
export const binaryPath = '/usr/local/bin/k3s';
export const configFolder = '/etc/rancher/k3s';
export const configPath = `${configFolder}/config.yaml`;
/** Read after config.yaml, in alphabetical order; a `+` behind a key adds to a list instead of replacing it. */
export const fleetConfigPath = `${configFolder}/config.yaml.d/90-fleet.yaml`;
export const registriesPath = `${configFolder}/registries.yaml`;
export const kubeconfigPath = `${configFolder}/k3s.yaml`;
export const defaultDataFolder = '/var/lib/rancher/k3s';
export const defaultSystemdFolder = '/etc/systemd/system';

/**
 * kubectl as the questions and steps ask it, on a server. Left to itself it keeps what it learns of the API in root's home, and renews
 * that every ten minutes; here it lies beside what k3s keeps until the next boot.
 */
export const kubectlWords: readonly string[] = [binaryPath, 'kubectl', '--cache-dir=/run/k3s/fleet-kubectl'];

export type Role = 'server' | 'agent';

/** The name of the unit or init script. */
export function unitName(role: Role): string {
  return role === 'server' ? 'k3s' : 'k3s-agent';
}

/** The script that the install script leaves for removing k3s again. */
export function uninstallPath(role: Role): string {
  return role === 'server' ? '/usr/local/bin/k3s-uninstall.sh' : '/usr/local/bin/k3s-agent-uninstall.sh';
}
