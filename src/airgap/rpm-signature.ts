import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * Who signed an RPM package. The two formats are read here, the mathematics is Node's. (openpgp.js takes no signatures of version 3, which
 * the packages of RHEL and SUSE carry, and gpg is not on every machine.) As with rpm, whoever hands a key over vouches for it: its
 * self-signatures and dates are not looked at.
 * @see https://rpm-software-management.github.io/rpm/manual/format_v4.html
 * @see https://www.rfc-editor.org/rfc/rfc4880
 */
export type RpmSignature =
  | { readonly verdict: 'right' | 'foreign'; readonly keyId: string }
  | { readonly verdict: 'none' }
  /** Nobody here can tell: an algorithm or a form that is not read. */
  | { readonly verdict: 'unread' | 'wrong'; readonly because: string };

/** A key that packages may be signed with. */
export interface SigningKey {
  /** The last 64 bits of its fingerprint, in hexadecimal. */
  readonly id: string;
  readonly key: KeyObject;
}

interface Signature {
  readonly keyId: string;
  /** Of Node; `undefined` for one that is too weak or not known. */
  readonly hash: string | undefined;
  readonly isOfBytes: boolean;
  /** What is hashed behind the signed bytes. */
  readonly trailer: Buffer;
  readonly numbers: readonly Buffer[];
}

const hashes: Readonly<Record<number, string>> = { 8: 'sha256', 9: 'sha384', 10: 'sha512' };
const headerMagic = Buffer.from('8eade801', 'hex');
const leadBytes = 96;
/** More than any header of a package has. */
const mostHeaderBytes = 64 * 1024 * 1024;
/** Tags of the signature header: RSAHEADER, DSAHEADER (EdDSA too), OPENPGP. */
const signatureTags = { rsa: 268, dsa: 267, openpgp: 278 };
const payloadDigestTags = { digest: 5092, algorithm: 5093 };

/** The keys of an armored text, subkeys included; those of a kind that is not read are left out. */
export function signingKeys(armored: string): readonly SigningKey[] {
  const blocks = armored.matchAll(/-----BEGIN PGP PUBLIC KEY BLOCK-----([\s\S]*?)-----END PGP/g);
  return [...blocks].flatMap(([, block = '']) => {
    const body = block
      .replace(/\r/g, '')
      .replace(/^[\s\S]*?\n\n/, '')
      .replace(/^=.{4}$/m, '');
    return packetsOf(Buffer.from(body, 'base64'))
      .filter(({ tag }) => tag === 6 || tag === 14)
      .flatMap(({ bytes }) => keyOf(bytes));
  });
}

/** Checks header and payload of a package file. @throws where the file cannot be read */
export async function rpmSignature(path: string, keys: readonly SigningKey[]): Promise<RpmSignature> {
  const parts = await partsOf(path);
  if (typeof parts === 'string') return { verdict: 'unread', because: parts };
  const signatures = parts.signatures.flatMap((packet) => signatureOf(packet) ?? []);
  const [first] = signatures;
  if (parts.signatures.length === 0) return { verdict: 'none' };
  if (first === undefined)
    return { verdict: 'unread', because: 'its signature is of a form that fleet does not read' };
  const known = signatures.find(({ keyId }) => keys.some(({ id }) => id === keyId));
  if (known === undefined) return { verdict: 'foreign', keyId: first.keyId };
  if (known.hash === undefined || !known.isOfBytes)
    return { verdict: 'unread', because: 'its signature is of a kind that fleet does not take' };
  const hash = known.hash;
  const isRight = keys
    .filter(({ id }) => id === known.keyId)
    .some(({ key }) => isSignedBy(key, hash, Buffer.concat([parts.header, known.trailer]), known.numbers));
  if (!isRight) return { verdict: 'wrong', because: `its header is not what key ${known.keyId} signed` };
  const { payloadDigest } = parts;
  if (payloadDigest === undefined)
    return { verdict: 'unread', because: 'its signature says nothing about its files' };
  const digest = createHash(payloadDigest.hash);
  for await (const chunk of createReadStream(path, { start: parts.payloadAt }))
    digest.update(chunk as Buffer);
  return digest.digest('hex') === payloadDigest.hex
    ? { verdict: 'right', keyId: known.keyId }
    : { verdict: 'wrong', because: 'its files are not those that its signed header names' };
}

