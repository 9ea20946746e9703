import { isIP } from 'node:net';
import { Type } from '@sinclair/typebox';
import {
  askControl,
  askEach,
  type ControlFact,
  type EachQuestion,
  type Fact,
  type Questions,
} from '../engine/fact.ts';
import { defineStep, type HostView, type Plan, refuse, unchanged, unchangedBut } from '../engine/step.ts';
import { type HostFacts, hostFacts } from '../facts/host.ts';
import { type Iptables, iptables } from '../facts/iptables.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { type PortState, tcpPort } from '../facts/port.ts';
import {
  type FreeSpaceKiB,
  freeSpace,
  type HostProxy,
  hostProxy,
  type Listener,
  listeners,
  type OtherKubernetes,
  otherKubernetes,
  readOnlySystem,
} from '../facts/preflight.ts';
import { type Reached, type ReachTargets, reachOf } from '../facts/reach.ts';
import { type SourceReached, sourcesReached } from '../facts/sources.ts';
import { type TimeService, timeService } from '../facts/time-service.ts';
import type { Host } from '../inventory/fleet.ts';
import { hasFlag } from '../k3s/command-line.ts';
import { firewallNeeds, type ResolvedOpening } from './k3s-firewall-needs.ts';
import { addressOf, endpointUrl, type K3sNodeView, k3sNode, nodeNameOf } from './k3s-node.ts';
import { preflight } from './k3s-preflight.ts';
import type { Finding, PreflightHost, Way } from './preflight-finding.ts';

/** What every node of a cluster is asked; by the same questions, so that each can be judged beside all others. */
export interface PreflightFacts {
  readonly facts: Fact<HostFacts>;
  readonly listeners: Fact<readonly Listener[]>;
  readonly space: Fact<FreeSpaceKiB>;
  readonly server: Fact<InUse>;
  readonly agent: Fact<InUse>;
  readonly others: Fact<OtherKubernetes>;
  readonly time: Fact<TimeService>;
  readonly iptables: Fact<Iptables>;
  readonly proxy: Fact<HostProxy>;
  readonly readOnly: Fact<boolean>;
  readonly api: Fact<PortState>;
  readonly reach: Fact<Reached>;
}

/** The answer of one node to one of the questions. */
export type AnswerOf = <Value>(fact: Fact<Value>) => Value | undefined;

const connectTimeoutS = 2;

/** The questions for the cluster of a node. */
export function preflightFacts(host: HostView): PreflightFacts {
  const node = k3sNode(host);
  const { settings } = node;
  const { address } = apiOf(node);
  return {
    facts: hostFacts,
    listeners,
    space: freeSpace(settings.k3sServerLocation),
    server: inUse('server', settings.systemdDir),
    agent: inUse('agent', settings.systemdDir),
    others: otherKubernetes,
    time: timeService,
    iptables,
    proxy: hostProxy,
    readOnly: readOnlySystem,
    api: tcpPort(address, settings.apiPort, connectTimeoutS),
    reach: reachOf(targetsOf(host, node)),
  };
}

/** Where this machine itself fetches k3s for the nodes of a cluster, and whether it gets there. */
export function fetchedFrom(host: HostView): ControlFact<readonly SourceReached[]> {
  const { settings } = k3sNode(host);
  const urls = [
    ...(settings.binarySource === 'control' ? [settings.artifactUrl] : []),
    ...(settings.k3sInstallScript === undefined ? [settings.k3sInstallUrl] : []),
  ].filter((url) => /^https?:/.test(url) && URL.canParse(url));
  return sourcesReached(settings.airgapDir === undefined ? [...new Set(urls)] : []);
}

function apiOf({ settings, cluster }: K3sNodeView): {
  readonly address: string;
  readonly server: string | undefined;
} {
  const [first] = cluster.servers;
  const address = settings.apiEndpoint ?? (first === undefined ? '127.0.0.1' : addressOf(first));
  return {
    address,
    server: cluster.servers.find((server) => addressOf(server) === address || server.name === address)?.name,
  };
}

interface Target extends Way {
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  /** etcd is the servers' own. */
  readonly from: 'nodes' | 'servers';
}

/** What a new node must reach: the servers, by which it also finds whether the network lets flannel through. */
function waysOf(host: HostView, node: K3sNodeView): readonly Target[] {
  const [first] = node.cluster.servers;
  if (first === undefined) return [];
  const openings = openingsOn(host, first);
  return [
    ...node.cluster.servers.flatMap((each) => openings.flatMap((opening) => portsOf(opening, each))),
    ...outside(node),
  ];
}

/** What the nodes ask each other for, an agent the next one: its kubelet, and the network of the pods. */
function circleWaysOf(host: HostView, { cluster }: K3sNodeView): readonly Target[] {
  const [agent] = cluster.agents;
  if (agent === undefined) return [];
  const openings = openingsOn(host, agent).filter(({ group }) => group === 'nodes');
  return cluster.agents.flatMap((each) => openings.flatMap((opening) => portsOf(opening, each)));
}

