import { createHash, createHmac, randomBytes } from 'node:crypto';
import { appendFileSync, closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { matchesGlob } from './ssh-config-file.ts';

/** One line of a known_hosts file; see sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". */
export interface KnownHost {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly marker?: 'revoked' | 'cert-authority';
  readonly patterns: readonly string[];
  readonly keyType: string;
  /** base64, as written. */
  readonly key: string;
}

/** What the known hosts say about a key that a host has shown. */
export type HostKeyVerdict =
  | { readonly kind: 'known'; readonly entry: KnownHost }
  | { readonly kind: 'unknown' }
  /** Another key is on record. `authority` when all that is on record is a certificate authority. */
  | { readonly kind: 'changed'; readonly entry: KnownHost }
  | { readonly kind: 'revoked'; readonly entry: KnownHost }
  | { readonly kind: 'authority-only'; readonly entry: KnownHost };

/** Reads the text of a known_hosts file. Lines that are no entries are skipped, as ssh does. */
export function parseKnownHosts(text: string, file: string): readonly KnownHost[] {
  const entries: KnownHost[] = [];
  text.split(/\r?\n/).forEach((line, index) => {
    const fields = line.trim().split(/[ \t]+/);
    if (fields[0] === undefined || fields[0] === '' || fields[0].startsWith('#')) return;
    const marker = fields[0].startsWith('@') ? fields.shift() : undefined;
    if (marker !== undefined && marker !== '@revoked' && marker !== '@cert-authority') return;
    const [hosts, keyType, key] = fields;
    if (hosts === undefined || keyType === undefined || key === undefined) return;
    entries.push({
      file,
      line: index + 1,
      ...(marker === undefined ? {} : { marker: marker === '@revoked' ? 'revoked' : 'cert-authority' }),
      patterns: hosts.split(','),
      keyType,
      key,
    });
  });
  return entries;
}

/** The name under which a host stands in known_hosts: in lower case, `[host]:port` for any port but 22. */
export function knownName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** Whether the host part of an entry names `name`: hashed, or patterns of which none with `!` matches. */
export function namesHost(entry: KnownHost, name: string): boolean {
  const [first] = entry.patterns;
  if (first?.startsWith('|1|') === true) {
    const [, , salt, hash] = first.split('|');
    if (salt === undefined || hash === undefined) return false;
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  }
  let named = false;
  for (const pattern of entry.patterns) {
    if (!/[*?!]/.test(pattern)) named ||= pattern.toLowerCase() === name;
    else if (matchesGlob(pattern, name)) {
      if (pattern.startsWith('!')) return false;
      named = true;
    }
  }
  return named;
}

/**
 * What the entries say about `key` (base64) shown by a host. As in ssh, a host on another port may also stand there without its port.
 * Unlike ssh, a key of a type that is not on record is `changed`, not `unknown`, when another type is: an impostor may choose the type.
 */
export function judgeHostKey(
  entries: readonly KnownHost[],
  host: string,
  port: number,
  key: string,
): HostKeyVerdict {
  const name = knownName(host, port);
  const here = entries.filter((entry) => namesHost(entry, name));
  const withoutPort = port === 22 ? [] : entries.filter((entry) => namesHost(entry, knownName(host, 22)));
  const revoked = [...here, ...withoutPort].find((entry) => entry.marker === 'revoked' && entry.key === key);
  if (revoked !== undefined) return { kind: 'revoked', entry: revoked };
  const plain = here.filter((entry) => entry.marker === undefined);
  const known = [...plain, ...withoutPort.filter((entry) => entry.marker === undefined)].find(
    (entry) => entry.key === key,
  );
  if (known !== undefined) return { kind: 'known', entry: known };
  const [other] = plain;
  if (other !== undefined) {
    const type = keyTypeOf(key);
    return { kind: 'changed', entry: plain.find((entry) => entry.keyType === type) ?? other };
  }
  const authority = here.find((entry) => entry.marker === 'cert-authority');
  return authority === undefined ? { kind: 'unknown' } : { kind: 'authority-only', entry: authority };
}

/** The algorithms to offer, those first whose keys are on record for the host: a host with several keys must show the known one. */
export function hostKeyAlgorithms(
  entries: readonly KnownHost[],
  host: string,
  port: number,
  supported: readonly string[],
): readonly string[] {
  const names = [knownName(host, port), ...(port === 22 ? [] : [knownName(host, 22)])];
  const types = new Set(
    entries
      .filter((entry) => entry.marker === undefined && names.some((name) => namesHost(entry, name)))
      .map((entry) => entry.keyType),
  );
  const known = supported.filter((algorithm) =>
    types.has(algorithm.startsWith('rsa-') ? 'ssh-rsa' : algorithm),
  );
  return [...known, ...supported.filter((algorithm) => !known.includes(algorithm))];
}

/** The type that a public key's own bytes name, e.g. `ssh-ed25519`. */
export function keyTypeOf(key: string): string {
  const bytes = Buffer.from(key, 'base64');
  return bytes.length < 4 ? '' : bytes.toString('latin1', 4, 4 + Math.min(bytes.readUInt32BE(0), 64));
}

/** `SHA256:…`, as ssh-keygen -l prints it. */
export function fingerprint(key: string): string {
  return `SHA256:${createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64').replace(/=+$/, '')}`;
}

/** The line that ssh would write for a newly accepted key, with its newline. */
export function knownHostLine(host: string, port: number, key: string, hashed: boolean): string {
  const name = knownName(host, port);
  if (!hashed) return `${name} ${keyTypeOf(key)} ${key}\n`;
  const salt = randomBytes(20);
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash} ${keyTypeOf(key)} ${key}\n`;
}

/** The known_hosts files of a run: each is read once, and what is accepted is remembered. */
export class KnownHosts {
  readonly #files = new Map<string, KnownHost[]>();

  /** Everything on record in these files; a file that is not there has nothing on record. */
  entries(files: readonly string[]): readonly KnownHost[] {
    return files.flatMap((file) => this.#read(file));
  }

  /**
   * Writes a new key into a file by one append, so that two runs cannot tear each other's lines; the file is made with mode 0600.
   * @throws the system's error when the file cannot be written.
   */
  accept(file: string, host: string, port: number, key: string, hashed: boolean): void {
    const known = this.#read(file);
    const line = knownHostLine(host, port, key, hashed);
    if (file !== '/dev/null') {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      appendFileSync(file, lacksLastNewline(file) ? `\n${line}` : line, { mode: 0o600 });
    }
    known.push(...parseKnownHosts(line, file));
  }

  #read(file: string): KnownHost[] {
    let entries = this.#files.get(file);
    if (entries === undefined) {
      entries = file === 'none' ? [] : [...parseKnownHosts(readIfThere(file), file)];
      this.#files.set(file, entries);
    }
    return entries;
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** People append to known_hosts by hand; without this, our line would be glued to theirs. */
function lacksLastNewline(file: string): boolean {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return false;
  }
  try {
    const { size } = fstatSync(fd);
    const last = Buffer.alloc(1);
    return size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== 10;
  } finally {
    closeSync(fd);
  }
}
