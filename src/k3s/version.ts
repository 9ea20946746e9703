import semver from 'semver';
import { FleetError } from '../core/errors.ts';

/**
 * A k3s release: `vMAJOR.MINOR.PATCH[-rcN]+k3sN`. semver calls `+k3sN` build metadata and ignores it when ordering
 * (`compareBuild` puts +k3s10 before +k3s2), yet +k3s2 is newer than +k3s1: hence this file, the only importer of semver.
 * @see https://docs.k3s.io/upgrades/manual
 */
export interface K3sVersion {
  /** As published, `v1.33.4+k3s1`. */
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  /** The N of `+k3sN`. */
  readonly build: number;
}

const form = /^v\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?\+k3s(\d+)$/;

/** The version that a text is, or `undefined`. A missing `v` is forgiven, a missing `+k3sN` is not: it names no release. */
export function parseVersion(text: string): K3sVersion | undefined {
  const published = text.startsWith('v') ? text : `v${text}`;
  const match = form.exec(published);
  const parsed = semver.parse(published);
  if (match === null || parsed === null) return undefined;
  return { text: published, major: parsed.major, minor: parsed.minor, build: Number(match[1]) };
}

/** @throws FleetError K3S_VERSION_FORM */
export function mustParseVersion(text: string): K3sVersion {
  const version = parseVersion(text);
  if (version !== undefined) return version;
  throw new FleetError({
    code: 'K3S_VERSION_FORM',
    message: `${JSON.stringify(text)} is no k3s version`,
    fix: 'Write one as k3s publishes them, e.g. v1.33.4+k3s1, or a channel: stable, latest, v1.33.',
    blame: 'usage',
  });
}

/** Negative when `a` is older, zero when they are the same release, positive when `a` is newer. */
export function compareVersions(a: K3sVersion, b: K3sVersion): number {
  if (a.text === b.text) return 0;
  return semver.compare(counted(a.text), counted(b.text)) || a.build - b.build;
}

/** semver compares `rc10` and `rc2` letter by letter; `rc.10` and `rc.2` by number. */
function counted(text: string): string {
  return text.replace(/-([A-Za-z]+)(\d+)/, '-$1.$2');
}

/** Whether a text names a channel rather than a release: `stable`, `latest`, `testing`, `v1.33` (each also with `-testing`). */
export function isChannel(text: string): boolean {
  return /^(stable|latest|testing|v\d+\.\d+(-testing)?)$/.test(text);
}

/**
 * Why a server that runs `from` must not be started as `to`, or `undefined` when it may.
 * Kubernetes' skew policy: the control plane moves one minor at a time and never back.
 * @see https://kubernetes.io/releases/version-skew-policy/
 */
export function whyNotUpgrade(
  from: K3sVersion,
  to: K3sVersion,
): { because: string; fix: string } | undefined {
  if (from.major !== to.major || to.minor < from.minor) {
    return {
      because: `${from.text} runs, and a control plane cannot go back to ${to.text}`,
      fix: 'Keep the minor version, or restore a snapshot that was taken with the older release.',
    };
  }
  if (to.minor > from.minor + 1) {
    return {
      because: `${from.text} runs, and ${to.text} would skip a minor version of the control plane`,
      fix: `Set k3s_version to a v${from.major}.${from.minor + 1} release first, run fleet up, then go on to the next minor.`,
    };
  }
  return undefined;
}

/** The release architectures by `uname -m`: `k3s`, `k3s-arm64`, `k3s-armhf` and `sha256sum-{amd64,arm64,arm}.txt`. */
export type K3sArch = 'amd64' | 'arm64' | 'arm';

/** The release architecture of a machine, or `undefined` where k3s publishes none. */
export function archOf(machine: string): K3sArch | undefined {
  if (machine === 'x86_64' || machine === 'amd64') return 'amd64';
  if (machine === 'aarch64' || machine === 'arm64') return 'arm64';
  if (/^armv[78]/.test(machine) || machine === 'armhf' || machine === 'arm') return 'arm';
  return undefined;
}

/** The name of the binary in a release. */
export function binaryName(arch: K3sArch): string {
  return { amd64: 'k3s', arm64: 'k3s-arm64', arm: 'k3s-armhf' }[arch];
}

/** The version in `k3s --version`: `k3s version v1.33.4+k3s1 (abcdef12)`. */
export function versionIn(output: string): K3sVersion | undefined {
  const match = /^k3s version (\S+)/m.exec(output);
  return match?.[1] === undefined ? undefined : parseVersion(match[1]);
}
