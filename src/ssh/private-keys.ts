import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import ssh2, { type ParsedKey } from 'ssh2';
import { FleetError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';

/** Asks a person for a secret, e.g. on the terminal; `undefined` when nobody can be asked or nobody answers. */
export type AskSecret = (question: string) => Promise<Secret | undefined>;

export type LoadedKey =
  | { readonly kind: 'key'; readonly path: string; readonly key: ParsedKey }
  /** Only the public half could be read; an agent may have the rest. */
  | {
      readonly kind: 'locked';
      readonly path: string;
      readonly publicKey: Buffer | undefined;
      readonly fault: FleetError;
    }
  | { readonly kind: 'unusable'; readonly path: string; readonly fault: FleetError }
  | { readonly kind: 'missing'; readonly path: string };

/** How often a person may mistype a passphrase. */
const TRIES = 3;

/**
 * The private keys of a run. Each file is read, decrypted and parsed once for all hosts: ssh2 would decrypt at every connect, in
 * synchronous JavaScript (213 ms at 16 bcrypt rounds).
 */
export class PrivateKeys {
  readonly #ask: AskSecret | undefined;
  readonly #keys = new Map<string, Promise<LoadedKey>>();
  readonly #unlocked = new Map<string, Promise<LoadedKey>>();
  /** Questions one after the other: a terminal has one keyboard. */
  #asking: Promise<unknown> = Promise.resolve();

  constructor(askSecret?: AskSecret) {
    this.#ask = askSecret;
  }

  /** The key in a file, without asking anybody. */
  load(path: string): Promise<LoadedKey> {
    return once(this.#keys, path, () => read(path));
  }

  /** The key in a file, asking for its passphrase if it has one. */
  unlock(path: string): Promise<LoadedKey> {
    return once(this.#unlocked, path, async () => {
      const loaded = await this.load(path);
      if (loaded.kind !== 'locked' || this.#ask === undefined) return loaded;
      const turn = this.#asking.then(() => this.#askFor(path, loaded));
      this.#asking = turn.catch(() => {});
      return turn;
    });
  }

  async #askFor(path: string, locked: LoadedKey): Promise<LoadedKey> {
    const bytes = await readFile(path);
    for (let tried = 0; tried < TRIES; tried++) {
      const answer = await this.#ask?.(`${tried === 0 ? '' : 'That was not it. '}Passphrase of ${path}`);
      if (answer === undefined) return locked;
      const parsed = parse(bytes, path, answer.reveal());
      if (parsed.kind !== 'locked') return parsed;
    }
    return locked;
  }
}

function once<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  let value = cache.get(key);
  if (value === undefined) {
    value = make();
    cache.set(key, value);
  }
  return value;
}

async function read(path: string): Promise<LoadedKey> {
  try {
    const bytes = await readFile(path);
    return parse(bytes, path, undefined);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'missing', path };
    return {
      kind: 'unusable',
      path,
      fault: new FleetError({
        code: 'KEY_UNREADABLE',
        message: `the private key ${path} cannot be read: ${message}`,
        fix: `Make it readable to the user who runs fleet: \`chmod 600 ${path}\` and \`chown\` it.`,
      }),
    };
  }
}

/** Reads a private key in any form that ssh2 or node:crypto knows: OpenSSH, PEM, PKCS#8, PuTTY. */
export function parse(bytes: Buffer, path: string, passphrase: string | undefined): LoadedKey {
  const text = bytes.toString('latin1');
  if (/-----BEGIN (ENCRYPTED )?PRIVATE KEY-----/.test(text)) return parsePkcs8(bytes, path, passphrase);
  const parsed = ssh2.utils.parseKey(bytes, passphrase) as ParsedKey | ParsedKey[] | Error;
  if (parsed instanceof Error) {
    if (/encrypted|passphrase|bad decrypt|integrity check failed|pad/i.test(parsed.message))
      return locked(path, text);
    return unusable(path, text, parsed.message);
  }
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || !key.isPrivateKey()) return unusable(path, text, 'it is a public key');
  return { kind: 'key', path, key };
}

