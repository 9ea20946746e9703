import { describe, expect, it } from 'vitest';
import { causeOf, logCauses } from '../../src/k3s/log-causes.ts';

/** Lines as k3s logs them, from its issue threads; what they are about, and whether waiting can help. */
const lines: readonly (readonly [line: string, cause: RegExp, final: boolean])[] = [
  [
    'starting kubernetes: preparing server: bootstrap data already found and encrypted with different token',
    /token differs/,
    true,
  ],
  [
    "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag",
    /kubectl delete node/,
    false,
  ],
  ['ETCD join failed: duplicate node name found, please use a unique name for this node', /stale Node/, true],
  ...[
    'preparing server: creating storage endpoint: building kine: pq: password authentication failed for user "k3s"',
    "preparing server: creating storage endpoint: building kine: Error 1045 (28000): Access denied for user 'k3s'@'10.0.0.1' (using password: YES)",
  ].map((line): [string, RegExp, boolean] => [line, /the database refuses the user, or the password/, true]),
  [
    'preparing server: creating storage endpoint: building kine: dial tcp 10.0.0.5:5432: connect: connection refused',
    /database that datastore-endpoint names does not answer/,
    false,
  ],
  ['flag provided but not defined: -flanel-backend', /arguments/, true],
  ['yaml: line 3: mapping values are not allowed in this context', /config/, true],
  [
    'Failed to validate connection to cluster at https://10.0.0.1:6443: failed to get CA certs: Get "https://10.0.0.1:6443/cacerts": dial tcp 10.0.0.1:6443: connect: connection refused',
    /api_endpoint/,
    false,
  ],
  [
    'Failed to validate connection to cluster at https://10.0.0.1:6443: token CA hash does not match the Cluster CA certificate hash',
    /another CA/,
    false,
  ],
  ['https://127.0.0.1:6444/v1-k3s/readyz: 401 Unauthorized', /token is wrong/, false],
  [
    'Waiting for other members to finish joining etcd cluster: etcdserver: too many learner members in cluster',
    /one at a time/,
    false,
  ],
  [
    'Failed to validate connection to cluster at https://10.0.0.1:6443: failed to get CA certs: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2021-03-01T10:00:00Z is before 2025-06-01T09:00:00Z',
    /clock/,
    false,
  ],
  ['listen tcp 0.0.0.0:6443: bind: address already in use', /fleet check names it/, false],
  ['failed to find memory cgroup (v2)', /memory cgroups/, true],
  [
    'unable to select an IP from default routes: no default routes found in "/proc/net/route"',
    /default route/,
    true,
  ],
  ['command failed: running with swap on is not supported, please disable swap', /swap is on/, true],
  ['dial tcp 10.0.0.1:2379: connect: no route to host', /does not answer/, false],
  ['write /var/lib/rancher/k3s/agent: no space left on device', /disk is full/, true],
];

describe('what a log line means', () => {
  it.each(lines)('%s', (line, cause, final) => {
    expect(causeOf(line)).toMatchObject({ cause: expect.stringMatching(cause), final });
  });

  it.each([
    '',
    'Running kube-apiserver',
    'k3s is up and running',
    'Waiting for control-plane node s1 startup',
  ])('%j points to nothing', (line) => {
    expect(causeOf(line)).toBeUndefined();
  });

  it('is tried with a line of each kind that is known', () => {
    expect(logCauses.filter((known) => !lines.some(([line]) => causeOf(line) === known))).toEqual([]);
  });
});
