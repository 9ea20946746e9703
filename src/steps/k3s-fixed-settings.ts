import { Type } from '@sinclair/typebox';
import { ask, askEach } from '../engine/fact.ts';
import { defineStep, type HostView, type Plan, type Refuse, refuse, unchanged } from '../engine/step.ts';
import { type Content, contentOf } from '../facts/file.ts';
import { type Installation, installation } from '../facts/k3s-installation.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { formatAddress, parseNetwork } from '../jinja/ip.ts';
import { configOf } from '../k3s/config-text.ts';
import { datastoreEndpoint } from '../k3s/datastore-endpoint.ts';
import { effectiveSetting, type SettingSources } from '../k3s/effective-setting.ts';
import { caHashOf, passwordOf } from '../k3s/membership.ts';
import { configPath, defaultDataFolder, fleetConfigPath } from '../k3s/paths.ts';
import { type K3sNodeView, k3sNode } from './k3s-node.ts';
import { writtenSettings } from './k3s-written-settings.ts';
import { writtenTokens } from './k3s-written-token.ts';

interface Seen {
  readonly there: Installation;
  readonly config: Content;
  readonly added: Content;
  readonly servers: ReadonlyMap<string, ServerData | undefined>;
}

/**
 * Told before anything is changed anywhere. What k3s was started with for the first time it has written into its data, into
 * every Node and every Service: with another value it starts, and the cluster falls apart later.
 */
export const k3sFixedSettingsStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_fixed_settings',
  summary:
    'What a cluster keeps for its life is as the inventory says: its token, the networks of its pods and services, its domain, and where its data is. Changes nothing.',
  readsOnly: true,
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_fixed_settings:\n'],
  look(_args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      there: ask(installation(role, settings.systemdDir)),
      config: ask(contentOf(configPath)),
      added: ask(contentOf(fleetConfigPath)),
      servers: askEach(servers, serverData(settings.k3sServerLocation)),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    return (
      whyNotToken(node, seen) ??
      (node.role === 'server' ? whyNotSettings(node, host, seen) : undefined) ??
      unchanged('it is what the cluster was made with')
    );
  },
});

/** A token of the inventory opens the cluster that is there, or is refused: nobody's token is replaced. */
function whyNotToken(node: K3sNodeView, { config, servers }: Seen): Refuse | undefined {
  const live = [...servers.values()].flatMap((data) =>
    data?.token === undefined || data.datastore === 'none' ? [] : [data.token],
  );
  if (live.length === 0) return undefined;
  const forAgents = [...servers.values()].flatMap((data) => data?.agentToken ?? []);
  const opening = node.role === 'agent' ? [...live, ...forAgents] : live;
  const { token } = node.settings;
  const given = [
    ...(token === undefined ? [] : [{ where: 'the inventory', token }]),
    ...writtenTokens(node, config.text),
  ];
  const other = given.find((one) => {
    // `k3s token create` makes some for agents, which no file lists.
    if (node.role === 'agent' && /^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(passwordOf(one.token))) return false;
    const ca = caHashOf(one.token);
    return !opening.some(
      (known) =>
        passwordOf(known) === passwordOf(one.token) && (ca === undefined || ca === (caHashOf(known) ?? ca)),
    );
  });
  return (
    other &&
    refuse(
      `the token in ${other.where} is not the one that the cluster has`,
      'Put the cluster’s own token there, or take it out: fleet reads the live one. To give the cluster another token: fleet rotate token, which then says what to put into the inventory.',
      'TOKEN_DIFFERS',
    )
  );
}

/** One value that cannot change, as k3s would have it for want of a word. */
interface Fixed {
  readonly key: string;
  readonly usual: (sources: SettingSources) => string | undefined;
  readonly why: string;
}

const podNetwork = '10.42.0.0/16';
const serviceNetwork = '10.43.0.0/16';

