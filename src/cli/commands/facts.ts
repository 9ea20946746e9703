import { stringify } from 'yaml';
import { visible } from '../../core/terminal-text.ts';
import { ansibleFactsOf, hostFacts } from '../../facts/host.ts';
import { safeJson } from '../../ui/json.ts';
import { accessTo } from '../access.ts';
import { askHosts } from '../ask-hosts.ts';
import type { RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { openFleet } from '../open-fleet.ts';

/** Shows what `gather_facts` finds, host by host, under the names that playbooks know. */
export const facts: RunCommand = async (invocation) => {
  const {
    arguments: [pattern],
    settings,
    console,
  } = invocation;
  const opened = await openFleet(invocation, { needsCluster: false });
  const answers = await askHosts(
    await accessTo(opened, invocation),
    new Map(opened.hostsOf(pattern).map((host) => [host.name, [hostFacts]])),
  );
  const failures = answers.flatMap((answer) => answer.failed ?? answer.errorOf(hostFacts) ?? []);
  const found = Object.fromEntries(
    answers.flatMap((answer) => {
      const known = answer.of(hostFacts);
      return known === undefined ? [] : [[answer.host, ansibleFactsOf(known).ansible_facts]];
    }),
  );
  if (settings.output === 'json') console.result(safeJson(found, 2));
  else if (Object.keys(found).length > 0) console.result(visible(stringify(found)).trimEnd());
  if (failures.length > 0) console.errors(failures);
  return failures.length === 0 ? exit.ok : exit.failed;
};
