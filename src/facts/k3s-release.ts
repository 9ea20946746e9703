import { FleetError } from '../core/errors.ts';
import { fetchText } from '../engine/download.ts';
import type { ControlFact } from '../engine/fact.ts';
import { compareVersions, isChannel, type K3sVersion, mustParseVersion } from '../k3s/version.ts';
import { airgapFolder, releaseFolders } from './airgap-folder.ts';
import { bundleOf } from './airgap-inspection.ts';

/**
 * The release that `k3s_version` means: itself, or what a channel points to now, asked once per run. With an airgap
 * folder nobody outside is asked: a channel is the newest release of it that the folder says it has.
 * @see https://docs.k3s.io/upgrades/manual#release-channels
 */
export function wantedRelease(
  wanted: string,
  channelsUrl: string,
  airgapDir?: string,
): ControlFact<K3sVersion> {
  return {
    key: `k3s:release:${wanted}:${airgapDir ?? channelsUrl}`,
    read: async () => {
      if (!isChannel(wanted)) return mustParseVersion(wanted);
      return airgapDir === undefined ? resolveChannel(wanted, channelsUrl) : newestIn(airgapDir, wanted);
    },
  };
}

async function newestIn(folder: string, channel: string): Promise<K3sVersion> {
  const named = (await bundleOf(folder))?.versions ?? releaseFolders(await airgapFolder(folder).read());
  const newest = named
    .map((text) => mustParseVersion(text))
    .filter(({ text }) => !channel.startsWith('v') || text.startsWith(`${channel.replace(/-testing$/, '')}.`))
    .filter(({ text }) => channel.includes('testing') || !text.includes('-rc'))
    .sort(compareVersions)
    .at(-1);
  if (newest !== undefined) return newest;
  throw new FleetError({
    code: 'CHANNEL_OFFLINE',
    message: `airgap_dir ${folder} does not say which release ${channel} is: it has ${named.length === 0 ? 'neither a list nor folders of releases' : named.join(', ')}`,
    where: { file: folder },
    fix: 'Set k3s_version to the release that is in the folder, e.g. v1.33.4+k3s1.',
    blame: 'usage',
  });
}

async function resolveChannel(channel: string, url: string): Promise<K3sVersion> {
  const release = releaseOf(await fetchText(url), channel);
  if (release !== undefined) return mustParseVersion(release);
  throw new FleetError({
    code: 'CHANNEL_UNKNOWN',
    message: `${url} knows no channel ${channel}`,
    fix: 'Set k3s_version to a release (v1.33.4+k3s1) or to another channel.',
  });
}

/** `{"data":[{"id":"stable","name":"stable","latest":"v1.33.4+k3s1", …}]}` */
function releaseOf(text: string, channel: string): string | undefined {
  try {
    const { data } = JSON.parse(text) as { data?: unknown };
    if (!Array.isArray(data)) return undefined;
    const entry = data.find(
      (item: { id?: unknown; name?: unknown }) => item?.id === channel || item?.name === channel,
    );
    return typeof entry?.latest === 'string' ? entry.latest : undefined;
  } catch {
    return undefined;
  }
}
