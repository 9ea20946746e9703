import { hostFacts } from '../../facts/host.ts';
import { preflight } from '../../steps/k3s-preflight.ts';
import { fetchedFrom, preflightFacts, preflightHost } from '../../steps/k3s-preflight-step.ts';
import { explained, type Finding } from '../../steps/preflight-finding.ts';
import { safeJson } from '../../ui/json.ts';
import { accessTo } from '../access.ts';
import { askHosts, asRoot, type HostAnswers } from '../ask-hosts.ts';
import { type Cell, columnText } from '../column-text.ts';
import type { RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { openFleet, viewOf } from '../open-fleet.ts';

/** Looks for what would make k3s fail or hang later, before anything is changed. Changes nothing. */
export const check: RunCommand = async (invocation) => {
  const { settings, console } = invocation;
  const opened = await openFleet(invocation, { needsCluster: true });
  const limited = new Set(opened.hostsOf(undefined).map(({ name }) => name));
  const hosts = opened.cluster().nodes.filter(({ name }) => limited.has(name));
  const questions = new Map(hosts.map((host) => [host, preflightFacts(viewOf(host, opened.fleet))]));
  const access = await accessTo(opened, invocation);
  const asked = new Map([...questions].map(([host, facts]) => [host.name, Object.values(facts)]));
  const [first] = hosts;
  const [answers, sources] = await Promise.all([
    askHosts(access, asked, asRoot),
    first === undefined ? [] : fetchedFrom(viewOf(first, opened.fleet)).read(),
  ]);
  const findings = [
    ...answers.flatMap(unasked),
    ...preflight(
      [...questions].flatMap(([host, facts]) => {
        const answer = answers.find((one) => one.host === host.name);
        if (answer === undefined) return [];
        const view = viewOf(host, opened.fleet);
        return preflightHost(view, host, facts, (fact) => answer.of(fact), answer.durationMs) ?? [];
      }),
      sources,
    ),
  ];
  if (settings.output === 'json') console.result(safeJson({ findings }, 2));
  else if (findings.length === 0) console.result(`Nothing found on ${hosts.length} hosts.`);
  else console.result(findingsText(findings, console.outPalette));
  return findings.some(({ severity }) => severity === 'error') ? exit.failed : exit.ok;
};

/** A host that cannot be asked as root is a finding like any other, with what the connection said. */
function unasked(answer: HostAnswers): readonly Finding[] {
  const error = answer.failed ?? answer.errorOf(hostFacts);
  if (error === undefined) return [];
  return [
    explained({
      severity: 'error',
      check: 'access',
      host: answer.host,
      evidence: `${error.code}: ${error.message}`,
      fix: error.fix ?? 'Log in by hand and see.',
    }),
  ];
}

function findingsText(findings: readonly Finding[], palette: Parameters<typeof columnText>[2]): string {
  const rows = findings.map((one): (string | Cell)[] => [
    one.host,
    { text: one.severity, paint: one.severity === 'error' ? 'red' : 'yellow' },
    one.check,
    `${one.evidence}. ${one.fix} (${one.docs})`,
  ]);
  return columnText(['HOST', 'SEVERITY', 'CHECK', 'WHAT'], rows, palette);
}
