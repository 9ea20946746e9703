import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lines, sh } from '../../src/core/shell.ts';
import type { Upload } from '../../src/engine/action.ts';
import { exits, receiveScript, stagedBeside } from '../../src/engine/upload-script.ts';

/** The script that receives a file, in every shell that this machine has, as a node's `sh` may be any of them. */

const shells = [['dash'], ['bash', '--posix'], ['busybox', 'sh'], ['mksh'], ['ksh']].filter(
  ([program = '']) => {
    try {
      return execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }) !== '';
    } catch {
      return false;
    }
  },
);
const takesIn = sh`cat >> "$part" || { rm -f -- "$part"; exit 1; }`;
const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-receive-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe.each(shells.map((words) => [words.join(' '), words] as const))('in %s', (_name, shell) => {
  const receiving = async (
    content: Buffer,
    given: {
      readonly arrived?: Buffer;
      readonly sent?: Buffer;
      readonly fill?: typeof takesIn;
      readonly validate?: Upload['validate'];
      /** Run before the script, in the same shell. */
      readonly prelude?: typeof takesIn;
    } = {},
  ) => {
    const path = join(folder, 'own.tar');
    const { username, gid } = userInfo();
    const upload: Upload = {
      kind: 'upload',
      source: { from: 'file', path: '/own.tar' },
      path,
      mode: '0640',
      owner: username,
      group: String(gid),
      ...(given.validate === undefined ? {} : { validate: given.validate }),
    };
    const file = { path: '/own.tar', sha256: sum(content), size: content.length };
    const part = stagedBeside(path, file.sha256);
    if (given.arrived !== undefined) writeFileSync(part, given.arrived);
    const script = lines(given.prelude ?? sh``, receiveScript(upload, file, given.fill ?? takesIn)).text;
    const [program = 'sh', ...options] = shell;
    const child = spawn(program, [...options, '-c', script], { stdio: 'pipe' });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stdin.on('error', () => {});
    child.stdin.end(given.sent ?? content.subarray(given.arrived?.length ?? 0));
    const code = await new Promise((resolve) => child.on('close', resolve));
    return { code, said, path, part };
  };

  describe.each([
    ['a small file', 3000],
    ['a large file', 9 * 1024 * 1024],
  ])('%s', (_what, size) => {
    const content = randomBytes(size);

    it('lands, and nothing is left beside it', async () => {
      writeFileSync(join(folder, '.fleet-own.tar-other.part'), 'of another file');
      const { code, said, path } = await receiving(content);
      expect({ code, said }).toEqual({ code: 0, said: 'have 0\n' });
      expect(readFileSync(path).equals(content)).toBe(true);
      expect(readdirSync(folder)).toEqual(['own.tar']);
    });

    it('is gone on with at the byte, and not sent where all of it is there', async () => {
      const half = content.subarray(0, size / 2);
      const resumed = await receiving(content, { arrived: half });
      expect(resumed).toMatchObject({ code: 0, said: `have ${half.length}\n` });
      expect(readFileSync(resumed.path).equals(content)).toBe(true);
      const whole = await receiving(content, { arrived: content, fill: sh`echo called; exit 1` });
      expect(whole).toMatchObject({ code: 0, said: `have ${size}\n` });
    });

    it('is refused and removed where its bytes are others', async () => {
      const other = Buffer.from(content);
      other.writeUInt8(other.readUInt8(size - 1) ^ 1, size - 1);
      for (const given of [{ sent: other }, { arrived: other.subarray(1), sent: content.subarray(-1) }]) {
        const { code, said } = await receiving(content, given);
        expect(said).toMatch(/sha256 is [0-9a-f]{64}\n$/);
        expect(code).toBe(exits.damaged);
        expect(readdirSync(folder)).toEqual([]);
      }
    });

    it('that ends too early is kept when it is worth it, and no file', async () => {
      const { code, path, part } = await receiving(content, { sent: content.subarray(0, size - 1) });
      expect(code).toBe(exits.incomplete);
      expect(existsSync(path)).toBe(false);
      expect(existsSync(part)).toBe(size > 1024 * 1024);
    });

    it('ends as what fills it does', async () => {
      const { code, said, path } = await receiving(content, { fill: sh`echo 'no room' >&2; exit 69` });
      expect({ code, said }).toEqual({ code: 69, said: 'have 0\nno room\n' });
      expect(existsSync(path)).toBe(false);
    });

    it('does not land where the host refuses it', async () => {
      const { code, said } = await receiving(content, {
        validate: (staged) => sh`cmp ${staged} /dev/null; exit 1`,
      });
      expect(code).toBe(exits.invalid);
      expect(said).toMatch(/differ|EOF/);
      expect(readdirSync(folder)).toEqual([]);
    });
  });

  it('a very large file goes to the disk while it arrives', async () => {
    const content = Buffer.alloc(64 * 1024 * 1024 + 1, 'x');
    const flushed = join(folder, 'flushed');
    const { code, said, path } = await receiving(content, {
      prelude: sh`sync() { echo "$*" >> ${flushed}; command sync "$@"; }`,
      sent: content.subarray(1),
      // The last byte comes when the rest was sent to the disk, or never.
      fill: sh`cat >> "$part"; until [ -s ${flushed} ]; do sleep 0.1; done; printf x >> "$part"`,
    });
    expect({ code, said }).toEqual({ code: 0, said: 'have 0\n' });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(readFileSync(flushed, 'utf8')).toMatch(/^-d .*\.part\n/);
  });
});
