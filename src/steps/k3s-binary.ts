import { Type } from '@sinclair/typebox';
import { type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl } from '../engine/fact.ts';
import {
  change,
  defineStep,
  type HostView,
  type Plan,
  type Refuse,
  refuse,
  unchanged,
} from '../engine/step.ts';
import { type AirgapFile, airgapFolder, binaryIn, noAirgapFolder } from '../facts/airgap-folder.ts';
import { sha256Of } from '../facts/file.ts';
import {
  type InstalledBinary,
  installedBinary,
  type StagedBinaries,
  stagedBinaries,
} from '../facts/k3s-binary.ts';
import { type InUse, inUse, withNewer } from '../facts/k3s-in-use.ts';
import { wantedRelease } from '../facts/k3s-release.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { binaryPath, stagedFolder } from '../k3s/paths.ts';
import {
  archOf,
  binaryName,
  compareVersions,
  type K3sArch,
  type K3sVersion,
  whyNotUpgrade,
} from '../k3s/version.ts';
import { carriedBy, paceOf } from './airgap-needs.ts';
import { k3sNode } from './k3s-node.ts';

/** What is there, what is wanted, and where that comes from. */
export interface BinarySeen {
  readonly installed: InstalledBinary;
  readonly staged: StagedBinaries;
  readonly wanted: K3sVersion;
  readonly airgap: readonly AirgapFile[];
  readonly data: ServerData;
}

interface Seen extends BinarySeen {
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
    return { ...binaryQuestions(host), inUse: ask(inUse(role, settings.systemdDir)) };
  },
  plan(seen, _args, host): Plan<Seen> {
    const { installed, wanted } = seen;
    if (isRelease(installed, wanted)) return unchanged(`${wanted.text} is installed`);
    const fetch = binaryAction(host, seen, binaryPath);
    if ('verdict' in fetch) return fetch;
    const waiting = stagedPath(fetch, seen);
    const action = isStaged(waiting, seen) ? swap(waiting) : fetch;
    return change(becauseOf(installed, wanted), [action], {
      diff: [{ subject: binaryPath, before: installed.version?.text, after: wanted.text }],
      after: {
        installed: { machine: installed.machine, version: wanted },
        staged: new Map(),
        inUse: withNewer(seen.inUse, binaryPath),
      },
    });
  },
});

/**
 * By rename, with a time of its own: newer than what runs, whenever it was brought here. SELinux goes by the label of the file, which a
 * rename leaves as it was beside its place: k3s would not run in its own domain.
 * @see https://github.com/k3s-io/k3s-selinux (k3s.fc: container_runtime_exec_t)
 */
function swap(waiting: string): Action {
  return {
    kind: 'run',
    what: `put the binary that waits beside it in the place of ${binaryPath}`,
    script: sh`touch ${waiting} && mv -f ${waiting} ${binaryPath} && rm -rf ${stagedFolder} || exit 1
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon > /dev/null 2>&1; then restorecon ${binaryPath}; fi`,
  };
}

/** Where a binary waits, by where it came from: what tells the same version may be another file. */
export function stagedPath(fetch: Action, seen: BinarySeen): string {
  return `${stagedFolder}/${sha256Of(sourceOf(fetch, seen)).slice(0, 16)}`;
}

function sourceOf(fetch: Action, { airgap }: BinarySeen): string {
  if (fetch.kind === 'run') return fetch.what;
  if (fetch.kind !== 'upload') return '';
  const { source } = fetch;
  if (source.from === 'release') return source.url;
  return `${source.path} ${airgap.find(({ path }) => path === source.path)?.sizeBytes ?? 0}`;
}

export function isStaged(waiting: string, { staged, wanted }: BinarySeen): boolean {
  const version = staged.get(waiting.slice(stagedFolder.length + 1));
  return version !== undefined && compareVersions(version, wanted) === 0;
}

export function binaryQuestions(host: HostView) {
  const { settings } = k3sNode(host);
  return {
    installed: ask(installedBinary),
    staged: ask(stagedBinaries),
    wanted: askControl(wantedRelease(settings.k3sVersion, settings.channelsUrl, settings.airgapDir)),
    airgap: askControl(settings.airgapDir === undefined ? noAirgapFolder : airgapFolder(settings.airgapDir)),
    data: ask(serverData(settings.k3sServerLocation)),
  };
}

export function isRelease({ version }: InstalledBinary, wanted: K3sVersion): boolean {
  return version !== undefined && compareVersions(version, wanted) === 0;
}

