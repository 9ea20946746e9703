import type { Fact } from '../../engine/fact.ts';
import { hostFacts } from '../../facts/host.ts';
import { type InstalledBinary, installedBinary } from '../../facts/k3s-binary.ts';
import { certificateExpiry } from '../../facts/k3s-certificates.ts';
import { type InUse, inUse } from '../../facts/k3s-in-use.ts';
import { type K3sNode, k3sNodes } from '../../facts/k3s-nodes.ts';
import type { Host } from '../../inventory/fleet.ts';
import type { Role } from '../../k3s/paths.ts';
import { k3sNode, nodeNameOf } from '../../steps/k3s-node.ts';
import { safeJson } from '../../ui/json.ts';
import { accessTo } from '../access.ts';
import { askHosts, asRoot, type HostAnswers } from '../ask-hosts.ts';
import { clusterRun } from '../cluster-run.ts';
import { type Cell, columnText } from '../column-text.ts';
import type { Invocation, RunCommand } from '../command.ts';
import { quietPlan } from '../drive.ts';
import { exit } from '../exit-codes.ts';
import { type OpenedFleet, openFleet, viewOf } from '../open-fleet.ts';

/** One node, as the inventory, the host and the cluster's API tell of it. */
interface NodeStatus {
  readonly host: string;
  /** What k3s calls it. */
  readonly node: string;
  readonly role: Role;
  readonly installed: string | undefined;
  readonly running: string | undefined;
  readonly service: InUse['state'] | 'unknown';
  readonly ready: boolean | undefined;
  readonly voter: boolean | undefined;
  readonly cordoned: boolean;
  readonly certificateDays: number | undefined;
  /** How many steps `fleet up` would change; `undefined` where that could not be decided. */
  readonly drift: number | undefined;
  readonly error?: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** k3s renews on a restart within this many days of the end. */
const RENEWABLE_DAYS = 90;

/** Nodes, roles, versions, services, voters, certificates, and what differs from the inventory. */
export const status: RunCommand = async (invocation) => {
  const { settings, console } = invocation;
  const opened = await openFleet(invocation, { needsCluster: true });
  const cluster = opened.cluster();
  const roles = new Map<Host, Role>([
    ...cluster.servers.map((host) => [host, 'server'] as const),
    ...cluster.agents.map((host) => [host, 'agent'] as const),
  ]);
  const limited = new Set(opened.hostsOf(undefined).map(({ name }) => name));
  const questions = new Map<string, Questions>(
    [...roles]
      .filter(([host]) => limited.has(host.name))
      .map(([host, role]) => [host.name, questionsOf(opened, host, role)]),
  );
  const [answers, drift] = await Promise.all([
    askHosts(
      await accessTo(opened, invocation),
      new Map(
        [...questions].map(([host, asked]) => [
          host,
          Object.values(asked).filter((fact) => fact !== undefined),
        ]),
      ),
      asRoot,
    ),
    driftOf(invocation, opened),
  ]);
  const api = answers
    .map((answer) => answer.of(k3sNodes))
    .find((told) => told !== undefined && 'nodes' in told);
  const nodes = api !== undefined && 'nodes' in api ? api.nodes : undefined;
  const statuses = [...roles].flatMap(([host, role]) => {
    const answer = answers.find((one) => one.host === host.name);
    const asked = questions.get(host.name);
    if (answer === undefined || asked === undefined) return [];
    return [
      statusOf({ opened, host, role, answer, asked, nodes, drift: drift?.get(host.name) ?? (drift && 0) }),
    ];
  });
  const failures = answers.flatMap((answer) => answer.failed ?? []);
  if (settings.output === 'json') {
    console.result(safeJson({ cluster: cluster.name, apiAnswers: nodes !== undefined, nodes: statuses }, 2));
  } else {
    console.result(statusText(statuses, console.outPalette));
    if (nodes === undefined) console.note(console.errPalette.yellow('No API server answers.'));
    const unknown = settings.limit === undefined ? strangers(nodes, statuses) : [];
    for (const name of unknown) {
      console.note(console.errPalette.yellow(`${name} is in the cluster and not in the inventory.`));
    }
    if (failures.length > 0) console.errors(failures);
  }
  const isWell =
    nodes !== undefined && statuses.every((one) => one.ready === true && one.error === undefined);
  return isWell ? exit.ok : exit.failed;
};

interface Questions {
  readonly binary: Fact<InstalledBinary>;
  readonly service: Fact<InUse>;
  readonly certificates: ReturnType<typeof certificateExpiry>;
  readonly identity: typeof hostFacts;
  readonly nodes: typeof k3sNodes | undefined;
}

function questionsOf(opened: OpenedFleet, host: Host, role: Role): Questions {
  const node = k3sNode(viewOf(host, opened.fleet));
  return {
    binary: installedBinary,
    service: inUse(role, node.settings.systemdDir),
    certificates: certificateExpiry(node.settings.k3sServerLocation),
    identity: hostFacts,
    nodes: role === 'server' ? k3sNodes : undefined,
  };
}

function statusOf(about: {
  opened: OpenedFleet;
  host: Host;
  role: Role;
  answer: HostAnswers;
  asked: Questions;
  nodes: readonly K3sNode[] | undefined;
  drift: number | undefined;
}): NodeStatus {
  const { answer, asked, host, role, nodes } = about;
  const expiry = answer.of(asked.certificates);
  const name = nodeName(about);
  const node = nodes?.find((one) => one.name === name);
  return {
    host: host.name,
    node: name,
    role,
    installed: answer.of(asked.binary)?.version?.text,
    running: node?.version,
    service: answer.of(asked.service)?.state ?? 'unknown',
    ready: node?.ready ?? (nodes === undefined ? undefined : false),
    voter: node?.etcdVoter,
    cordoned: node?.unschedulable ?? false,
    certificateDays:
      expiry === undefined ? undefined : Math.floor((expiry.at.getTime() - Date.now()) / DAY_MS),
    drift: answer.failed === undefined ? about.drift : undefined,
    ...(answer.failed === undefined ? {} : { error: answer.failed.message }),
  };
}

function nodeName({
  opened,
  host,
  answer,
}: {
  opened: OpenedFleet;
  host: Host;
  answer: HostAnswers;
}): string {
  const node = k3sNode(viewOf(host, opened.fleet));
  return nodeNameOf(node, answer.of(hostFacts)?.hostname ?? host.name);
}

/** Nodes that the API knows and no host of the inventory is; only known where every host was asked. */
function strangers(
  nodes: readonly K3sNode[] | undefined,
  statuses: readonly NodeStatus[],
): readonly string[] {
  if (nodes === undefined || statuses.some(({ error }) => error !== undefined)) return [];
  const known = new Set(statuses.map(({ node }) => node));
  return nodes.map(({ name }) => name).filter((name) => !known.has(name));
}

function statusText(statuses: readonly NodeStatus[], palette: Parameters<typeof columnText>[2]): string {
  const rows = statuses.map((one): (string | Cell)[] => [
    one.host,
    one.role,
    readiness(one),
    one.running ?? '-',
    one.installed === one.running || one.installed === undefined
      ? (one.installed ?? '-')
      : { text: one.installed, paint: 'yellow' },
    { text: one.service, paint: one.service === 'active' ? 'green' : 'red' },
    one.role === 'agent' || one.voter === undefined
      ? '-'
      : one.voter
        ? 'voter'
        : { text: 'learner', paint: 'yellow' },
    certificate(one.certificateDays),
    drift(one.drift),
  ]);
  return columnText(
    ['HOST', 'ROLE', 'READY', 'RUNNING', 'INSTALLED', 'SERVICE', 'ETCD', 'CERTIFICATES', 'DRIFT'],
    rows,
    palette,
  );
}

function readiness(one: NodeStatus): Cell {
  if (one.error !== undefined) return { text: 'unreachable', paint: 'red' };
  if (one.ready === undefined) return { text: 'unknown', paint: 'yellow' };
  if (!one.ready) return { text: 'not ready', paint: 'red' };
  return one.cordoned ? { text: 'ready, cordoned', paint: 'yellow' } : { text: 'ready', paint: 'green' };
}

function certificate(days: number | undefined): string | Cell {
  if (days === undefined) return '-';
  if (days < 0) return { text: `ended ${-days} days ago`, paint: 'red' };
  return days < RENEWABLE_DAYS ? { text: `${days} days, restart renews`, paint: 'yellow' } : `${days} days`;
}

function drift(steps: number | undefined): string | Cell {
  if (steps === undefined) return '?';
  return steps === 0 ? { text: 'none', paint: 'green' } : { text: `${steps} to change`, paint: 'yellow' };
}

/** Per host how many steps would change; `undefined` where no plan can be made. */
async function driftOf(
  invocation: Invocation,
  opened: OpenedFleet,
): Promise<ReadonlyMap<string, number> | undefined> {
  const wanted = await clusterRun(invocation, { command: 'status', playbook: 'site' }, opened);
  const events = await quietPlan(invocation, wanted);
  if (events === undefined) return undefined;
  const counts = new Map<string, number>();
  for (const event of events) {
    if (event.kind !== 'task-finished' || event.status !== 'would-change') continue;
    counts.set(event.host, (counts.get(event.host) ?? 0) + 1);
  }
  return counts;
}
