import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type K3sTraces, k3sTraces } from '../facts/k3s-traces.ts';
import { uninstallPath } from '../k3s/paths.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly traces: K3sTraces;
}

/** The uninstall script knows mounts, network devices and rules; what it leaves behind is removed after it. */
export const k3sAbsentStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_absent',
  summary: 'k3s, its data and its configuration are gone from the host.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_absent:\n'],
  look(_args, host) {
    const { k3sServerLocation, systemdDir } = k3sNode(host).settings;
    return { traces: ask(k3sTraces(k3sServerLocation, systemdDir)) };
  },
  plan(seen): Plan<Seen> {
    const { paths, folders } = seen.traces;
    const [first, ...rest] = absentActions(seen.traces);
    if (first === undefined) return unchanged('nothing of k3s is here');
    return change(
      `${[...uninstallers(seen.traces), ...paths, ...folders].join(', ')} are here`,
      [first, ...rest],
      {
        touches: 'everything',
        after: { traces: { serverUninstaller: false, agentUninstaller: false, paths: [], folders: [] } },
      },
    );
  },
});

function uninstallers({ serverUninstaller, agentUninstaller }: K3sTraces): readonly string[] {
  return [
    ...(serverUninstaller ? [uninstallPath('server')] : []),
    ...(agentUninstaller ? [uninstallPath('agent')] : []),
  ];
}

/** What takes all of it off the host; nothing where there is nothing. */
export function absentActions(traces: K3sTraces): readonly Action[] {
  return [
    ...uninstallers(traces).map(
      (script): Action => ({
        kind: 'run',
        what: `run ${script}`,
        survives: true,
        deadlineMs: 600_000,
        script: sh`${script}; code=$?; [ ! -e ${script} ] || exit "$code"`,
      }),
    ),
    ...traces.paths.map((path): Action => ({ kind: 'remove', path, recursive: true })),
    // The script may have removed them already, and somebody may have put something there meanwhile.
    ...traces.folders.map(
      (folder): Action => ({
        kind: 'run',
        what: `remove ${folder} if it is empty`,
        script: sh`[ ! -d ${folder} ] || rmdir ${folder} 2> /dev/null; true`,
      }),
    ),
  ];
}
