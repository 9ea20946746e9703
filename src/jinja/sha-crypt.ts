import { createHash, randomInt } from 'node:crypto';

/** glibc's number of rounds where the hash names none. */
const USUAL_ROUNDS = 5000;
const FEWEST_ROUNDS = 1000;
/** A million takes a second; an inventory must not keep the machine busy for an hour. */
const MOST_ROUNDS = 1_000_000;
const LETTERS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** In which order the bytes of the digest become letters, three at a time. */
const ORDER = {
  sha256: [
    [0, 10, 20],
    [21, 1, 11],
    [12, 22, 2],
    [3, 13, 23],
    [24, 4, 14],
    [15, 25, 5],
    [6, 16, 26],
    [27, 7, 17],
    [18, 28, 8],
    [9, 19, 29],
    [undefined, 31, 30],
  ],
  sha512: [
    [0, 21, 42],
    [22, 43, 1],
    [44, 2, 23],
    [3, 24, 45],
    [25, 46, 4],
    [47, 5, 26],
    [6, 27, 48],
    [28, 49, 7],
    [50, 8, 29],
    [9, 30, 51],
    [31, 52, 10],
    [53, 11, 32],
    [12, 33, 54],
    [34, 55, 13],
    [56, 14, 35],
    [15, 36, 57],
    [37, 58, 16],
    [59, 17, 38],
    [18, 39, 60],
    [40, 61, 19],
    [62, 20, 41],
    [undefined, undefined, 63],
  ],
} as const;

/**
 * A password as /etc/shadow keeps it: `$6$salt$…` or `$5$salt$…`, the "SHA-crypt" of glibc.
 * @see https://www.akkadia.org/drepper/SHA-crypt.txt
 */
export function shaCrypt(
  password: string,
  algorithm: 'sha256' | 'sha512',
  salt = randomSalt(16),
  wantedRounds?: number,
): string {
  const rounds = Math.min(MOST_ROUNDS, Math.max(FEWEST_ROUNDS, wantedRounds ?? USUAL_ROUNDS));
  const size = algorithm === 'sha256' ? 32 : 64;
  const key = Buffer.from(password);
  const seed = Buffer.from(salt).subarray(0, 16);
  const hash = (...parts: readonly Uint8Array[]): Buffer => {
    const digest = createHash(algorithm);
    for (const part of parts) digest.update(part);
    return digest.digest();
  };
  const filled = (block: Buffer, length: number): Buffer =>
    Buffer.concat(Array.from({ length: Math.ceil(length / size) }, () => block)).subarray(0, length);

  const alternate = hash(key, seed, key);
  const parts: Buffer[] = [key, seed, filled(alternate, key.length)];
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push(bits & 1 ? alternate : key);
  let digest = hash(...parts);
  const keyBytes = filled(hash(...Array.from({ length: key.length }, () => key)), key.length);
  const repeats = 16 + (digest[0] ?? 0);
  const saltBytes = filled(hash(...Array.from({ length: repeats }, () => seed)), seed.length);
  for (let round = 0; round < rounds; round += 1) {
    digest = hash(
      round % 2 === 1 ? keyBytes : digest,
      ...(round % 3 === 0 ? [] : [saltBytes]),
      ...(round % 7 === 0 ? [] : [keyBytes]),
      round % 2 === 1 ? digest : keyBytes,
    );
  }
  const id = algorithm === 'sha256' ? '5' : '6';
  const said = rounds === USUAL_ROUNDS ? '' : `rounds=${rounds}$`;
  return `$${id}$${said}${seed.toString()}$${lettersOf(digest, ORDER[algorithm])}`;
}

function lettersOf(digest: Buffer, order: readonly (readonly (number | undefined)[])[]): string {
  let text = '';
  for (const group of order) {
    const bytes = group.filter((index) => index !== undefined);
    let bits = bytes.reduce((sum, index) => (sum << 8) | (digest[index] ?? 0), 0);
    for (let count = Math.ceil((bytes.length * 8) / 6); count > 0; count -= 1) {
      text += LETTERS.charAt(bits & 63);
      bits >>= 6;
    }
  }
  return text;
}

function randomSalt(length: number): string {
  return Array.from({ length }, () => LETTERS.charAt(randomInt(LETTERS.length))).join('');
}
