import { createHash, randomInt } from 'node:crypto';
import { hashSync as bcrypt } from 'bcryptjs';
import type { FilterArguments } from './arguments.ts';
import type { Budget } from './budget.ts';
import { TemplateError } from './error.ts';
import { CRYPT_LETTERS, cryptLetters, shaCrypt } from './sha-crypt.ts';

interface Algorithm {
  readonly saltLetters: number;
  /** Whether a salt has exactly so many letters, not at most. */
  readonly exact?: true;
  /** Ansible's default, that of no passlib in particular. */
  readonly rounds: number;
  readonly fewestRounds: number;
  /** A second's work or some: an inventory must not keep the machine busy for an hour. */
  readonly mostRounds: number;
  /** What one hash costs of a template's budget. */
  work(rounds: number): number;
  hash(password: string, salt: string, rounds: number, ident: string): string;
}

const bcryptAlgorithm: Algorithm = {
  saltLetters: 22,
  // Of 22 letters 4 bits are too many for a salt of 128; they do not count, and are not said.
  exact: true,
  rounds: 12,
  fewestRounds: 4,
  mostRounds: 15,
  work: (rounds) => 150 * 2 ** rounds,
  hash: (password, salt, rounds, ident) =>
    bcrypt(password, `$${ident}$${String(rounds).padStart(2, '0')}$${salt}`),
};

const shaAlgorithm = (name: 'sha256' | 'sha512', rounds: number): Algorithm => ({
  saltLetters: 16,
  rounds,
  fewestRounds: 1000,
  mostRounds: 1_000_000,
  work: (wanted) => wanted,
  hash: (password, salt, wanted) => shaCrypt(password, name, salt, wanted),
});

const md5Algorithm: Algorithm = {
  saltLetters: 8,
  rounds: 1000,
  fewestRounds: 1000,
  mostRounds: 1000,
  work: (rounds) => rounds,
  hash: (password, salt) => md5Crypt(password, salt),
};

/** @see https://docs.ansible.com/ansible/latest/collections/ansible/builtin/password_hash_filter.html */
const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['sha512', shaAlgorithm('sha512', 656_000)],
  ['sha256', shaAlgorithm('sha256', 535_000)],
  ['blowfish', bcryptAlgorithm],
  ['md5', md5Algorithm],
]);
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['sha512_crypt', 'sha512'],
  ['sha256_crypt', 'sha256'],
  ['bcrypt', 'blowfish'],
  ['md5_crypt', 'md5'],
]);

/**
 * What was hashed by this process, by what was asked. A hash takes half a second, and each host asks for it; and a salt that was
 * drawn stays, or what a plan shows would not be what is done.
 */
const known = new Map<string, string>();

/**
 * Jinja's `password_hash`: a password as /etc/shadow keeps it. Ansible with passlib gives the same.
 * @throws TemplateError for an algorithm, salt or rounds that it cannot have.
 */
export function passwordHash(password: string, args: FilterArguments, budget: Budget): string {
  const wanted = args.text(0, 'hashtype', 'sha512');
  const name = OTHER_NAMES.get(wanted) ?? wanted;
  const algorithm = ALGORITHMS.get(name);
  if (algorithm === undefined) {
    const names = [...ALGORITHMS.keys()].join(', ');
    throw new TemplateError('failed', `password_hash knows ${names}, not "${wanted}"`);
  }
  if (password.includes('\0')) throw new TemplateError('failed', 'a password cannot hold a NUL');
  const { saltLetters, exact } = algorithm;
  const size = args.number(2, 'salt_size', saltLetters);
  const given = args.maybeText(1, 'salt');
  const length = given?.length || size;
  if (length < 0 || length > saltLetters || (exact === true && length !== saltLetters)) {
    throw new TemplateError(
      'failed',
      `a salt for ${name} has ${exact === true ? '' : 'at most '}${saltLetters} letters, not ${length}`,
    );
  }
  if (given !== undefined && !/^[./\dA-Za-z]*$/.test(given)) {
    throw new TemplateError('failed', 'the salt of password_hash is letters, digits, "." and "/"');
  }
  const rounds = args.number(3, 'rounds', algorithm.rounds) || algorithm.rounds;
  if (!Number.isInteger(rounds) || rounds < algorithm.fewestRounds || rounds > algorithm.mostRounds) {
    const limits = `${algorithm.fewestRounds} to ${algorithm.mostRounds}`;
    throw new TemplateError('failed', `rounds of ${name} are ${limits} here, not ${rounds}`);
  }
  const ident = args.maybeText(4, 'ident') || '2b';
  if (algorithm === bcryptAlgorithm && !['2', '2a', '2b', '2y'].includes(ident)) {
    throw new TemplateError('failed', `the ident of a bcrypt hash is 2a, 2b or 2y, not "${ident}"`);
  }
  const question = createHash('sha256')
    .update(JSON.stringify([password, name, given || size, rounds, ident]))
    .digest('base64');
  const answer =
    known.get(question) ??
    budget.outsideTheClock(algorithm.work(rounds), () =>
      algorithm.hash(password, given || randomSalt(size), rounds, ident),
    );
  known.set(question, answer);
  return answer;
}

function randomSalt(length: number): string {
  return Array.from({ length }, () => CRYPT_LETTERS.charAt(randomInt(CRYPT_LETTERS.length))).join('');
}

const MD5_ORDER = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5], [11]];

/** `$1$salt$…`, from when 1000 rounds of MD5 were much. For machines that know nothing better. */
function md5Crypt(password: string, salt: string): string {
  const key = Buffer.from(password);
  const seed = Buffer.from(salt);
  const hash = (...parts: readonly Uint8Array[]): Buffer =>
    createHash('md5').update(Buffer.concat(parts)).digest();
  const alternate = hash(key, seed, key);
  const parts: Uint8Array[] = [key, Buffer.from('$1$'), seed];
  for (let left = key.length; left > 0; left -= 16) parts.push(alternate.subarray(0, Math.min(16, left)));
  for (let bits = key.length; bits > 0; bits >>= 1)
    parts.push(bits & 1 ? Buffer.alloc(1) : key.subarray(0, 1));
  let digest = hash(...parts);
  for (let round = 0; round < 1000; round += 1) {
    digest = hash(
      round % 2 === 1 ? key : digest,
      ...(round % 3 === 0 ? [] : [seed]),
      ...(round % 7 === 0 ? [] : [key]),
      round % 2 === 1 ? digest : key,
    );
  }
  return `$1$${salt}$${cryptLetters(digest, MD5_ORDER)}`;
}