function isSignedBy(key: KeyObject, hash: string, signed: Buffer, numbers: readonly Buffer[]): boolean {
  if (key.asymmetricKeyType === 'rsa') {
    const size = Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
    return verify(hash, signed, key, padded(numbers[0], size));
  }
  const digest = createHash(hash).update(signed).digest();
  return verify(null, digest, key, Buffer.concat([padded(numbers[0], 32), padded(numbers[1], 32)]));
}

/** A number of OpenPGP has no leading zeros. */
function padded(number: Buffer | undefined, size: number): Buffer {
  const bytes = number ?? Buffer.alloc(0);
  return bytes.length >= size ? bytes : Buffer.concat([Buffer.alloc(size - bytes.length), bytes]);
}

interface Packet {
  readonly tag: number;
  readonly bytes: Buffer;
}

function packetsOf(bytes: Buffer): readonly Packet[] {
  const packets: Packet[] = [];
  for (let at = 0; at + 1 < bytes.length; ) {
    const head = bytes.readUInt8(at);
    const isNew = (head & 0x40) !== 0;
    const sized = isNew ? newLength(bytes, at + 1) : oldLength(bytes, at + 1, head & 3);
    if ((head & 0x80) === 0 || sized === undefined || sized.at + sized.length > bytes.length) break;
    packets.push({
      tag: isNew ? head & 0x3f : (head >> 2) & 0xf,
      bytes: bytes.subarray(sized.at, sized.at + sized.length),
    });
    at = sized.at + sized.length;
  }
  return packets;
}

interface Sized {
  readonly at: number;
  readonly length: number;
}

function newLength(bytes: Buffer, at: number): Sized | undefined {
  const first = bytes.readUInt8(at);
  if (first < 192) return { at: at + 1, length: first };
  if (first < 224 && at + 2 <= bytes.length)
    return { at: at + 2, length: ((first - 192) << 8) + bytes.readUInt8(at + 1) + 192 };
  return first === 255 && at + 5 <= bytes.length
    ? { at: at + 5, length: bytes.readUInt32BE(at + 1) }
    : undefined;
}

function oldLength(bytes: Buffer, at: number, kind: number): Sized | undefined {
  const size = 1 << kind;
  if (kind === 3) return { at, length: bytes.length - at };
  return at + size <= bytes.length ? { at: at + size, length: bytes.readUIntBE(at, size) } : undefined;
}

