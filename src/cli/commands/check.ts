import type { Fact } from '../../engine/fact.ts';
import { hostFacts } from '../../facts/host.ts';
import { type InUse, inUse } from '../../facts/k3s-in-use.ts';
import { type PortState, tcpPort } from '../../facts/port.ts';
import { type FreeSpaceKiB, freeSpace, listeners } from '../../facts/preflight.ts';
import type { Host } from '../../inventory/fleet.ts';
import { firewallNeeds } from '../../steps/k3s-firewall-needs.ts';
import { addressOf, endpointUrl, k3sNode, nodeNameOf } from '../../steps/k3s-node.ts';
import { type Finding, type PreflightHost, preflight } from '../../steps/k3s-preflight.ts';
import { safeJson } from '../../ui/json.ts';
import { accessTo } from '../access.ts';
import { askHosts, asRoot, type HostAnswers } from '../ask-hosts.ts';
import { type Cell, columnText } from '../column-text.ts';
import type { RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { type OpenedFleet, openFleet, viewOf } from '../open-fleet.ts';

interface Questions {
  readonly service: Fact<InUse>;
  readonly space: Fact<FreeSpaceKiB>;
  readonly api: Fact<PortState> | undefined;
}

const CONNECT_TIMEOUT_S = 3;

/** Looks for what would make k3s fail or hang later, before anything is changed. Changes nothing. */
export const check: RunCommand = async (invocation) => {
  const { settings, console } = invocation;
  const opened = await openFleet(invocation, { needsCluster: true });
  const limited = new Set(opened.hostsOf(undefined).map(({ name }) => name));
  const hosts = opened.cluster().nodes.filter(({ name }) => limited.has(name));
  const questions = new Map(hosts.map((host) => [host, questionsOf(opened, host)]));
  const answers = await askHosts(
    await accessTo(opened, invocation),
    new Map(
      [...questions].map(([host, { service, space, api }]) => [
        host.name,
        [hostFacts, listeners, service, space, ...(api === undefined ? [] : [api])],
      ]),
    ),
    asRoot,
  );
  const findings = [
    ...answers.flatMap(unasked),
    ...preflight(
      [...questions].flatMap(([host, asked]) => {
        const answer = answers.find((one) => one.host === host.name);
        return answer === undefined ? [] : seenOf(opened, host, asked, answer);
      }),
    ),
  ];
  if (settings.output === 'json') console.result(safeJson({ findings }, 2));
  else if (findings.length === 0) console.result(`Nothing found on ${hosts.length} hosts.`);
  else console.result(findingsText(findings, console.outPalette));
  return findings.some(({ severity }) => severity === 'error') ? exit.failed : exit.ok;
};

function questionsOf(opened: OpenedFleet, host: Host): Questions {
  const node = k3sNode(viewOf(host, opened.fleet));
  const { apiEndpoint, apiPort, k3sServerLocation, systemdDir } = node.settings;
  const first = node.cluster.servers[0];
  const address = apiEndpoint ?? (first === undefined ? undefined : addressOf(first));
  return {
    service: inUse(node.role, systemdDir),
    space: freeSpace(k3sServerLocation),
    api:
      node.role === 'agent' && address !== undefined
        ? tcpPort(address, apiPort, CONNECT_TIMEOUT_S)
        : undefined,
  };
}

/** A host that cannot be asked as root is a finding like any other, with what the connection said. */
function unasked(answer: HostAnswers): readonly Finding[] {
  const error = answer.failed ?? answer.errorOf(hostFacts);
  if (error === undefined) return [];
  return [
    {
      severity: 'error',
      check: 'access',
      host: answer.host,
      evidence: `${error.code}: ${error.message}`,
      fix: error.fix ?? 'Log in by hand and see.',
    },
  ];
}

function seenOf(
  opened: OpenedFleet,
  host: Host,
  asked: Questions,
  answer: HostAnswers,
): readonly PreflightHost[] {
  const facts = answer.of(hostFacts);
  if (facts === undefined) return [];
  const view = viewOf(host, opened.fleet);
  const node = k3sNode(view);
  const needs = firewallNeeds(node, view, undefined, new Map());
  const state = asked.api === undefined ? undefined : answer.of(asked.api);
  return [
    {
      host: host.name,
      role: node.role,
      nodeName: nodeNameOf(node, facts.hostname),
      facts,
      service: answer.of(asked.service),
      freeKiB: answer.of(asked.space),
      listeners: answer.of(listeners) ?? [],
      openings: 'because' in needs ? [] : needs.openings,
      api: state === undefined ? undefined : { url: endpointUrl(node), state },
      askedMs: answer.durationMs,
    },
  ];
}

function findingsText(findings: readonly Finding[], palette: Parameters<typeof columnText>[2]): string {
  const rows = findings.map((one): (string | Cell)[] => [
    one.host,
    { text: one.severity, paint: one.severity === 'error' ? 'red' : 'yellow' },
    one.check,
    `${one.evidence}. ${one.fix}`,
  ]);
  return columnText(['HOST', 'SEVERITY', 'CHECK', 'WHAT'], rows, palette);
}
