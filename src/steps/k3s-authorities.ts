import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { ask, askControl, askEach, type ControlFact } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged, unchangedBut } from '../engine/step.ts';
import { candidatesFor } from '../facts/control-file.ts';
import { type ServerAuthorities, serverAuthorities } from '../facts/k3s-authorities.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { noOwnAuthorities, type OwnAuthorities, ownAuthorities } from '../facts/own-authorities.ts';
import { membershipOf } from '../k3s/membership.ts';
import { serversSeen } from './k3s-membership.ts';
import { k3sNode } from './k3s-node.ts';
import { ownAuthoritiesWritten, rootsFile } from './k3s-own-authorities.ts';

interface Seen {
  readonly servers: ReadonlyMap<string, ServerData | undefined>;
  readonly there: ServerAuthorities | undefined;
  readonly own: OwnAuthorities | undefined;
}

/**
 * k3s takes the authorities that stand in `server/tls` when the first server of a cluster starts for the first time, and
 * makes none then. All others get them from the datastore.
 * @see https://docs.k3s.io/cli/certificate#using-custom-ca-certificates
 */
export const k3sAuthoritiesStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_authorities',
  summary:
    'A cluster that is yet to begin begins with the certificate authorities of ca_dir. One that is there keeps those that it has; where they are others, that is named.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_authorities:\n'],
  alters: ['there'],
  look(_args, host) {
    const { settings, role, servers } = k3sNode(host);
    const { caDir, k3sServerLocation } = settings;
    const concerns = caDir !== undefined && role === 'server';
    return {
      servers: askEach(concerns ? servers : [], serverData(k3sServerLocation)),
      there: concerns ? ask(serverAuthorities(k3sServerLocation)) : askControl(notAsked),
      own: concerns
        ? askControl(ownAuthorities(candidatesFor(caDir, host.searchPath, 'files')))
        : askControl(noOwnAuthorities),
    };
  },
  plan({ servers, there, own }, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    if (own === undefined || there === undefined) return unchanged('ca_dir is not set, or it is an agent');
    const differ = [...own.authorities]
      .filter(
        ([name, { bundle }]) =>
          there.authorities.get(name)?.bundle[0]?.fingerprint256 !== bundle[0]?.fingerprint256,
      )
      .map(([name]) => name);
    const holder = [...servers].find(([, data]) => data !== undefined && data.datastore !== 'none')?.[0];
    if (holder !== undefined) {
      if (holder !== host.name || differ.length === 0)
        return unchanged('the cluster has its authorities already');
      return unchangedBut('the cluster has its authorities already', {
        code: 'CA_DIFFERS',
        message: `${differ.join(', ')} of the cluster are not those of ca_dir: they are read when a cluster begins, and never after`,
        fix: `To give the cluster these: fleet rotate ca --path ${own.folder}. To keep what it has, take ca_dir out.`,
      });
    }
    const { kind } = membershipOf(
      host.name,
      serversSeen(servers),
      node.externalDatastore,
      node.settings.forceBootstrap,
    );
    if (kind !== 'init' && kind !== 'single' && kind !== 'external')
      return unchanged('it gets them from the server that begins the cluster');
    if (differ.length === 0) return unchanged('they are in place');
    const folder = `${node.settings.k3sServerLocation}/server/tls`;
    const service = own.serviceKey;
    return change(
      'the cluster begins with the authorities of ca_dir',
      [
        // Others may look into k3s's own folder; what is below it is root's alone, as k3s makes it.
        {
          kind: 'run',
          what: `make ${node.settings.k3sServerLocation}`,
          script: sh`mkdir -p ${node.settings.k3sServerLocation}`,
        },
        ...ownAuthoritiesWritten(own, folder),
        ...(service === undefined ? [] : [rootsFile(`${folder}/service.key`, service)]),
      ],
      { after: { there: asBrought(own, there) } },
    );
  },
});

const notAsked: ControlFact<undefined> = { key: 'authorities:', read: async () => undefined };

function asBrought(own: OwnAuthorities, { openssl }: ServerAuthorities): ServerAuthorities {
  return {
    openssl,
    authorities: new Map(
      [...own.authorities].map(([name, { text, bundle }]) => [name, { text, bundle, keys: 1 }]),
    ),
  };
}
