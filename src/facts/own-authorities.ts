import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { ControlFact } from '../engine/fact.ts';
import {
  type AuthorityName,
  authorityNames,
  type Bundle,
  certificateTexts,
  isRoot,
  rootReached,
} from '../k3s/authorities.ts';

/** An authority that the user brings. */
export interface OwnAuthority {
  /** As the file has it. */
  readonly text: string;
  /** Leads to a root that is in it. */
  readonly bundle: Bundle;
  readonly root: X509Certificate;
  readonly key: Secret;
}

/** Authorities on the control node, whole: each key is its certificate's, and none has ended. */
export interface OwnAuthorities {
  /** The files stand in it, as below `server/tls`. */
  readonly folder: string;
  readonly authorities: ReadonlyMap<AuthorityName, OwnAuthority>;
  /** Signs what pods prove themselves with; k3s makes one where none is brought. */
  readonly serviceKey: Secret | undefined;
}

/** k3s's own example script leaves them in `server/tls` of the folder that it is told. */
const below = ['', 'tls', 'server/tls'];

/**
 * The authorities of a folder, in the form that k3s documents for those that it did not make.
 * @param candidates where the folder may stand, best first
 * @throws FleetError CA_FOLDER where they are not whole
 * @see https://docs.k3s.io/cli/certificate#using-custom-ca-certificates
 */
export function ownAuthorities(candidates: readonly string[]): ControlFact<OwnAuthorities> {
  return {
    key: `own-authorities:${candidates.join(':')}`,
    read: async () => {
      const places = candidates.flatMap((folder) => below.map((part) => join(folder, part)));
      for (const folder of places) {
        if ((await textOf(join(folder, 'server-ca.crt'))) === undefined) continue;
        const read = authorityNames.map(async (name) => [name, await authorityIn(folder, name)] as const);
        const authorities = new Map(await Promise.all(read));
        const service = await textOf(join(folder, 'service.key'));
        return { folder, authorities, serviceKey: service === undefined ? undefined : new Secret(service) };
      }
      throw faulty(candidates[0] ?? '', `server-ca.crt is not found in ${places.join(', ')}`);
    },
  };
}

/** Where nobody brings any. */
export const noOwnAuthorities: ControlFact<undefined> = {
  key: 'own-authorities:',
  read: async () => undefined,
};

async function authorityIn(folder: string, name: AuthorityName): Promise<OwnAuthority> {
  const [text, key] = [await textOf(join(folder, `${name}.crt`)), await textOf(join(folder, `${name}.key`))];
  if (text === undefined || key === undefined)
    throw faulty(folder, `${name}.${text === undefined ? 'crt' : 'key'} is not there`);
  let bundle: Bundle;
  try {
    bundle = certificateTexts(text).map((each) => new X509Certificate(each));
  } catch (cause) {
    throw faulty(folder, `${name}.crt cannot be read as certificates`, cause);
  }
  const [authority] = bundle;
  if (authority === undefined) throw faulty(folder, `${name}.crt holds no certificate`);
  if (!authority.ca) throw faulty(folder, `the first certificate of ${name}.crt may not sign others`);
  try {
    if (!authority.checkPrivateKey(createPrivateKey(key)))
      throw faulty(folder, `${name}.key is not the key of the first certificate in ${name}.crt`);
  } catch (cause) {
    if (cause instanceof FleetError) throw cause;
    throw faulty(folder, `${name}.key is no key that can be read, or it needs a passphrase`);
  }
  const root = rootReached(bundle, bundle.filter(isRoot));
  if (root === undefined)
    throw faulty(folder, `${name}.crt does not lead to a root: it lacks a certificate above the first`);
  const ended = bundle.find(({ validTo }) => new Date(validTo).getTime() < Date.now());
  if (ended !== undefined) throw faulty(folder, `in ${name}.crt one has ended at ${ended.validTo}`);
  return { text, bundle, root, key: new Secret(key) };
}

function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

function faulty(folder: string, because: string, cause?: unknown): FleetError {
  return new FleetError(
    {
      code: 'CA_FOLDER',
      message: `the authorities in ${folder} cannot be used: ${because}`,
      where: { file: folder },
      fix: 'Put server-ca, client-ca, request-header-ca, etcd/peer-ca and etcd/server-ca there, each as .crt (with those above it, up to the root) and .key: docs/snapshots-and-certificates.md, Your own authorities.',
      blame: 'usage',
    },
    { cause },
  );
}