/** @see https://docs.k3s.io/cli/server#networking and https://docs.k3s.io/networking/basic-network-options */
const fixed: readonly Fixed[] = [
  {
    key: 'cluster-cidr',
    usual: () => podNetwork,
    why: 'every node has its part of it, and keeps that',
  },
  {
    key: 'service-cidr',
    usual: () => serviceNetwork,
    why: 'every Service has an address in it, and keeps that',
  },
  {
    key: 'cluster-dns',
    usual: (sources) => tenthOf(effectiveSetting('service-cidr', sources) ?? serviceNetwork),
    why: 'the pods that run ask that address',
  },
  {
    key: 'cluster-domain',
    usual: () => 'cluster.local',
    why: 'the pods that run find each other by it',
  },
];

function whyNotSettings(node: K3sNodeView, host: HostView, seen: Seen): Refuse | undefined {
  if (seen.there.args === undefined) return undefined;
  const before = startedWith(seen.there, seen);
  const after = asWanted(node, seen);
  const moved = whyNotFolder(node, before);
  if (moved !== undefined) return moved;
  const own = seen.servers.get(host.name);
  if (own === undefined || own.datastore === 'none') return undefined;
  for (const { key, usual, why } of fixed) {
    const [has, wants] = [before, after].map((sources) =>
      (effectiveSetting(key, sources) ?? usual(sources))?.replaceAll(/\s/g, ''),
    );
    if (has === undefined || wants === undefined || has === wants) continue;
    return refuse(
      `${key} would be ${wants}, and the cluster was made with ${has}: ${why}`,
      `Write ${has} there again. Another ${key} takes another cluster: fleet reset, then fleet up.`,
      'SETTING_FIXED',
    );
  }
  return whyNotDatabase(before, after, own);
}

function whyNotFolder(node: K3sNodeView, before: SettingSources): Refuse | undefined {
  const has = folderIn(before) ?? defaultDataFolder;
  const wants = folderIn(writtenSettings(node)) ?? node.settings.k3sServerLocation.replace(/\/+$/, '');
  if (has === wants) return undefined;
  return refuse(
    `k3s keeps its data in ${has}, and with ${wants} it would begin anew`,
    `Write ${has} there again (k3s_server_location); or reset the host, if its data may go.`,
    'SETTING_FIXED',
  );
}

function folderIn(sources: SettingSources): string | undefined {
  return effectiveSetting('data-dir', sources)?.replace(/(.)\/+$/, '$1');
}

/** Who logs in there may change; another database under a server that runs would be another cluster beside the others'. */
function whyNotDatabase(before: SettingSources, after: SettingSources, own: ServerData): Refuse | undefined {
  const [has, wants] = [before, after].map((sources) => {
    const said = effectiveSetting('datastore-endpoint', sources);
    return said === undefined ? undefined : datastoreEndpoint(said)?.shown;
  });
  if (has === undefined || wants === undefined || has === wants || !own.running) return undefined;
  return refuse(
    `the database of the cluster is ${has}, and the inventory names ${wants}: the servers would write to two of them`,
    'Stop the cluster first (fleet stop), bring its data to the other database with the tools of that, then run fleet up.',
    'DATASTORE_CHANGED',
  );
}

/** What is on its disk is what it was started with, since nothing was changed yet. */
function startedWith({ args = [], env }: Installation, { config, added }: Seen): SettingSources {
  return {
    args: args.slice(1),
    env: new Map([...(env ?? [])].map(([name, value]) => [name, value.reveal()])),
    configs: [configOf(config.text), configOf(added.text)],
  };
}

/** What the inventory leaves alone stays: a config.yaml that it does not write. */
function asWanted(node: K3sNodeView, { config }: Seen): SettingSources {
  const { settings } = node;
  const isOurs = node.configText !== undefined && node.configText.trim() !== '';
  const written = writtenSettings(node);
  return {
    ...written,
    configs: [
      {
        ...(settings.clusterCidr === undefined ? {} : { 'cluster-cidr': settings.clusterCidr }),
        ...(settings.serviceCidr === undefined ? {} : { 'service-cidr': settings.serviceCidr }),
      },
      isOurs ? node.config : configOf(config.text),
    ],
  };
}

/** k3s' own choice for the cluster's name server. */
function tenthOf(networks: string): string {
  return networks
    .split(',')
    .flatMap((text) => {
      const network = parseNetwork(text.trim());
      return network === undefined ? [] : [formatAddress(network.version, network.value + 10n)];
    })
    .join(',');
}
