import { FleetError } from '../core/errors.ts';
import { compareVersions, isChannel, type K3sVersion, mustParseVersion } from '../k3s/version.ts';

/** What the channel server lists: channel to release. @see https://docs.k3s.io/upgrades/manual#release-channels */
export type Channels = ReadonlyMap<string, string>;

/** @throws FleetError CHANNELS_UNREADABLE */
export function parseChannels(text: string, url: string): Channels {
  try {
    const { data } = JSON.parse(text) as { data: { id?: unknown; latest?: unknown }[] };
    return new Map(
      data.flatMap(({ id, latest }) =>
        typeof id === 'string' && typeof latest === 'string' ? [[id, latest] as const] : [],
      ),
    );
  } catch (cause) {
    throw new FleetError(
      {
        code: 'CHANNELS_UNREADABLE',
        message: `${url} is no list of channels`,
        fix: 'Give exact versions, or the right --channels-url.',
      },
      { cause },
    );
  }
}

/** Whether any of these needs the channels to be asked. */
export function needsChannels(wanted: readonly string[], upgradePath: boolean): boolean {
  return upgradePath || wanted.some(isChannel);
}

/**
 * The releases that are meant, oldest first. With `upgradePath` also the newest of every minor between the oldest and
 * the newest: a control plane may skip none.
 * @throws FleetError K3S_VERSION_FORM, CHANNEL_UNKNOWN, UPGRADE_PATH
 */
export function wantedReleases(
  wanted: readonly string[],
  channels: Channels,
  upgradePath: boolean,
): readonly K3sVersion[] {
  const named = wanted.map((text) => mustParseVersion(isChannel(text) ? resolved(text, channels) : text));
  const [oldest, ...rest] = [...named].sort(compareVersions);
  const newest = rest.at(-1);
  const between: K3sVersion[] = [];
  if (upgradePath) {
    if (oldest === undefined || newest === undefined || oldest.major !== newest.major) {
      throw new FleetError({
        code: 'UPGRADE_PATH',
        message: 'an upgrade path leads from one version to another',
        fix: 'Give both: --version v1.31.2+k3s1,v1.33.4+k3s1 --upgrade-path',
        blame: 'usage',
      });
    }
    for (let minor = oldest.minor + 1; minor < newest.minor; minor += 1) {
      between.push(mustParseVersion(resolved(`v${oldest.major}.${minor}`, channels)));
    }
  }
  const unique = new Map([...named, ...between].map((version) => [version.text, version]));
  return [...unique.values()].sort(compareVersions);
}

function resolved(channel: string, channels: Channels): string {
  const release = channels.get(channel);
  if (release !== undefined) return release;
  throw new FleetError({
    code: 'CHANNEL_UNKNOWN',
    message: `there is no channel ${channel}`,
    fix: `Give an exact version, or one of the channels: ${[...channels.keys()].slice(0, 8).join(', ')}`,
  });
}
