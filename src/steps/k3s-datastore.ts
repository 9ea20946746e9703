import { Type } from '@sinclair/typebox';
import { ask, type Questions } from '../engine/fact.ts';
import { defineStep, type HostView, type Plan, refuse, unchanged, unchangedBut } from '../engine/step.ts';
import { type PortState, tcpPort } from '../facts/port.ts';
import { flagValue } from '../k3s/command-line.ts';
import { type DatastoreEndpoint, datastoreEndpoint } from '../k3s/datastore-endpoint.ts';
import { effectiveSetting } from '../k3s/effective-setting.ts';
import { k3sNode } from './k3s-node.ts';
import { writtenSettings } from './k3s-written-settings.ts';

type Seen = Readonly<Record<string, PortState>>;

const connectTimeoutS = 3;

/**
 * A server whose database does not answer ends, and is started again for ever: found out before anything is changed. Who may
 * log in there only k3s can say, when it starts.
 */
export const k3sDatastoreStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_datastore',
  summary:
    'The database that datastore-endpoint names can be reached from the server; of several addresses, one of them. Changes nothing.',
  readsOnly: true,
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_datastore:\n'],
  look(_args, host): Questions<Seen> {
    const targets = endpointOf(host)?.targets ?? [];
    return Object.fromEntries(
      targets.map(({ address, port }) => [
        `${address}:${port}`,
        ask(tcpPort(address, port, connectTimeoutS)),
      ]),
    );
  },
  plan(seen, _args, host): Plan<Seen> {
    const said = saidOf(host);
    if (said === undefined) return unchanged('its datastore is not elsewhere');
    const endpoint = datastoreEndpoint(said);
    if (endpoint === undefined) {
      return refuse(
        'datastore-endpoint has none of the forms that k3s knows',
        'Write it as postgres://USER:PASSWORD@HOST:5432/DATABASE, mysql://USER:PASSWORD@tcp(HOST:3306)/DATABASE, or https://HOST:2379,https://HOST:2379 for etcd.',
        'DATASTORE_ENDPOINT',
      );
    }
    const states = Object.values(seen);
    if (states.length === 0) return unchanged(`${endpoint.shown} is on the host itself`);
    if (states.every((state) => state === 'closed')) {
      return refuse(
        `the database ${endpoint.shown} cannot be reached from ${host.name}`,
        'Start it, or look at its address, the name resolution of the host, and the firewalls between.',
        'DATASTORE_UNREACHABLE',
      );
    }
    const written = flagValue(k3sNode(host).extraArgs, '--datastore-endpoint');
    if (written === undefined || !written.includes('@')) return unchanged(`${endpoint.shown} answers`);
    return unchangedBut(`${endpoint.shown} answers`, {
      code: 'PASSWORD_IN_ARGUMENTS',
      message: `extra_server_args holds the password of ${endpoint.shown}: everybody on the node can read the command line of k3s`,
      fix: 'Move datastore-endpoint to server_config_yaml, which root alone can read there.',
    });
  },
});

/** Never shown: a password is in it. */
function saidOf(host: HostView): string | undefined {
  const node = k3sNode(host);
  return node.role === 'agent' ? undefined : effectiveSetting('datastore-endpoint', writtenSettings(node));
}

function endpointOf(host: HostView): DatastoreEndpoint | undefined {
  const said = saidOf(host);
  return said === undefined ? undefined : datastoreEndpoint(said);
}
