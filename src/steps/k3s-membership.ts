import { Type } from '@sinclair/typebox';
import { stringify } from 'yaml';
import { ask, askEach } from '../engine/fact.ts';
import { defineStep, type HostView, refuse, unchanged } from '../engine/step.ts';
import { inUse } from '../facts/k3s-in-use.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { type SelinuxState, selinuxState } from '../facts/selinux.ts';
import { configOf } from '../k3s/config-text.ts';
import { type Membership, membershipOf } from '../k3s/membership.ts';
import { defaultDataFolder, fleetConfigPath } from '../k3s/paths.ts';
import { type ConfigFileSeen, landConfigFile, siteQuestions } from './k3s-file.ts';
import { addressOf, endpointUrl, type K3sNodeView, k3sNode, serverAddresses, serverUrl } from './k3s-node.ts';

interface Seen extends ConfigFileSeen {
  readonly selinux: SelinuxState;
  readonly servers: ReadonlyMap<string, ServerData | undefined>;
}

const banner = '# Written by fleet: what the inventory says of this node beside its own config.yaml.\n';

/** fleet's part of the config stands in a file of its own, so that config.yaml stays the user's to the letter. */
export const k3sMembershipStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_membership',
  summary:
    'config.yaml.d/90-fleet.yaml says how the node belongs to its cluster: starts it, joins it, or shares its datastore; where its data is; and the names its certificate is for.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_membership:\n'],
  look(_args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      ...siteQuestions(fleetConfigPath),
      inUse: ask(inUse(role, settings.systemdDir)),
      selinux: ask(selinuxState),
      servers: askEach(role === 'agent' ? [] : servers, serverData(settings.k3sServerLocation)),
    };
  },
  plan(seen, _args, host) {
    const node = k3sNode(host);
    const membership: Membership =
      node.role === 'agent'
        ? { kind: 'single' }
        : membershipOf(host.name, seen.servers, node.externalDatastore);
    if (membership.kind === 'refused') return refuse(membership.because, membership.fix);
    const wanted = fleetConfig(node, host, membership, configOf(seen.content.text), seen.selinux);
    if (Object.keys(wanted).length === 0 && seen.file.self === undefined)
      return unchanged('there is nothing to add');
    const plan = landConfigFile<Seen>(seen, {
      path: fleetConfigPath,
      content: `${banner}${stringify(wanted)}`,
    });
    if (plan.verdict !== 'change' || !('because' in membership)) return plan;
    return { ...plan, because: `${plan.because}; ${membership.because}` };
  },
});

/** Only what the user has not said himself: his config.yaml and his flags win. */
function fleetConfig(
  node: K3sNodeView,
  host: HostView,
  membership: Membership,
  onDisk: Readonly<Record<string, unknown>>,
  selinux: SelinuxState,
): Record<string, unknown> {
  const { settings, role, config, extraArgs } = node;
  const says = (key: string): boolean =>
    key in config || extraArgs.some((arg) => arg === `--${key}` || arg.startsWith(`--${key}=`));
  const wanted: Record<string, unknown> = {};
  if (settings.k3sServerLocation !== defaultDataFolder && !says('data-dir'))
    wanted['data-dir'] = settings.k3sServerLocation;
  // Where SELinux enforces, containerd must label what it starts. @see https://docs.k3s.io/advanced#selinux-support
  if (selinux.inUse === 'enforcing' && !says('selinux')) wanted.selinux = true;
  if (role === 'agent') return wanted;
  if (settings.apiPort !== 6443 && !says('https-listen-port')) wanted['https-listen-port'] = settings.apiPort;
  if (settings.clusterCidr !== undefined && !says('cluster-cidr'))
    wanted['cluster-cidr'] = settings.clusterCidr;
  if (settings.serviceCidr !== undefined && !says('service-cidr'))
    wanted['service-cidr'] = settings.serviceCidr;
  wanted[says('tls-san') ? 'tls-san+' : 'tls-san'] = certificateNames(node, host);
  return { ...wanted, ...joining(node, host, membership, onDisk, says) };
}

function joining(
  node: K3sNodeView,
  host: HostView,
  membership: Membership,
  onDisk: Readonly<Record<string, unknown>>,
  says: (key: string) => boolean,
): Record<string, unknown> {
  switch (membership.kind) {
    case 'init':
      return says('cluster-init') ? {} : { 'cluster-init': true };
    case 'join':
      return says('server') ? {} : { server: joinUrl(node, host, membership.through) };
    case 'member': {
      // With data on its disk k3s reads neither of the two: whatever started it stays written.
      const kept = ['cluster-init', 'server'].filter((key) => key in onDisk);
      return Object.fromEntries(kept.map((key) => [key, onDisk[key]]));
    }
    case 'single':
    case 'external':
    case 'refused':
      return {};
  }
}

/** Through the endpoint for all, unless that is this very server: a wiped first server must join through another. */
function joinUrl(node: K3sNodeView, host: HostView, through: string): string {
  const endpoint = node.settings.apiEndpoint;
  const isServerAddress = endpoint !== undefined && serverAddresses(node).includes(endpoint);
  if (endpoint === undefined || isServerAddress || endpoint === addressOf(host))
    return serverUrl(node, through);
  return endpointUrl(node);
}

/** k3s itself adds what it knows of the host; what it cannot know is the endpoint and the address that the inventory uses. */
function certificateNames(node: K3sNodeView, host: HostView): string[] {
  const { apiEndpoint, optTlsSan } = node.settings;
  const names = [...(apiEndpoint === undefined ? [] : [apiEndpoint]), addressOf(host), ...optTlsSan];
  return [...new Set(names)];
}
