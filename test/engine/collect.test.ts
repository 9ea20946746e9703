import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FleetError } from '../../src/core/errors.ts';
import type { Collect } from '../../src/engine/action.ts';
import { collectFile } from '../../src/engine/collect.ts';
import type { RunOptions } from '../../src/ssh/connection.ts';
import { LocalConnection } from '../../src/ssh/local-connection.ts';
import { applied, here, planned, play } from './run-here.ts';

const content = randomBytes(12 * 1024 * 1024);
const sha256 = createHash('sha256').update(content).digest('hex');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-collect-'));
  writeFileSync(join(folder, 'large'), content);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A host whose connection breaks after so many bytes of each channel, as often as is said. */
function breaking(afterBytes: number, times: number) {
  const connection = new LocalConnection('node1');
  let broken = 0;
  return {
    host: 'node1',
    reconnects: 0,
    async runBeside(script: Parameters<LocalConnection['run']>[0], options: Omit<RunOptions, 'become'>) {
      if (broken >= times) return connection.run(script, options);
      broken += 1;
      let passed = 0;
      await connection.run(script, {
        ...options,
        onStdout: (chunk) => {
          const rest = chunk.subarray(0, Math.max(0, afterBytes - passed));
          passed += rest.length;
          if (rest.length > 0) options.onStdout?.(rest);
        },
      });
      throw new FleetError({ code: 'CONNECTION_LOST', message: 'the connection was lost' });
    },
    async reconnect() {
      this.reconnects += 1;
    },
  };
}

function action(more: Partial<Collect> = {}): Collect {
  return {
    kind: 'collect',
    source: join(folder, 'large'),
    path: join(folder, 'to', 'large'),
    mode: '0600',
    sizeBytes: content.length,
    sha256,
    ...more,
  };
}

describe('a file of a host', () => {
  test('arrives whole, for its owner alone, though the connection breaks in its middle', async () => {
    const host = breaking(5_000_000, 2);
    const told: number[] = [];
    await collectFile(host, action(), 20_000, (arrived) => told.push(arrived));
    expect(readFileSync(join(folder, 'to', 'large')).equals(content)).toBe(true);
    expect(statSync(join(folder, 'to', 'large')).mode & 0o777).toBe(0o600);
    expect(host.reconnects).toBe(2);
    expect(told.at(-1)).toBe(content.length);
  });

  test('is given up when nothing more arrives, and leaves nothing behind', async () => {
    const path = join(folder, 'never', 'large');
    await expect(collectFile(breaking(0, 9), action({ path }), 20_000, () => {})).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
    });
    expect(readdirSync(join(folder, 'never'))).toEqual([]);
  });

  test('that grew since it was looked at arrives; one that changed meanwhile does not', async () => {
    const path = join(folder, 'log');
    await collectFile(breaking(0, 0), action({ path, sha256: 'of an hour ago' }), 20_000, () => {});
    expect(readFileSync(path).equals(content)).toBe(true);
    const source = join(folder, 'changing');
    writeFileSync(source, 'before');
    const host = breaking(0, 0);
    const changed = {
      ...host,
      runBeside: async (...args: Parameters<typeof host.runBeside>) => {
        const answer = await host.runBeside(...args);
        writeFileSync(source, 'beyond');
        return answer;
      },
    };
    await expect(
      collectFile(changed, action({ source, path: join(folder, 'got') }), 20_000, () => {}),
    ).rejects.toMatchObject({ code: 'FETCH_DAMAGED', host: 'node1' });
    expect(existsSync(join(folder, 'got'))).toBe(false);
  });

  test('that cannot be read, or not be written, says so', async () => {
    const none = action({ source: join(folder, 'none') });
    await expect(collectFile(breaking(0, 0), none, 20_000, () => {})).rejects.toMatchObject({
      code: 'FETCH_FAILED',
      message: expect.stringContaining('No such file'),
    });
    const below = action({ path: join(folder, 'large', 'x') });
    await expect(collectFile(breaking(0, 0), below, 20_000, () => {})).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
    });
  });
});

test('of more than 10 MiB is brought by the step fetch, once', async () => {
  const where = await here();
  const book = play(`- fetch: {src: ${join(folder, 'large')}, dest: "{{ playbook_dir }}/got/", flat: true}`);
  expect((await planned(where, book)).tasks).toEqual(['a fetch would-change']);
  expect(existsSync(join(where.folder, 'got'))).toBe(false);
  expect((await applied(where, book)).tasks).toEqual(['a fetch changed']);
  expect(readFileSync(join(where.folder, 'got', 'large')).equals(content)).toBe(true);
  expect((await applied(where, book)).tasks).toEqual(['a fetch unchanged']);
});
