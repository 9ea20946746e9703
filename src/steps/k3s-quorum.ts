import { Type } from '@sinclair/typebox';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { unitName } from '../k3s/paths.ts';
import { quorumOf } from '../k3s/quorum.ts';
import { k3sNode } from './k3s-node.ts';
import { startAction } from './k3s-service.ts';

interface Seen {
  readonly service: InUse;
  readonly servers: ReadonlyMap<string, ServerData | undefined>;
}

/**
 * After a power cut a lone member of three never becomes ready: whoever starts and awaits one server after the other
 * waits for ever. So where the quorum is gone, what is stopped is started everywhere before anybody is waited for.
 * @see https://github.com/PyratLabs/ansible-role-k3s/issues/152
 */
export const k3sQuorumStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_quorum',
  summary:
    'Where too few servers run for etcd to have its quorum, this stopped member is started, without waiting for it.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_quorum:\n'],
  look(_args, host) {
    const { role, servers, settings } = k3sNode(host);
    return {
      service: ask(inUse(role, settings.systemdDir)),
      servers: askEach(servers, serverData(settings.k3sServerLocation)),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const { role } = k3sNode(host);
    const members = [...seen.servers.values()].filter((server) => server?.datastore === 'etcd');
    const running = members.filter((server) => server?.running === true).length;
    const quorum = quorumOf(members.length);
    if (members.length < 2 || running >= quorum) return unchanged('the quorum is not lost');
    if (seen.servers.get(host.name)?.datastore !== 'etcd') return unchanged('it is no member yet');
    if (seen.service.state !== 'inactive' && seen.service.state !== 'failed') {
      return unchanged(`${unitName(role)} is ${seen.service.state}`);
    }
    return change(
      `${running} of ${members.length} etcd members run, ${quorum} are needed`,
      [startAction(unitName(role), false)],
      {
        after: {
          service: { ...seen.service, state: 'activating' },
          servers: new Map(
            [...seen.servers].map(([name, data]) => [name, started(data, name === host.name)]),
          ),
        },
      },
    );
  },
});

function started(data: ServerData | undefined, isOwn: boolean): ServerData | undefined {
  return isOwn && data !== undefined ? { ...data, running: true } : data;
}
