import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FleetError } from '../core/errors.ts';
import { bundleListName } from '../facts/airgap-bundle.ts';

/** Beside the list: the Ed25519 signature of its bytes, in base64. `openssl pkeyutl -verify -rawin` understands it too. */
export const signatureName = `${bundleListName}.sig`;

/** The signature of a list by an Ed25519 key in PEM (`openssl genpkey -algorithm ed25519`). @throws FleetError SIGN_KEY */
export async function signed(list: string, keyFile: string): Promise<string> {
  const pem = await keyText(keyFile);
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`it is ${key.asymmetricKeyType ?? 'another'}`);
    return `${sign(null, Buffer.from(list), key).toString('base64')}\n`;
  } catch (cause) {
    throw noKey(keyFile, 'an Ed25519 private key', cause);
  }
}

/** Whether a signature of a list is by this key, public (or private, which holds the public one). @throws FleetError SIGN_KEY */
export async function isSignedBy(list: string, signature: string, keyFile: string): Promise<boolean> {
  const pem = await keyText(keyFile);
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`it is ${key.asymmetricKeyType ?? 'another'}`);
    return verify(null, Buffer.from(list), key, Buffer.from(signature.trim(), 'base64'));
  } catch (cause) {
    throw noKey(keyFile, 'an Ed25519 public key', cause);
  }
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
      message: `${path} is not ${what} in PEM`,
      where: { file: path },
      fix: 'Make one: openssl genpkey -algorithm ed25519 -out bundle.key; openssl pkey -in bundle.key -pubout -out bundle.pub',
      blame: 'usage',
    },
    { cause },
  );
}
