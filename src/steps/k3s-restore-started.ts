import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { type Action, waitUntil } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { lastLogLines, startState } from '../facts/k3s-start.ts';
import { kubectlWords, unitName } from '../k3s/paths.ts';
import { k3sNode, nodeNameOf } from './k3s-node.ts';
import { startAction } from './k3s-service.ts';

interface Seen {
  readonly hostName: HostName;
  readonly service: InUse;
}

const refused = 'Node password rejected';

/**
 * A snapshot has the passwords of the nodes of then. A machine that took the place of one of them is refused under its
 * name, by its own API: the password of the old machine is forgotten, and k3s tries again by itself.
 * @see https://docs.k3s.io/architecture#how-agent-node-registration-works
 */
export const k3sRestoreStartedStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_restore_started',
  summary:
    'k3s is on its way up with a restored database, which has forgotten the node password of another machine of this name.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_restore_started:\n'],
  look(_args, host) {
    const { role, settings } = k3sNode(host);
    return { hostName: ask(hostName), service: ask(inUse(role, settings.systemdDir)) };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const { role, settings } = node;
    const unit = unitName(role);
    const { state } = seen.service;
    if (state === 'active') return unchanged(`${unit} is active`);
    const secret = `${nodeNameOf(node, seen.hostName.inUse)}.node-password.k3s`;
    const wait = waitUntil({
      what: `${unit} to start, or to say why its node is refused`,
      fact: startState(role),
      holds: (now) =>
        now.state === 'active' || now.lastLog.includes(refused) || `it is ${now.state}: ${now.lastLog}`,
      deadlineMs: settings.k3sStartTimeoutS * 1000,
      evidence: lastLogLines(role),
    });
    const forget: Action = {
      kind: 'run',
      what: 'forget the node password of another machine, where this one is refused',
      deadlineMs: 120_000,
      script: sh`if [ -d /run/systemd/system ]; then
  systemctl is-active --quiet ${unit} && exit 0
  said=$(journalctl -u ${`${unit}.service`} -n 20 -o cat --no-pager)
else said=$(tail -n 20 ${`/var/log/${unit}.log`}); fi
case $said in *${refused}*) ;; *) exit 0 ;; esac
for turn in 1 2 3 4 5 6 7 8 9 10; do
  ${kubectlWords} -n kube-system delete secret ${secret} --ignore-not-found --request-timeout=10s && exit 0
  sleep 2
done; exit 1`,
    };
    const start = state === 'activating' ? [] : [startAction(unit, false)];
    const [first = wait, ...rest] = [...start, wait, forget];
    return change(`${unit} is ${state}`, [first, ...rest], {
      imperative: true,
      touches: ['k3s:server-data:*', 'k3s:kubeconfig', 'file:*', 'content:*'],
      after: { service: { ...seen.service, state: 'activating' } },
    });
  },
});
