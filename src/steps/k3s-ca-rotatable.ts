import { Type } from '@sinclair/typebox';
import { ask, askControl } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type ServerAuthorities, serverAuthorities } from '../facts/k3s-authorities.ts';
import { type CaRotation, caRotation } from '../facts/k3s-ca-rotation.ts';
import { noOwnAuthorities, type OwnAuthorities, ownAuthorities } from '../facts/own-authorities.ts';
import { rootReached } from '../k3s/authorities.ts';
import { optional, text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';

const args = Type.Object(
  {
    path: optional(
      text(
        'A folder of this machine with the authorities that the cluster is to have. Default: fleet has the server make them.',
      ),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly rotation: CaRotation;
  readonly server: ServerAuthorities;
  readonly own: OwnAuthorities | undefined;
}

/**
 * What k3s would refuse, told before a snapshot is made, and in words: k3s itself writes why into its log alone.
 * @see https://docs.k3s.io/cli/certificate#rotating-custom-ca-certificates
 */
export const k3sCaRotatableStep = defineStep<typeof args, Seen>({
  name: 'k3s_ca_rotatable',
  summary:
    'The cluster can be given new certificate authorities: those of `path` lead to the roots that it trusts today, or its own roots can sign new ones on this server. Changes nothing.',
  readsOnly: true,
  args,
  examples: ['- k3s_ca_rotatable:\n', '- k3s_ca_rotatable: {path: /home/me/ca}\n'],
  look({ path }, host) {
    const { k3sServerLocation } = k3sNode(host).settings;
    return {
      rotation: ask(caRotation(k3sServerLocation)),
      server: ask(serverAuthorities(k3sServerLocation)),
      own: askControl(path === undefined ? noOwnAuthorities : ownAuthorities([path])),
    };
  },
  plan({ rotation, server, own }, _args, host): Plan<Seen> {
    if (rotation === 'loaded')
      return unchanged('a rotation is under way, and goes on with the authorities that it has');
    return own === undefined ? madeOnServer(server, host.name) : brought(server, own);
  },
});

function madeOnServer({ authorities, openssl }: ServerAuthorities, host: string): Plan<Seen> {
  // k3s makes one certificate that signed itself; fleet adds a root above it, with its key.
  const keyless = [...authorities].filter(([, { bundle, keys }]) => bundle.length > 1 && keys < 2);
  if (keyless.length > 0) {
    return refuse(
      `the key of the root above ${keyless.map(([name]) => name).join(', ')} is not on ${host}: these authorities were brought to the cluster, and only who has that key can make others below it`,
      'Make others below the same root, or below an intermediate of it, and give their folder: fleet rotate ca --path FOLDER. See docs/snapshots-and-certificates.md, Your own authorities.',
      'CA_BROUGHT',
    );
  }
  if (openssl) return unchanged('its roots can sign new ones');
  return refuse(
    `openssl is not installed on ${host}, which would make the authorities with it`,
    'Install it there, or bring authorities that were made elsewhere: fleet rotate ca --path FOLDER.',
  );
}

function brought({ authorities }: ServerAuthorities, own: OwnAuthorities): Plan<Seen> {
  const isTheSame = [...own.authorities].every(
    ([name, { bundle }]) => authorities.get(name)?.bundle[0]?.fingerprint256 === bundle[0]?.fingerprint256,
  );
  if (isTheSame)
    return refuse(
      `the cluster has the authorities of ${own.folder} already`,
      'Nothing is to be done. Where a node does not know them yet: fleet restart.',
      'CA_IN_USE',
    );
  for (const [name, { bundle }] of own.authorities) {
    const today = authorities.get(name)?.bundle ?? [];
    if (bundle.length > 1 && rootReached(bundle, today) !== undefined) continue;
    const roots = today.slice(-1).map(({ subject }) => subject.replaceAll('\n', ', '));
    return refuse(
      bundle.length === 1
        ? `${name}.crt in ${own.folder} is a single certificate: k3s takes new authorities only with those above them, up to the root`
        : `${name}.crt in ${own.folder} does not lead to the root that the cluster trusts today (${roots.join('') || 'none is there'})`,
      'Sign the new authorities below that root, or have it sign the new root too, and put all certificates of the way into the file. What the old root does not vouch for would lock out every node, pod and kubeconfig: see docs/snapshots-and-certificates.md, Your own authorities.',
      'CA_NOT_TRUSTED',
    );
  }
  return unchanged(`those of ${own.folder} lead to the roots that the cluster trusts`);
}