function parsePkcs8(bytes: Buffer, path: string, passphrase: string | undefined): LoadedKey {
  const text = bytes.toString('latin1');
  if (text.includes('ENCRYPTED') && passphrase === undefined) return locked(path, text);
  let key: KeyObject;
  try {
    key = createPrivateKey({
      key: bytes,
      format: 'pem',
      ...(passphrase === undefined ? {} : { passphrase }),
    });
  } catch (error) {
    if (text.includes('ENCRYPTED')) return locked(path, text);
    return unusable(path, text, (error as Error).message);
  }
  const pem =
    key.asymmetricKeyType === 'rsa'
      ? key.export({ type: 'pkcs1', format: 'pem' })
      : key.asymmetricKeyType === 'ec'
        ? key.export({ type: 'sec1', format: 'pem' })
        : key.asymmetricKeyType === 'ed25519'
          ? opensshEd25519(key)
          : undefined;
  if (pem === undefined) return unusable(path, text, `ssh has no ${key.asymmetricKeyType ?? 'such'} keys`);
  const parsed = ssh2.utils.parseKey(pem) as ParsedKey | Error;
  return parsed instanceof Error ? unusable(path, text, parsed.message) : { kind: 'key', path, key: parsed };
}

/** OpenSSH's own container, since no other form of an Ed25519 key is known to ssh2 (PROTOCOL.key in OpenSSH). */
function opensshEd25519(key: KeyObject): string {
  const { d, x } = key.export({ format: 'jwk' });
  const seed = Buffer.from(d ?? '', 'base64url');
  const point = Buffer.from(x ?? '', 'base64url');
  const publicBlob = Buffer.concat([field('ssh-ed25519'), field(point)]);
  const check = Buffer.from('fleetkey').subarray(0, 4);
  const secret = Buffer.concat([check, check, publicBlob, field(Buffer.concat([seed, point])), field('')]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    Buffer.from([0, 0, 0, 1]),
    field(publicBlob),
    field(Buffer.concat([secret, padding])),
  ]).toString('base64');
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${body.replace(/(.{70})/g, '$1\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function locked(path: string, text: string): LoadedKey {
  return {
    kind: 'locked',
    path,
    publicKey: publicHalf(text),
    fault: new FleetError({
      code: 'KEY_PASSPHRASE',
      message: `the private key ${path} has a passphrase, and nobody gave the right one`,
      fix: `Put it into the agent (\`ssh-add ${path}\`), or run fleet on a terminal, where it asks.`,
    }),
  };
}

function unusable(path: string, text: string, why: string): LoadedKey {
  const hardware = publicHalf(text)?.includes('sk-') === true;
  return {
    kind: 'unusable',
    path,
    fault: new FleetError({
      code: hardware ? 'KEY_UNSUPPORTED' : 'KEY_UNREADABLE',
      message: hardware
        ? `the private key ${path} lives on a FIDO token, which fleet's own SSH cannot use`
        : `${path} holds no private key that can be used: ${why}`,
      fix: hardware
        ? "Set fleet_ssh_transport: openssh, which drives the system's ssh."
        : `See what \`ssh-keygen -y -f ${path}\` makes of it.`,
    }),
  };
}

/** The public blob in OpenSSH's container is not encrypted: with it an agent can be asked for the rest. */
function publicHalf(text: string): Buffer | undefined {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/.exec(text)?.[1];
  if (body === undefined) return undefined;
  const bytes = Buffer.from(body, 'base64');
  try {
    let at = 'openssh-key-v1\0'.length;
    for (let skipped = 0; skipped < 3; skipped++) at += 4 + bytes.readUInt32BE(at);
    at += 4;
    return Buffer.from(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at)));
  } catch {
    return undefined;
  }
}