/** Why a server that has data must not get the wanted release. */
export function whyNotRelease(host: HostView, { installed, wanted, data }: BinarySeen): Refuse | undefined {
  const isMember = k3sNode(host).role === 'server' && data.datastore !== 'none';
  const hindrance =
    isMember && installed.version !== undefined ? whyNotUpgrade(installed.version, wanted) : undefined;
  return hindrance && refuse(hindrance.because, hindrance.fix);
}

/** The action that brings the wanted binary to a path on the host, or why there is none. */
export function binaryAction(host: HostView, seen: BinarySeen, path: string): Action | Refuse {
  const { installed } = seen;
  const arch = archOf(installed.machine);
  if (arch === undefined) {
    return refuse(
      `k3s publishes no binary for ${installed.machine}`,
      'Use an x86_64, aarch64 or armv7 host.',
    );
  }
  const hindrance = whyNotRelease(host, seen);
  if (hindrance !== undefined) return hindrance;
  const action = fetchAction(host, seen, arch, path);
  return typeof action === 'string'
    ? refuse(action, 'Put the file into airgap_dir, or unset airgap_dir to fetch it.')
    : action;
}

function becauseOf(installed: InstalledBinary, wanted: K3sVersion): string {
  if (installed.version !== undefined)
    return `${installed.version.text} is installed, ${wanted.text} is wanted`;
  return installed.broken === undefined
    ? `k3s is not installed, ${wanted.text} is wanted`
    : `the k3s that is there does not run (${installed.broken})`;
}

/** The action that puts the binary there, or which file is missing. */
function fetchAction(host: HostView, seen: BinarySeen, arch: K3sArch, path: string): Action | string {
  const node = k3sNode(host);
  const { settings } = node;
  const placed = { path, mode: '0755', owner: 'root', group: 'root' } as const;
  if (settings.airgapDir !== undefined) {
    const file = binaryIn(seen.airgap, arch, seen.wanted.text);
    if (file === undefined) return `airgap_dir ${settings.airgapDir} holds no k3s binary for ${arch}`;
    return {
      kind: 'upload',
      source: { from: 'file', path: file.path },
      ...placed,
      ...carriedBy(node, host),
      validate: (staged) => isReleaseScript(staged, seen.wanted),
    };
  }
  const base = `${settings.artifactUrl.replace(/\/+$/, '')}/${encodeURIComponent(seen.wanted.text)}`;
  const url = `${base}/${binaryName(arch)}`;
  const sums = { url: `${base}/sha256sum-${arch}.txt`, name: binaryName(arch) };
  if (settings.binarySource === 'node') return downloadOnNode(url, sums, path);
  return { kind: 'upload', source: { from: 'release', url, sums }, ...placed, pace: paceOf(settings) };
}

/** A folder may hold anything under the name: the program itself says on the host which release it is, before it lands. */
function isReleaseScript(staged: string, wanted: K3sVersion): ShellScript {
  return sh`said=$(${staged} --version 2>&1) || { echo "it does not run: $said"; exit 1; }
case $said in ${`k3s version ${wanted.text} `}*) ;; *) echo ${`it is not ${wanted.text}`}", it says $said"; exit 1 ;; esac`;
}

/** For hosts with a fast line of their own: they fetch and verify it themselves, by the same published sums. */
function downloadOnNode(
  url: string,
  sums: { readonly url: string; readonly name: string },
  path: string,
): Action {
  return {
    kind: 'run',
    what: `fetch ${url} on the host and verify it`,
    survives: true,
    deadlineMs: 1_800_000,
    script: sh`set -e; umask 077
temporary=${`${path}.fleet-download~`}; trap 'rm -f "$temporary" "$temporary.sums"' EXIT
fetch() { if command -v curl > /dev/null; then curl -fsSL --retry 4 --connect-timeout 15 -o "$2" "$1"; else wget -q -T 60 -O "$2" "$1"; fi; }
fetch ${sums.url} "$temporary.sums"
sum=$(awk -v name=${sums.name} '$2 == name || $2 == "*" name { print $1 }' "$temporary.sums")
[ -n "$sum" ] || { echo ${`${sums.url} holds no sha256 for ${sums.name}`} >&2; exit 1; }
fetch ${url} "$temporary"
if command -v openssl > /dev/null; then got=$(openssl dgst -sha256 -r "$temporary"); else got=$(sha256sum "$temporary"); fi
[ "\${got%% *}" = "$sum" ] || { echo ${`${url} has another sha256 than published`}": \${got%% *}" >&2; exit 1; }
chown root:root "$temporary"; chmod 0755 "$temporary"; sync "$temporary" 2> /dev/null || sync
mv -f "$temporary" ${path}`,
  };
}
