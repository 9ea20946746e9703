import { Secret } from '../../src/core/secret.ts';
import type { InUse } from '../../src/facts/k3s-in-use.ts';
import type { K3sNode } from '../../src/facts/k3s-nodes.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import { clusterToken } from './inventory-of.ts';

/** What facts say of hosts that are as they should be, for tests of steps to vary. */

export const running: InUse = {
  state: 'active',
  enabled: true,
  needsDaemonReload: false,
  invocation: 'before',
  newerThanStart: [],
};
export const stopped: InUse = { ...running, state: 'inactive', invocation: '' };

/** The data of a server that is a member of etcd. */
export const member: ServerData = {
  datastore: 'etcd',
  token: new Secret(clusterToken),
  running: true,
  hostName: 's1',
};
/** Of one that never ran. */
export const noData: ServerData = {
  datastore: 'none',
  token: undefined,
  running: false,
  hostName: 's1',
};

/** A server as the API tells of it, with a vote in etcd. */
export function serverNode(name: string, more: Partial<K3sNode> = {}): K3sNode {
  return {
    name,
    ready: true,
    readyMessage: '',
    etcdVoter: true,
    version: 'v1.33.4+k3s1',
    unschedulable: false,
    cordonedByFleet: false,
    drainedFor: undefined,
    controlPlane: true,
    addresses: [],
    ...more,
  };
}

export function agentNode(name: string, more: Partial<K3sNode> = {}): K3sNode {
  return serverNode(name, { etcdVoter: undefined, controlPlane: false, ...more });
}
