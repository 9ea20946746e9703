import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { bundleListName } from '../facts/airgap-bundle.ts';

/**
 * Beside the list: the signature of its bytes, in base64. By an Ed25519 key as `openssl pkeyutl -verify -rawin` understands it, by one of
 * P-256 as `cosign sign-blob` writes it.
 */
export const signatureName = `${bundleListName}.sig`;
/** Beside the list: what `minisign -S -m bundle.json` writes. */
const minisignName = `${bundleListName}.minisig`;
/** None of them is of another list. */
export const signatureNames: readonly string[] = [signatureName, minisignName];

/** Whether a list is signed by a key. */
export type ListSignature = 'right' | 'missing' | 'wrong';

/** The signature of a list by a key in PEM: Ed25519, or P-256 as cosign has it. @throws FleetError SIGN_KEY */
export async function signed(list: string, keyFile: string): Promise<string> {
  const pem = await keyText(keyFile);
  try {
    const key = createPrivateKey(pem);
    return `${sign(hashFor(key), Buffer.from(list), key).toString('base64')}\n`;
  } catch (cause) {
    throw noKey(keyFile, 'an Ed25519 or P-256 private key in PEM', cause);
  }
}

/**
 * Whether the list of a folder is signed by a public key: one in PEM (or the private one, which holds it), or that of minisign.
 * @throws FleetError SIGN_KEY
 */
export async function listSignature(folder: string, list: string, keyFile: string): Promise<ListSignature> {
  const isThere = (name: string) => readFile(join(folder, name), 'utf8').catch(() => undefined);
  const text = await keyText(keyFile);
  const minisign = minisignKey(text);
  if (minisign !== undefined) {
    const signature = await isThere(minisignName);
    if (signature === undefined) return 'missing';
    return isSignedByMinisign(list, signature, minisign) ? 'right' : 'wrong';
  }
  const signature = await isThere(signatureName);
  try {
    const key = createPublicKey(text);
    const hash = hashFor(key);
    if (signature === undefined) return 'missing';
    const bytes = Buffer.from(signature.trim(), 'base64');
    return verify(hash, Buffer.from(list), key, bytes) ? 'right' : 'wrong';
  } catch (cause) {
    throw noKey(keyFile, 'a public key, Ed25519 or P-256 in PEM or of minisign', cause);
  }
}

/** Ed25519 hashes by itself. */
function hashFor(key: KeyObject): 'sha256' | null {
  if (key.asymmetricKeyType === 'ed25519') return null;
  if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'sha256';
  throw new Error(`it is ${key.asymmetricKeyType ?? 'another'}`);
}

interface MinisignKey {
  readonly id: Buffer;
  readonly key: KeyObject;
}

/** @see https://jedisct1.github.io/minisign/#public-key-format */
function minisignKey(text: string): MinisignKey | undefined {
  const line = text.split('\n').find((each) => each.trim() !== '' && !each.startsWith('untrusted comment:'));
  const bytes = Buffer.from(line?.trim() ?? '', 'base64');
  if (bytes.length !== 42 || bytes.toString('latin1', 0, 2) !== 'Ed') return undefined;
  const x = bytes.toString('base64url', 10);
  return {
    id: bytes.subarray(2, 10),
    key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
  };
}

/** The list, and the comment that the signature vouches for. @see https://jedisct1.github.io/minisign/#signature-format */
function isSignedByMinisign(list: string, signature: string, { id, key }: MinisignKey): boolean {
  const [, own = '', comment = '', global = ''] = signature.split('\n').map((line) => line.trimEnd());
  const bytes = Buffer.from(own, 'base64');
  const algorithm = bytes.toString('latin1', 0, 2);
  const value = bytes.subarray(10);
  if (!bytes.subarray(2, 10).equals(id) || !['Ed', 'ED'].includes(algorithm)) return false;
  const content = Buffer.from(list);
  const message = algorithm === 'ED' ? createHash('blake2b512').update(content).digest() : content;
  const trusted = Buffer.concat([value, Buffer.from(comment.replace(/^trusted comment: /, ''))]);
  return verify(null, message, key, value) && verify(null, trusted, key, Buffer.from(global, 'base64'));
}

async function keyText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause) => {
    throw noKey(path, 'a key that can be read', cause);
  });
}

function noKey(path: string, what: string, cause: unknown): FleetError {
  return new FleetError(
    {
      code: 'SIGN_KEY',
      message: `${path} is not ${what}`,
      where: { file: path },
      fix: 'Make one: openssl genpkey -algorithm ed25519 -out bundle.key; openssl pkey -in bundle.key -pubout -out bundle.pub',
      blame: 'usage',
    },
    { cause },
  );
}
