import { createHash, hash as hashAtOnce } from 'node:crypto';

/** glibc's number of rounds where the hash names none. */
const UNNAMED_ROUNDS = 5000;
/** The digits of crypt(3)'s base 64, which salts are made of as well. */
export const CRYPT_LETTERS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

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
 * A password as /etc/shadow keeps it: `$6$rounds=656000$salt$…` or `$5$…`, the "SHA-crypt" of glibc.
 * @param salt at most 16 of `CRYPT_LETTERS`
 * @see https://www.akkadia.org/drepper/SHA-crypt.txt
 */
export function shaCrypt(
  password: string,
  algorithm: 'sha256' | 'sha512',
  salt: string,
  rounds: number,
): string {
  const size = algorithm === 'sha256' ? 32 : 64;
  const key = Buffer.from(password);
  const seed = Buffer.from(salt);
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
  // What is hashed in a round has one of 42 forms, in which only the digest differs: each is laid out once.
  const forms = Array.from({ length: 42 }, (_, round) => {
    const between = Buffer.concat([
      ...(round % 3 === 0 ? [] : [saltBytes]),
      ...(round % 7 === 0 ? [] : [keyBytes]),
    ]);
    const hole = Buffer.alloc(size);
    return round % 2 === 1
      ? { text: Buffer.concat([keyBytes, between, hole]), at: keyBytes.length + between.length }
      : { text: Buffer.concat([hole, between, keyBytes]), at: 0 };
  });
  for (let round = 0; round < rounds; round += 1) {
    const form = forms[round % 42];
    if (form === undefined) continue;
    digest.copy(form.text, form.at);
    digest = hashAtOnce(algorithm, form.text, 'buffer');
  }
  const id = algorithm === 'sha256' ? '5' : '6';
  const said = rounds === UNNAMED_ROUNDS ? '' : `rounds=${rounds}$`;
  return `$${id}$${said}${salt}$${cryptLetters(digest, ORDER[algorithm])}`;
}

/** A digest in crypt(3)'s base 64, its bytes in an order of the algorithm's own, three to four letters. */
export function cryptLetters(digest: Buffer, order: readonly (readonly (number | undefined)[])[]): string {
  let text = '';
  for (const group of order) {
    const bytes = group.filter((index) => index !== undefined);
    let bits = bytes.reduce((sum, index) => (sum << 8) | (digest[index] ?? 0), 0);
    for (let count = Math.ceil((bytes.length * 8) / 6); count > 0; count -= 1) {
      text += CRYPT_LETTERS.charAt(bits & 63);
      bits >>= 6;
    }
  }
  return text;
}