/** By host: every node asks for those of the first server and the first agent. */
const opened = new WeakMap<Host, readonly ResolvedOpening[]>();

function openingsOn(host: HostView, other: Host): readonly ResolvedOpening[] {
  const before = opened.get(other);
  if (before !== undefined) return before;
  const view = viewOf(host, other);
  const needs = firewallNeeds(k3sNode(view), view, undefined, new Map());
  const openings = 'because' in needs ? [] : needs.openings;
  opened.set(other, openings);
  return openings;
}

function portsOf({ what, group, protocol, first, last }: ResolvedOpening, on: Host): readonly Target[] {
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    what,
    host: on.name,
    protocol,
    address: addressOf(on),
    port: first + index,
    from: group === 'servers' ? 'servers' : 'nodes',
  }));
}

/** Where nodes fetch k3s themselves, they must get out. */
function outside({ settings }: K3sNodeView): readonly Target[] {
  const hasProxy = environmentOf(settings).some((one) => /^https?_proxy=/i.test(one));
  if (settings.airgapDir !== undefined || settings.binarySource !== 'node' || hasProxy) return [];
  if (!URL.canParse(settings.artifactUrl)) return [];
  const { hostname, port, protocol } = new URL(settings.artifactUrl);
  const usual = protocol === 'http:' ? 80 : 443;
  return [
    {
      what: 'artifact_url, with binary_source: node',
      host: undefined,
      protocol: 'tcp',
      address: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? usual : Number(port),
      from: 'nodes',
    },
  ];
}

function targetsOf(host: HostView, node: K3sNodeView): ReachTargets {
  const targets = waysOf(host, node);
  const servers = node.cluster.servers.map((server) => addressOf(server));
  const nodes = node.cluster.nodes.map((each) => addressOf(each)).filter((address) => isIP(address) !== 0);
  const ports = circleWaysOf(host, node).map(({ protocol, port }) => `${protocol} ${port}`);
  const end = ({ address, port }: Target) => ({ address, port });
  const names = [...servers, apiOf(node).address];
  return {
    tcp: targets.filter(({ protocol }) => protocol === 'tcp').map(end),
    udp: targets.filter(({ protocol }) => protocol === 'udp').map(end),
    paths: node.cluster.nodes.length > 1 ? servers : [],
    names: node.settings.hostsEntries ? [] : [...new Set(names)].filter((name) => isIP(name) === 0),
    // With an airgap folder nobody outside of the inventory is asked anything.
    resolvConf: node.settings.airgapDir === undefined ? '/etc/resolv.conf' : '/dev/null',
    circle: { addresses: nodes.length > 1 ? nodes : [], skip: servers, ports: [...new Set(ports)] },
  };
}

function environmentOf(settings: K3sNodeView['settings']): readonly string[] {
  return [
    ...Object.entries(settings.extraInstallEnvs).map(([name, value]) => `${name}=${value}`),
    ...settings.extraServiceEnvs,
  ];
}

function viewOf(host: HostView, other: Host): HostView {
  return { ...host, name: other.name, groups: other.groups, vars: other.vars };
}

/** What the inventory says of a node, whatever is found there. */
type Written = Pick<
  PreflightHost,
  | 'host'
  | 'role'
  | 'openings'
  | 'ways'
  | 'unproxied'
  | 'environment'
  | 'endpoints'
  | 'opensPorts'
  | 'prefersBundled'
>;

const written = new WeakMap<Host, Written>();

function writtenOf(host: HostView, other: Host): Written {
  const before = written.get(other);
  if (before !== undefined) return before;
  const view = viewOf(host, other);
  const node = k3sNode(view);
  const needs = firewallNeeds(node, view, undefined, new Map());
  const addresses = node.cluster.nodes.map((each) => addressOf(each));
  const made: Written = {
    host: other.name,
    role: node.role,
    openings: 'because' in needs ? [] : needs.openings,
    ways: new Map([
      ...[...waysOf(view, node), ...circleWaysOf(view, node)]
        .filter(({ from }) => from === 'nodes' || node.role === 'server')
        .map(({ protocol, address, port, what, host: there }): [string, Way] => [
          `${protocol} ${address} ${port}`,
          { what, host: there },
        ]),
      ...node.cluster.servers.map((server): [string, Way] => [
        `path ${addressOf(server)}`,
        { what: 'packets', host: server.name },
      ]),
    ]),
    unproxied: [
      ...('because' in needs ? [] : [...needs.pods, ...needs.services]),
      ...addresses.filter((address) => isIP(address) !== 0),
    ],
    environment: environmentOf(node.settings),
    endpoints: [
      ...(node.settings.apiEndpoint === undefined ? [] : [node.settings.apiEndpoint]),
      ...node.cluster.servers.flatMap((server) => [addressOf(server), server.name]),
      ...['127.0.0.1', 'localhost'],
    ],
    opensPorts: node.settings.manageFirewall === true,
    prefersBundled: prefersBundled(node),
  };
  written.set(other, made);
  return made;
}

