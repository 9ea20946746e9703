import { dirname } from 'node:path/posix';
import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import {
  binaryPath,
  configFolder,
  defaultDataFolder,
  fleetFolder,
  leavingDropIn,
  nodeFolder,
  stagedFolder,
  uninstallPath,
} from '../k3s/paths.ts';

/** What k3s and fleet left on a host. */
export interface K3sTraces {
  readonly serverUninstaller: boolean;
  readonly agentUninstaller: boolean;
  /** Paths that are there, of those that belong to k3s alone. */
  readonly paths: readonly string[];
  /** `/etc/rancher` and `/var/lib/rancher`, where nothing is in them but what belongs to k3s. */
  readonly folders: readonly string[];
}

/** Files and folders that k3s, its install script or fleet make and nobody else uses. */
export function k3sTraces(dataFolder: string, systemdFolder: string): Fact<K3sTraces> {
  const unitFiles = ['k3s', 'k3s-agent'].flatMap((unit) => [
    `${systemdFolder}/${unit}.service`,
    `${systemdFolder}/${unit}.service.env`,
    `/etc/init.d/${unit}`,
    // With OpenRC the install script has k3s log to a file.
    `/etc/logrotate.d/${unit}`,
    `/var/log/${unit}.log`,
  ]);
  const paths = [
    ...unitFiles,
    dataFolder,
    configFolder,
    nodeFolder,
    '/var/lib/kubelet',
    '/run/k3s',
    '/usr/local/bin/k3s-killall.sh',
    binaryPath,
    stagedFolder,
    fleetFolder,
    leavingDropIn,
  ];
  const own = [configFolder, nodeFolder, dataFolder];
  return {
    key: `k3s:traces:${dataFolder}`,
    sh: sh`[ -e ${uninstallPath('server')} ] && echo server
[ -e ${uninstallPath('agent')} ] && echo agent
for path in ${paths}; do if [ -e "$path" ] || [ -L "$path" ]; then echo "$path"; fi; done
for folder in ${[configFolder, defaultDataFolder].map((path) => dirname(path))}; do
  # A link or a disk of its own is the host's, not ours.
  if [ ! -d "$folder" ] || [ -L "$folder" ]; then continue; fi
  disks=$(stat -c %d "$folder" "$folder/..")
  [ "\${disks%%[!0-9]*}" = "\${disks##*[!0-9]}" ] || continue
  others=
  for entry in "$folder"/* "$folder"/.[!.]*; do
    if [ -e "$entry" ] || [ -L "$entry" ]; then
      ours=; for path in ${own}; do [ "$entry" != "$path" ] || ours=yes; done
      [ -n "$ours" ] || others=yes
    fi
  done
  [ -n "$others" ] || echo "folder $folder"
done; true`,
    parse: ({ stdout }) => {
      const found = stdout.split('\n').filter((line) => line !== '');
      return {
        serverUninstaller: found.includes('server'),
        agentUninstaller: found.includes('agent'),
        paths: found.filter((line) => line.startsWith('/')),
        folders: found.flatMap((line) => /^folder (.+)$/.exec(line)?.[1] ?? []),
      };
    },
  };
}
