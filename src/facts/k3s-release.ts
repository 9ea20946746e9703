import { FleetError } from '../core/errors.ts';
import { fetchText } from '../engine/download.ts';
import type { ControlFact } from '../engine/fact.ts';
import { isChannel, type K3sVersion, mustParseVersion } from '../k3s/version.ts';

/**
 * The release that `k3s_version` means: itself, or what a channel points to now, asked once per run.
 * @see https://docs.k3s.io/upgrades/manual#release-channels
 */
export function wantedRelease(wanted: string, channelsUrl: string): ControlFact<K3sVersion> {
  return {
    key: `k3s:release:${wanted}:${channelsUrl}`,
    read: async () => (isChannel(wanted) ? resolveChannel(wanted, channelsUrl) : mustParseVersion(wanted)),
  };
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