function prefersBundled({ config, extraArgs }: K3sNodeView): boolean | undefined {
  const flag = '--prefer-bundled-bin';
  if (hasFlag(extraArgs, flag)) return true;
  if (extraArgs.includes(`${flag}=false`)) return false;
  const written = config['prefer-bundled-bin'];
  return written === undefined ? undefined : written === true || written === 'true';
}

/** One node as it is judged; `undefined` for one that could not be asked. */
export function preflightHost(
  host: HostView,
  other: Host,
  asked: PreflightFacts,
  answerOf: AnswerOf,
  askedMs: number,
): PreflightHost | undefined {
  const facts = answerOf(asked.facts);
  if (facts === undefined) return undefined;
  const node = k3sNode(viewOf(host, other));
  const state = node.role === 'agent' ? answerOf(asked.api) : undefined;
  return {
    ...writtenOf(host, other),
    nodeName: nodeNameOf(node, facts.hostname),
    facts,
    service: serviceOf(node, answerOf(asked.server), answerOf(asked.agent)),
    freeKiB: answerOf(asked.space),
    listeners: answerOf(asked.listeners) ?? [],
    api: state === undefined ? undefined : { url: endpointUrl(node), state, server: apiOf(node).server },
    others: answerOf(asked.others),
    time: answerOf(asked.time),
    iptables: answerOf(asked.iptables),
    proxy: answerOf(asked.proxy),
    isReadOnly: answerOf(asked.readOnly),
    reached: answerOf(asked.reach),
    askedMs,
  };
}

type Answers = { readonly [Name in keyof PreflightFacts]: ReadonlyMap<string, unknown> };
type Seen = Answers & { readonly sources: readonly SourceReached[] };

/** In a run nobody measures how long each host took to answer: as long as a busy small board may take. */
const slowAnswerMs = 8000;

/**
 * The first task of a run: every reason for a later mysterious hang, in the trip that is made anyway. In a play of its own with
 * `max_fail_percentage: 0` a node with an error stops all, before anything is changed anywhere.
 */
export const k3sPreflightStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_preflight',
  summary:
    'Nothing that `fleet check` looks for keeps k3s from starting on the node, seen beside all other nodes of the play.',
  readsOnly: true,
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_preflight:\n'],
  look(_args, host): Questions<Seen> {
    const names = companions(host).map(({ name }) => name);
    const questions = Object.fromEntries(
      Object.entries(preflightFacts(host)).map(([name, fact]) => [name, askEach(names, fact)]),
    ) as { readonly [Name in keyof Answers]: EachQuestion<ReadonlyMap<string, unknown>> };
    return { ...questions, sources: askControl(fetchedFrom(host)) };
  },
  plan(seen, _args, host): Plan<Seen> {
    const asked = preflightFacts(host);
    const keys = new Map(Object.entries(asked).map(([name, fact]) => [fact, seen[name as keyof Answers]]));
    const hosts = companions(host).flatMap((other) => {
      const answerOf = <Value>(fact: Fact<Value>) =>
        keys.get(fact as Fact<never>)?.get(other.name) as Value | undefined;
      return preflightHost(host, other, asked, answerOf, slowAnswerMs) ?? [];
    });
    const findings = preflight(hosts, seen.sources);
    const own = findings.filter((finding) => finding.host === host.name);
    const errors = own.filter(({ severity }) => severity === 'error');
    if (errors.length > 0) return refuse(evidenceOf(errors), fixesOf(errors));
    if (own.length === 0) return unchanged('nothing is in the way of k3s');
    return unchangedBut('nothing keeps k3s from starting', {
      code: 'PREFLIGHT',
      message: evidenceOf(own),
      fix: fixesOf(own),
    });
  },
});

function evidenceOf(findings: readonly Finding[]): string {
  return findings.map(({ evidence }) => evidence).join('; ');
}

function fixesOf(findings: readonly Finding[]): string {
  const fixes = new Set(findings.map(({ fix }) => fix));
  const pages = new Set(findings.map(({ docs }) => docs));
  return [...fixes, `More: ${[...pages].join(', ')}`].join(' ');
}

/** The nodes of its cluster that are in the play: those of others, or left out by --limit, are not asked. */
function companions(host: HostView): readonly Host[] {
  const { cluster } = k3sNode(host);
  const inPlay = host.vars.get('ansible_play_hosts_all');
  if (!Array.isArray(inPlay)) return cluster.nodes;
  const names = new Set<unknown>(inPlay);
  return cluster.nodes.filter(({ name }) => names.has(name));
}

/** Its k3s in the role that it is to have, unless it runs in the other one still: the ports are its own then. */
function serviceOf(
  { role }: K3sNodeView,
  server: InUse | undefined,
  agent: InUse | undefined,
): InUse | undefined {
  const [own, other] = role === 'server' ? [server, agent] : [agent, server];
  return other?.state === 'active' && own?.state !== 'active' ? other : own;
}
