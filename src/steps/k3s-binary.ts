import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type AirgapFile, airgapFolder, binaryIn, noAirgapFolder } from '../facts/airgap-folder.ts';
import { type InstalledBinary, installedBinary } from '../facts/k3s-binary.ts';
import { type InUse, inUse, withNewer } from '../facts/k3s-in-use.ts';
import { wantedRelease } from '../facts/k3s-release.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { binaryPath } from '../k3s/paths.ts';
import {
  archOf,
  binaryName,
  compareVersions,
  type K3sArch,
  type K3sVersion,
  whyNotUpgrade,
} from '../k3s/version.ts';
import { type K3sNodeView, k3sNode } from './k3s-node.ts';

interface Seen {
  readonly installed: InstalledBinary;
  readonly wanted: K3sVersion;
  readonly airgap: readonly AirgapFile[];
  readonly data: ServerData;
  readonly inUse: InUse;
}

/** The file is replaced by rename, so a running k3s goes on with the old one until it is restarted. */
export const k3sBinaryStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_binary',
  summary:
    '/usr/local/bin/k3s is the release that k3s_version names, for the architecture of the host, verified against the published sha256 or taken from airgap_dir.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_binary:\n'],
  look(_args, host) {
    const { role, settings } = k3sNode(host);
    return {
      installed: ask(installedBinary),
      wanted: askControl(wantedRelease(settings.k3sVersion, settings.channelsUrl)),
      airgap: askControl(
        settings.airgapDir === undefined ? noAirgapFolder : airgapFolder(settings.airgapDir),
      ),
      data: ask(serverData(settings.k3sServerLocation)),
      inUse: ask(inUse(role, settings.systemdDir)),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const { installed, wanted } = seen;
    if (installed.version !== undefined && compareVersions(installed.version, wanted) === 0) {
      return unchanged(`${wanted.text} is installed`);
    }
    const arch = archOf(installed.machine);
    if (arch === undefined) {
      return refuse(
        `k3s publishes no binary for ${installed.machine}`,
        'Use an x86_64, aarch64 or armv7 host.',
      );
    }
    const isMember = node.role === 'server' && seen.data.datastore !== 'none';
    const hindrance =
      isMember && installed.version !== undefined ? whyNotUpgrade(installed.version, wanted) : undefined;
    if (hindrance !== undefined) return refuse(hindrance.because, hindrance.fix);
    const action = installAction(node, seen, arch);
    if (typeof action === 'string') {
      return refuse(action, 'Put the file into airgap_dir, or unset airgap_dir to fetch it.');
    }
    return change(becauseOf(installed, wanted), [action], {
      diff: [{ subject: binaryPath, before: installed.version?.text, after: wanted.text }],
      after: {
        installed: { machine: installed.machine, version: wanted },
        inUse: withNewer(seen.inUse, binaryPath),
      },
    });
  },
});

function becauseOf(installed: InstalledBinary, wanted: K3sVersion): string {
  if (installed.version !== undefined)
    return `${installed.version.text} is installed, ${wanted.text} is wanted`;
  return installed.broken === undefined
    ? `k3s is not installed, ${wanted.text} is wanted`
    : `the k3s that is there does not run (${installed.broken})`;
}

/** The action that puts the binary there, or which file is missing. */
function installAction(node: K3sNodeView, seen: Seen, arch: K3sArch): Action | string {
  const { settings } = node;
  const placed = { path: binaryPath, mode: '0755', owner: 'root', group: 'root' } as const;
  if (settings.airgapDir !== undefined) {
    const file = binaryIn(seen.airgap, arch);
    if (file === undefined) return `airgap_dir ${settings.airgapDir} holds no k3s binary for ${arch}`;
    return { kind: 'upload', source: { from: 'file', path: file.path }, ...placed };
  }
  const base = `${settings.artifactUrl.replace(/\/+$/, '')}/${encodeURIComponent(seen.wanted.text)}`;
  const url = `${base}/${binaryName(arch)}`;
  const sums = { url: `${base}/sha256sum-${arch}.txt`, name: binaryName(arch) };
  if (settings.binarySource === 'node') return downloadOnNode(url, sums);
  return { kind: 'upload', source: { from: 'release', url, sums }, ...placed };
}

/** For hosts with a fast line of their own: they fetch and verify it themselves, by the same published sums. */
function downloadOnNode(url: string, sums: { readonly url: string; readonly name: string }): Action {
  return {
    kind: 'run',
    what: `fetch ${url} on the host and verify it`,
    survives: true,
    deadlineMs: 1_800_000,
    script: sh`set -e; umask 077
temporary=${`${binaryPath}.fleet-download~`}; trap 'rm -f "$temporary" "$temporary.sums"' EXIT
fetch() { if command -v curl > /dev/null; then curl -fsSL --retry 4 --connect-timeout 15 -o "$2" "$1"; else wget -q -T 60 -O "$2" "$1"; fi; }
fetch ${sums.url} "$temporary.sums"
sum=$(awk -v name=${sums.name} '$2 == name || $2 == "*" name { print $1 }' "$temporary.sums")
[ -n "$sum" ] || { echo ${`${sums.url} holds no sha256 for ${sums.name}`} >&2; exit 1; }
fetch ${url} "$temporary"
if command -v openssl > /dev/null; then got=$(openssl dgst -sha256 -r "$temporary"); else got=$(sha256sum "$temporary"); fi
[ "\${got%% *}" = "$sum" ] || { echo ${`${url} has another sha256 than published`}": \${got%% *}" >&2; exit 1; }
chown root:root "$temporary"; chmod 0755 "$temporary"; sync "$temporary" 2> /dev/null || sync
mv -f "$temporary" ${binaryPath}`,
  };
}
