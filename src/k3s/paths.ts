/** Where k3s keeps things. @see https://docs.k3s.io/installation/configuration and the upstream install script */
export const binaryPath = '/usr/local/bin/k3s';
export const configFolder = '/etc/rancher/k3s';
/** Holds the password that the node joined with. */
export const nodeFolder = '/etc/rancher/node';
export const configPath = `${configFolder}/config.yaml`;
/** Read after config.yaml, in alphabetical order; a `+` behind a key adds to a list instead of replacing it. */
export const fleetConfigPath = `${configFolder}/config.yaml.d/90-fleet.yaml`;
export const registriesPath = `${configFolder}/registries.yaml`;
export const kubeconfigPath = `${configFolder}/k3s.yaml`;
export const defaultDataFolder = '/var/lib/rancher/k3s';
export const defaultSystemdFolder = '/etc/systemd/system';
/** Keeps systemd from starting a server again that has just lost its place in the cluster. Gone after a reboot. */
export const leavingDropIn = '/run/systemd/system/k3s.service.d/90-fleet-leaving.conf';

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

/** What fleet keeps on a node for itself. */
export const fleetFolder = '/usr/local/lib/fleet';
/** What ran well on a node, for the day when what comes after it does not: root's alone, for secrets are in it. */
export const keptFolder = `${fleetFolder}/k3s-kept`;
/** Holds the next binary, verified, where a rename puts it in place. Its name is that of where it came from, hashed. */
export const stagedFolder = '/usr/local/bin/.k3s-staged-by-fleet';
