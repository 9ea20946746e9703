import { Type } from '@sinclair/typebox';
import { type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { configPartsFolder, type Kept, kept } from '../facts/k3s-kept.ts';
import { k3sNodes } from '../facts/k3s-nodes.ts';
import { binaryPath, keptFolder, unitName } from '../k3s/paths.ts';
import { optional, text } from './arguments.ts';
import { k3sNode, nodeNameOf } from './k3s-node.ts';
import {
  type NodesByServer,
  nodeIsReady,
  readinessWaits,
  serverToAsk,
  withReadyNode,
} from './k3s-readiness.ts';
import { startAction, startWait } from './k3s-service.ts';

interface Seen {
  readonly service: InUse;
  readonly kept: Kept | undefined;
  readonly hostName: HostName;
  readonly nodes: NodesByServer;
}

const args = Type.Object(
  {
    failure: optional(
      text('Why the change is taken back: told, too, where taking it back fails in its turn.'),
    ),
  },
  { additionalProperties: false },
);

/** What was configured, and did not work, stays there to be looked at. */
export const rejectedFolder = `${keptFolder}/rejected`;

/** For the `rescue` of a block that changes a node: what ran well before is put back, started, and proved. */
export const k3sRollbackStep = defineStep<typeof args, Seen>({
  name: 'k3s_rollback',
  summary:
    'A node that does not run well with what is on its disk runs again with what k3s_keep kept, and is Ready (and votes); a node that runs well, or of which nothing is kept, is left alone.',
  args,
  examples: ['- k3s_rollback:\n', '- k3s_rollback:\n    failure: "{{ ansible_failed_result.msg }}"\n'],
  look(_args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      service: ask(inUse(role, settings.systemdDir)),
      kept: ask(kept(role, settings.systemdDir)),
      hostName: ask(hostName),
      nodes: askEach(servers, k3sNodes),
    };
  },
  plan(seen, { failure }, host): Plan<Seen> {
    const node = k3sNode(host);
    const { service } = seen;
    const name = nodeNameOf(node, seen.hostName.inUse);
    if (seen.kept === undefined) return unchanged('nothing is kept: it never ran well here');
    const { differs, version, invocation } = seen.kept;
    if (differs.length === 0) return unchanged('what ran well is what is on disk');
    const isReady = nodeIsReady(node, name, seen.nodes.get(serverToAsk(node, host.name, seen.nodes)));
    if (service.state === 'active' && service.newerThanStart.length === 0 && isReady === true)
      return unchanged(`${name} runs well with what is on disk`);
    // The very process that was found well has all of it in memory still.
    const restarts = service.state !== 'active' || service.invocation !== invocation;
    const putBack: Action = {
      kind: 'run',
      what: `put back what ran well before (${version})`,
      script: putBackScript(differs, restarts),
    };
    return change(
      `${name} ran well before ${differs.join(', ')} changed`,
      restarts
        ? [
            putBack,
            startAction(unitName(node.role), true),
            afterFailure(startWait(node, service), failure),
            ...readinessWaits(node, host.name, seen.hostName.inUse, seen.nodes).map((wait) =>
              afterFailure(wait, failure),
            ),
          ]
        : [putBack],
      {
        touches: ['file:*', 'content:*', 'digest:*', 'k3s:binary', 'k3s:installation:*'],
        after: {
          service: { ...service, state: 'active', newerThanStart: [] },
          kept: { ...seen.kept, differs: [] },
          nodes: withReadyNode(node, name, seen.nodes),
        },
        result: () => ({ put_back: differs, version }),
      },
    );
  },
});

/** A wait whose error also says what it was that had failed first. */
function afterFailure(wait: Action, failure: string | undefined): Action {
  if (wait.kind !== 'wait' || failure === undefined) return wait;
  return { ...wait, what: `${wait.what} as before the change that failed (${failure.split('\n')[0]})` };
}

/**
 * @param anew the files count as newer than what runs, so that a run that follows a broken-off one restarts it too;
 *   otherwise they keep their times, and what runs has read them
 */
function putBackScript(paths: readonly string[], anew: boolean): ShellScript {
  const files = paths.filter((path) => path !== binaryPath);
  return sh`set -e; umask 077
kept=${keptFolder}; from="$kept/$(cat "$kept/current")"; rejected=${rejectedFolder}
rm -rf "$rejected"; mkdir "$rejected"
for path in ${files}; do
  if [ -f "$path" ]; then mkdir -p "$rejected\${path%/*}"; cp -p "$path" "$rejected$path"; fi
  if [ -f "$from/files$path" ]; then
    mkdir -p "\${path%/*}"; temporary="\${path%/*}/.fleet-kept~"
    cp -p "$from/files$path" "$temporary"; ${anew ? sh`touch "$temporary"` : sh`:`}
    sync "$temporary" 2> /dev/null || sync
    mv -f "$temporary" "$path"
  else rm -f "$path"; fi
done
if [ -d "$from/files"${configPartsFolder} ]; then touch -r "$from/files"${configPartsFolder} ${configPartsFolder} 2> /dev/null || true; fi
${
  paths.includes(binaryPath)
    ? sh`temporary=${`${binaryPath.slice(0, binaryPath.lastIndexOf('/'))}/.fleet-kept~`}; rm -f "$temporary"
ln "$from/k3s" "$temporary" 2> /dev/null || cp -p "$from/k3s" "$temporary"
${anew ? sh`touch "$temporary"` : sh`:`}
sync "$temporary" 2> /dev/null || sync
mv -f "$temporary" ${binaryPath}`
    : sh`:`
}`;
}