/** Numbers with their size in bits before them. */
function numbersOf(bytes: Buffer): readonly Buffer[] {
  const numbers: Buffer[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = at + 2 + Math.ceil(bytes.readUInt16BE(at) / 8);
    numbers.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return numbers;
}

const ed25519Curve = Buffer.from('092b06010401da470f01', 'hex');

function keyOf(bytes: Buffer): SigningKey | [] {
  if (bytes.length < 6 || bytes[0] !== 4) return [];
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  const fingerprint = createHash('sha1')
    .update(Buffer.from([0x99]))
    .update(length)
    .update(bytes)
    .digest('hex');
  const body = bytes.subarray(6);
  const jwk = jwkOf(bytes[5] ?? 0, body);
  return jwk === undefined
    ? []
    : { id: fingerprint.slice(-16), key: createPublicKey({ key: jwk, format: 'jwk' }) };
}

function jwkOf(algorithm: number, body: Buffer) {
  if (algorithm === 1 || algorithm === 3) {
    const [n, e] = numbersOf(body);
    if (n === undefined || e === undefined) return undefined;
    return { kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') };
  }
  if (algorithm === 22 && body.subarray(0, ed25519Curve.length).equals(ed25519Curve)) {
    // A 0x40 stands before the point.
    const point = numbersOf(body.subarray(ed25519Curve.length))[0]?.subarray(1);
    return point?.length === 32 ? { kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') } : undefined;
  }
  return undefined;
}

function signatureOf(bytes: Buffer): Signature | undefined {
  if (bytes[0] === 3 && bytes.length > 19) {
    return {
      keyId: bytes.toString('hex', 7, 15),
      hash: hashes[bytes[16] ?? 0],
      isOfBytes: bytes[2] === 0,
      trailer: bytes.subarray(2, 7),
      numbers: numbersOf(bytes.subarray(19)),
    };
  }
  if (bytes[0] !== 4 || bytes.length < 10) return undefined;
  const hashedEnd = 6 + bytes.readUInt16BE(4);
  if (hashedEnd + 2 > bytes.length) return undefined;
  const end = hashedEnd + 2 + bytes.readUInt16BE(hashedEnd);
  const keyId = issuerIn(bytes.subarray(6, hashedEnd)) ?? issuerIn(bytes.subarray(hashedEnd + 2, end));
  if (keyId === undefined) return undefined;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(hashedEnd);
  return {
    keyId,
    hash: hashes[bytes[3] ?? 0],
    isOfBytes: bytes[1] === 0,
    trailer: Buffer.concat([bytes.subarray(0, hashedEnd), Buffer.from([4, 0xff]), length]),
    numbers: numbersOf(bytes.subarray(end + 2)),
  };
}

/** The key that a signature names, by its id or its fingerprint. */
function issuerIn(subpackets: Buffer): string | undefined {
  for (let at = 0; at < subpackets.length; ) {
    const sized = newLength(subpackets, at);
    if (sized === undefined) return undefined;
    const kind = (subpackets[sized.at] ?? 0) & 0x7f;
    const end = sized.at + sized.length;
    if (kind === 16 || kind === 33) return subpackets.toString('hex', end - 8, end);
    at = end;
  }
  return undefined;
}

interface Parts {
  /** Packets of signatures of the header. */
  readonly signatures: readonly Buffer[];
  /** As it is signed. */
  readonly header: Buffer;
  readonly payloadDigest: { readonly hash: string; readonly hex: string } | undefined;
  readonly payloadAt: number;
}

/** The parts of a package, or why it is none. */
async function partsOf(path: string): Promise<Parts | string> {
  const file = await open(path);
  try {
    const readAt = async (at: number, length: number): Promise<Buffer> => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
      return buffer.subarray(0, bytesRead);
    };
    const headerAt = async (at: number): Promise<Buffer | undefined> => {
      const start = await readAt(at, 16);
      if (start.length < 16 || !start.subarray(0, 4).equals(headerMagic)) return undefined;
      const length = 16 + 16 * start.readUInt32BE(8) + start.readUInt32BE(12);
      if (length > mostHeaderBytes) return undefined;
      const header = await readAt(at, length);
      return header.length === length ? header : undefined;
    };
    const signed = await headerAt(leadBytes);
    const at = signed === undefined ? 0 : leadBytes + Math.ceil(signed.length / 8) * 8;
    const header = signed === undefined ? undefined : await headerAt(at);
    if (signed === undefined || header === undefined) return 'it is no RPM package';
    const binary = [signatureTags.rsa, signatureTags.dsa].flatMap((tag) => entryOf(signed, tag) ?? []);
    const texts = entryOf(signed, signatureTags.openpgp)?.toString('latin1').split('\0') ?? [];
    const packets = [
      ...binary,
      ...texts.filter((text) => text !== '').map((text) => Buffer.from(text, 'base64')),
    ];
    const digest = entryOf(header, payloadDigestTags.digest)?.toString('latin1').split('\0')[0];
    const hash = hashes[entryOf(header, payloadDigestTags.algorithm)?.readUInt32BE(0) ?? 0];
    return {
      signatures: packets.flatMap((bytes) =>
        packetsOf(bytes).flatMap(({ tag, bytes: own }) => (tag === 2 ? own : [])),
      ),
      header,
      payloadDigest: digest === undefined || hash === undefined ? undefined : { hash, hex: digest },
      payloadAt: at + header.length,
    };
  } finally {
    await file.close();
  }
}

/** The bytes of an entry: exactly so many where it is binary, else those up to the end of the header. */
function entryOf(header: Buffer, wanted: number): Buffer | undefined {
  const entries = header.readUInt32BE(8);
  const store = 16 + 16 * entries;
  for (let at = 16; at < store && at + 16 <= header.length; at += 16) {
    if (header.readUInt32BE(at) !== wanted) continue;
    const isBinary = header.readUInt32BE(at + 4) === 7;
    const start = store + header.readUInt32BE(at + 8);
    const value = header.subarray(start, isBinary ? start + header.readUInt32BE(at + 12) : undefined);
    return value.length < 4 ? undefined : value;
  }
  return undefined;
}
