import { type Expiry, nodeCertificates } from '../../facts/k3s-certificates.ts';
import { k3sNode } from '../../steps/k3s-node.ts';
import { safeJson } from '../../ui/json.ts';
import { accessTo } from '../access.ts';
import { askHosts, asRoot } from '../ask-hosts.ts';
import { type Cell, columnText } from '../column-text.ts';
import type { RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { openFleet, viewOf } from '../open-fleet.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const WARNED_DAYS = 30;

/** How long the certificates of every node are valid. */
export const certs: RunCommand = async (invocation) => {
  const { settings, console } = invocation;
  const opened = await openFleet(invocation, { needsCluster: true });
  const limited = new Set(opened.hostsOf(undefined));
  const nodes = opened
    .cluster()
    .nodes.filter((host) => limited.has(host))
    .map((host) => {
      const node = k3sNode(viewOf(host, opened.fleet));
      return { host, role: node.role, question: nodeCertificates(node.settings.k3sServerLocation) };
    });
  const answers = await askHosts(
    await accessTo(opened, invocation),
    new Map(nodes.map(({ host, question }) => [host.name, [question]])),
    asRoot,
  );
  const rows = nodes.map(({ host, role, question }) => {
    const answer = answers.find((one) => one.host === host.name);
    const found = answer?.of(question);
    return {
      host: host.name,
      role,
      certificates: (found?.renewed ?? []).map(lasting),
      authorities: (found?.authorities ?? []).map(lasting),
      error: answer?.failed,
    };
  });
  const failures = rows.flatMap(({ error }) => error ?? []);
  if (settings.output === 'json') {
    console.result(
      safeJson(
        {
          nodes: rows.map(({ error, ...row }) => ({
            ...row,
            ...(error === undefined ? {} : { error: error.message }),
          })),
        },
        2,
      ),
    );
  } else {
    console.result(
      columnText(
        ['HOST', 'ROLE', 'FIRST TO END', 'ENDS', 'DAYS', 'AUTHORITIES'],
        rows.map(
          ({ host, role, certificates: [first], authorities: [authority], error }): (string | Cell)[] => [
            host,
            role,
            error !== undefined
              ? { text: 'unreachable', paint: 'red' }
              : (first?.path.split('/').at(-1) ?? '-'),
            first?.ends.slice(0, 10) ?? '-',
            first === undefined ? '-' : { text: String(first.days), paint: paintOf(first.days) },
            authority === undefined
              ? '-'
              : { text: `${authority.days} days`, paint: paintOf(authority.days) },
          ],
        ),
        console.outPalette,
      ),
    );
  }
  const soon = rows.flatMap(({ host, certificates: [first] }) =>
    first !== undefined && first.days < WARNED_DAYS ? [{ host, days: first.days }] : [],
  );
  for (const { host, days } of soon) {
    console.warn({
      code: 'CERTIFICATE_ENDS',
      message:
        days < 0
          ? `certificates of ${host} ended ${-days} days ago`
          : `certificates of ${host} end in ${days} days`,
      fix: 'k3s renews them when it starts: fleet restart. For new keys too: fleet rotate certs.',
    });
  }
  if (rows.some(({ authorities: [first] }) => first !== undefined && first.days < 12 * WARNED_DAYS)) {
    console.warn({
      code: 'AUTHORITY_ENDS',
      message: 'an authority of the cluster ends within a year, and is not renewed by itself',
      fix: 'Give the cluster others in time: fleet rotate ca; where you brought them yourself, fleet rotate ca --path FOLDER.',
    });
  }
  if (failures.length > 0) console.errors(failures);
  return failures.length > 0 || soon.some(({ days }) => days < 0) ? exit.failed : exit.ok;
};

/** @returns whole days, rounded down: 0 means that it ends today */
function lasting({ path, at }: Expiry): {
  readonly path: string;
  readonly ends: string;
  readonly days: number;
} {
  return { path, ends: at.toISOString(), days: Math.floor((at.getTime() - Date.now()) / DAY_MS) };
}

function paintOf(days: number): 'red' | 'yellow' | 'green' {
  if (days < 0) return 'red';
  return days < WARNED_DAYS ? 'yellow' : 'green';
}
