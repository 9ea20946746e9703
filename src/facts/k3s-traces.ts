import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { binaryPath, configFolder, uninstallPath } from '../k3s/paths.ts';

/** What k3s and fleet left on a host. */
export interface K3sTraces {
  readonly serverUninstaller: boolean;
  readonly agentUninstaller: boolean;
  /** Paths that are there, of those that belong to k3s alone. */
  readonly paths: readonly string[];
}

/** Files and folders that k3s, its install script or fleet make and nobody else uses. */
export function k3sTraces(dataFolder: string, systemdFolder: string): Fact<K3sTraces> {
  const unitFiles = ['k3s', 'k3s-agent'].flatMap((unit) => [
    `${systemdFolder}/${unit}.service`,
    `${systemdFolder}/${unit}.service.env`,
    `/etc/init.d/${unit}`,
  ]);
  const paths = [
    ...unitFiles,
    dataFolder,
    configFolder,
    '/etc/rancher/node',
    '/var/lib/kubelet',
    '/run/k3s',
    '/usr/local/bin/k3s-killall.sh',
    binaryPath,
  ];
  return {
    key: `k3s:traces:${dataFolder}`,
    sh: sh`[ -e ${uninstallPath('server')} ] && echo server
[ -e ${uninstallPath('agent')} ] && echo agent
for path in ${paths}; do if [ -e "$path" ] || [ -L "$path" ]; then echo "$path"; fi; done; true`,
    parse: ({ stdout }) => {
      const found = stdout.split('\n').filter((line) => line !== '');
      return {
        serverUninstaller: found.includes('server'),
        agentUninstaller: found.includes('agent'),
        paths: found.filter((line) => line.startsWith('/')),
      };
    },
  };
}
