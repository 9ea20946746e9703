import { isMap, parseDocument } from 'yaml';
import { type UnknownSetting, unknownSettings } from './known-flags.ts';
import { compareVersions, type K3sVersion, mustParseVersion } from './version.ts';

/** All registries at once, where nobody names some. */
const everyRegistry = '*';

/**
 * The first release of each minor version that takes `*` for a registry; the last counts for all after.
 * @see https://github.com/k3s-io/k3s/issues/9728 (until March 2024 no registry was asked itself then)
 */
const everyRegistrySince = ['v1.26.15+k3s1', 'v1.27.12+k3s1', 'v1.28.8+k3s1', 'v1.29.3+k3s1'].map(
  mustParseVersion,
);

/** Releases whose nodes, with `*`, ask no registry itself, and those that mended it. @see https://github.com/k3s-io/k3s/issues/11857 */
const asksNobody: Readonly<Record<string, string>> = {
  'v1.31.6+k3s1': 'v1.31.7+k3s1',
  'v1.32.2+k3s1': 'v1.32.3+k3s1',
};

/**
 * registries.yaml for nodes that hand images on to each other: k3s does so for the registries that have a mirror entry, so that
 * one without any gets one for all of them. What the user wrote stays to the letter.
 * @see https://docs.k3s.io/installation/registry-mirror
 */
export function withMirrors(registries: string | undefined): string {
  const entry = `mirrors:\n  "${everyRegistry}":\n`;
  if (registries === undefined || registries.trim() === '') return entry;
  if (namesMirrors(registries)) return registries;
  const document = parseDocument(registries);
  const { contents } = document;
  // A text that is no mapping is told of when the inventory is checked.
  if (contents !== null && !isMap(contents)) return registries;
  if (contents?.delete('mirrors') !== true) return `${registries.replace(/\n?$/, '\n')}${entry}`;
  return contents.items.length === 0 ? entry : `${document.toString()}${entry}`;
}

function namesMirrors(registries: string): boolean {
  const { contents } = parseDocument(registries);
  const mirrors = isMap(contents) ? contents.get('mirrors') : undefined;
  return isMap(mirrors) && mirrors.items.length > 0;
}

/** Why a release cannot hand images on between nodes with these registries; `undefined` where it can. */
export function whyNoEmbeddedRegistry(
  version: K3sVersion,
  registries: string | undefined,
): Pick<UnknownSetting, 'because' | 'fix'> | undefined {
  const [unknown] = unknownSettings('server', version, { 'embedded-registry': true }, []);
  if (unknown !== undefined) return unknown;
  if (registries !== undefined && namesMirrors(registries)) return undefined;
  const fix = (release: string): string =>
    `Name them under mirrors in registries_config_yaml, or use ${release} or newer.`;
  const mended = asksNobody[version.text];
  if (mended !== undefined) {
    return {
      because: `needs the names of registries: with "${everyRegistry}" for all, nodes of ${version.text} can no longer pull from them`,
      fix: fix(mended),
    };
  }
  const since = everyRegistrySince.find(({ minor }) => minor === version.minor) ?? everyRegistrySince.at(-1);
  if (since === undefined || compareVersions(version, since) >= 0) return undefined;
  return {
    because: `needs the names of registries, since ${version.text} takes no "${everyRegistry}" for all`,
    fix: fix(since.text),
  };
}
