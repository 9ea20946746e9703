import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  pbkdf2Sync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import type { FleetError, Place } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { usageError } from './findings.ts';

/** A password of ansible-vault with the id it goes by (`default` when none was given). */
export interface VaultPassword {
  readonly id: string;
  readonly password: Secret;
}

const HEADER = /^\$ANSIBLE_VAULT;(\d+\.\d+);(\w+)(?:;([^\s;]+))?\s*\r?\n?/;
const ITERATIONS = 10_000;
const LINE = 80;

/** Whether a text is encrypted by ansible-vault. */
export function isVaultText(text: string): boolean {
  return text.startsWith('$ANSIBLE_VAULT;');
}

/** The passwords known in this run. Decrypting tries those of the right id first, then the others, as Ansible does. */
export class Vault {
  readonly #opened = new Map<string, string>();

  constructor(readonly passwords: readonly VaultPassword[]) {}

  /**
   * The text of a vault (format 1.1 or 1.2, AES256).
   * @throws FleetError `VAULT_PASSWORD_MISSING`, `VAULT_PASSWORD_WRONG` or `VAULT_DAMAGED`.
   */
  decrypt(text: string, where?: Place): Secret {
    const key = text.trim();
    const known = this.#opened.get(key);
    if (known !== undefined) return new Secret(known);
    const opened = this.#decrypt(key, where);
    this.#opened.set(key, opened);
    return new Secret(opened);
  }

  #decrypt(text: string, where: Place | undefined): string {
    const header = HEADER.exec(text);
    const place = where === undefined ? {} : { where };
    if (header === null || header[2] !== 'AES256' || (header[1] !== '1.1' && header[1] !== '1.2')) {
      throw damaged('the header of the vault is not "$ANSIBLE_VAULT;1.1;AES256" or 1.2', place);
    }
    const id = header[3];
    const parts = Buffer.from(text.slice(header[0].length).replace(/\s+/g, ''), 'hex')
      .toString('latin1')
      .split('\n');
    const [salt, mac, body] = parts.map((part) => Buffer.from(part, 'hex'));
    if (
      salt === undefined ||
      mac === undefined ||
      body === undefined ||
      parts.length !== 3 ||
      mac.length !== 32
    ) {
      throw damaged('the vault is damaged: it does not hold a salt, a checksum and a text', place);
    }
    if (this.passwords.length === 0) {
      throw usageError({
        code: 'VAULT_PASSWORD_MISSING',
        message: `a value is encrypted by ansible-vault${id === undefined ? '' : ` (vault id "${id}")`}, and no password was given`,
        fix: 'Give --vault-password-file FILE, --vault-id ID@FILE or --ask-vault-pass, or set ANSIBLE_VAULT_PASSWORD_FILE.',
        ...place,
      });
    }
    const order = this.passwords.toSorted((a, b) => Number(b.id === id) - Number(a.id === id));
    for (const { password } of order) {
      const opened = open(password, salt, mac, body);
      if (opened !== undefined) return opened;
    }
    throw usageError({
      code: 'VAULT_PASSWORD_WRONG',
      message: `no vault password given opens this value${id === undefined ? '' : ` (vault id "${id}")`}`,
      fix: 'Check the vault password; known ids are tried first, then all others.',
      ...place,
    });
  }
}

function damaged(message: string, place: { where?: Place }): FleetError {
  return usageError({
    code: 'VAULT_DAMAGED',
    message,
    fix: 'Encrypt the value again with ansible-vault encrypt_string.',
    ...place,
  });
}

function keysOf(password: Secret, salt: Buffer): { cipher: Buffer; hmac: Buffer; iv: Buffer } {
  const derived = pbkdf2Sync(password.reveal(), salt, ITERATIONS, 80, 'sha256');
  return { cipher: derived.subarray(0, 32), hmac: derived.subarray(32, 64), iv: derived.subarray(64, 80) };
}

function open(password: Secret, salt: Buffer, mac: Buffer, body: Buffer): string | undefined {
  const keys = keysOf(password, salt);
  const expected = createHmac('sha256', keys.hmac).update(body).digest();
  if (!timingSafeEqual(expected, mac)) return undefined;
  const decipher = createDecipheriv('aes-256-ctr', keys.cipher, keys.iv);
  const plain = Buffer.concat([decipher.update(body), decipher.final()]);
  const padding = plain.at(-1) ?? 0;
  return plain.subarray(0, plain.length - padding).toString('utf8');
}

/** Encrypts as ansible-vault does: format 1.1, or 1.2 when an id is given. For tests and for `fleet vault`-like tools. */
export function encryptVault(text: string, password: Secret, id?: string): string {
  const salt = randomBytes(32);
  const keys = keysOf(password, salt);
  const plain = Buffer.from(text);
  const padding = 16 - (plain.length % 16);
  const cipher = createCipheriv('aes-256-ctr', keys.cipher, keys.iv);
  const body = Buffer.concat([
    cipher.update(Buffer.concat([plain, Buffer.alloc(padding, padding)])),
    cipher.final(),
  ]);
  const mac = createHmac('sha256', keys.hmac).update(body).digest();
  const inner = [salt, mac, body].map((part) => part.toString('hex')).join('\n');
  const hex = Buffer.from(inner).toString('hex');
  const rows = hex.match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  const header = id === undefined ? '$ANSIBLE_VAULT;1.1;AES256' : `$ANSIBLE_VAULT;1.2;AES256;${id}`;
  return `${[header, ...rows].join('\n')}\n`;
}
