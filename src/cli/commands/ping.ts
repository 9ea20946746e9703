import { identity } from '../../facts/identity.ts';
import { formatDuration } from '../../ui/duration.ts';
import { safeJson } from '../../ui/json.ts';
import { accessTo } from '../access.ts';
import { askHosts } from '../ask-hosts.ts';
import { type Cell, columnText } from '../column-text.ts';
import type { RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { openFleet } from '../open-fleet.ts';

/** Logs in on every host, becomes root there, and says who answered. */
export const ping: RunCommand = async (invocation) => {
  const {
    arguments: [pattern],
    settings,
    console,
  } = invocation;
  const opened = await openFleet(invocation, { needsCluster: false });
  const hosts = opened.hostsOf(pattern);
  const answers = await askHosts(
    await accessTo(opened, invocation),
    new Map(hosts.map((host) => [host.name, [identity]])),
  );
  const failures = answers.flatMap((answer) => answer.failed ?? answer.errorOf(identity) ?? []);
  if (settings.output === 'json') {
    const data = answers.map((answer) => ({
      host: answer.host,
      ok: answer.failed === undefined,
      durationMs: answer.durationMs,
      ...(answer.of(identity) ?? {}),
      ...(answer.failed === undefined ? {} : { error: answer.failed.toFault() }),
    }));
    console.result(safeJson(data, 2));
  } else {
    const rows = answers.map((answer): (string | Cell)[] => {
      const me = answer.of(identity);
      const state: Cell =
        me === undefined ? { text: 'failed', paint: 'red' } : { text: 'ok', paint: 'green' };
      return [answer.host, state, me?.user ?? '', formatDuration(answer.durationMs)];
    });
    console.result(columnText(['HOST', 'ANSWER', 'AS', 'TOOK'], rows, console.outPalette));
    if (failures.length > 0) console.errors(failures);
  }
  return failures.length === 0 ? exit.ok : exit.failed;
};
