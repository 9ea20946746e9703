import { createHash } from 'node:crypto';

const SIZE = 624;
const SHIFT = 397;

/**
 * Python's `random.Random(seed)` (Mersenne Twister), so that `random(seed=inventory_hostname)` gives the number it
 * gives under Ansible.
 */
export class PythonRandom {
  readonly #state = new Uint32Array(SIZE);
  #index = SIZE;

  constructor(seed: string | number) {
    this.#seed(typeof seed === 'string' ? seedOfText(seed) : BigInt(Math.abs(Math.trunc(seed))));
  }

  /** An integer of [0, limit). */
  below(limit: number): number {
    const bits = limit === 0 ? 0 : Math.floor(Math.log2(limit)) + 1;
    if (limit <= 0) return 0;
    for (;;) {
      const value = this.#bits(bits);
      if (value < limit) return value;
    }
  }

  /** Shuffles in place, as `random.shuffle` does. */
  shuffle(items: unknown[]): void {
    for (let index = items.length - 1; index > 0; index -= 1) {
      const other = this.below(index + 1);
      [items[index], items[other]] = [items[other], items[index]];
    }
  }

  #bits(count: number): number {
    if (count <= 32) return this.#next() >>> (32 - count);
    const low = this.#next();
    const high = this.#next() >>> (64 - count);
    return high * 0x1_0000_0000 + low;
  }

  #seed(seed: bigint): void {
    const key: number[] = [];
    for (let rest = seed; rest > 0n; rest >>= 32n) key.push(Number(rest & 0xffff_ffffn));
    if (key.length === 0) key.push(0);
    const state = this.#state;
    state[0] = 19650218;
    for (let index = 1; index < SIZE; index += 1) {
      const previous = state[index - 1] ?? 0;
      state[index] = Math.imul(1812433253, previous ^ (previous >>> 30)) + index;
    }
    let i = 1;
    let j = 0;
    for (let rounds = Math.max(SIZE, key.length); rounds > 0; rounds -= 1) {
      const previous = state[i - 1] ?? 0;
      state[i] = ((state[i] ?? 0) ^ Math.imul(previous ^ (previous >>> 30), 1664525)) + (key[j] ?? 0) + j;
      i += 1;
      j += 1;
      if (i >= SIZE) {
        state[0] = state[SIZE - 1] ?? 0;
        i = 1;
      }
      if (j >= key.length) j = 0;
    }
    for (let rounds = SIZE - 1; rounds > 0; rounds -= 1) {
      const previous = state[i - 1] ?? 0;
      state[i] = ((state[i] ?? 0) ^ Math.imul(previous ^ (previous >>> 30), 1566083941)) - i;
      i += 1;
      if (i >= SIZE) {
        state[0] = state[SIZE - 1] ?? 0;
        i = 1;
      }
    }
    state[0] = 0x8000_0000;
  }

  #next(): number {
    const state = this.#state;
    if (this.#index >= SIZE) {
      for (let k = 0; k < SIZE; k += 1) {
        const y = ((state[k] ?? 0) & 0x8000_0000) | ((state[(k + 1) % SIZE] ?? 0) & 0x7fff_ffff);
        state[k] = (state[(k + SHIFT) % SIZE] ?? 0) ^ (y >>> 1) ^ ((y & 1) === 0 ? 0 : 0x9908_b0df);
      }
      this.#index = 0;
    }
    let y = state[this.#index] ?? 0;
    this.#index += 1;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c_5680;
    y ^= (y << 15) & 0xefc6_0000;
    y ^= y >>> 18;
    return y >>> 0;
  }
}

/** Python seeds with the text followed by its sha512, read as one big number. */
function seedOfText(seed: string): bigint {
  const bytes = Buffer.from(seed);
  const all = Buffer.concat([bytes, createHash('sha512').update(bytes).digest()]);
  return BigInt(`0x${all.toString('hex')}`);
}
