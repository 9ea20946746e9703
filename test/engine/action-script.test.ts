import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { sh } from '../../src/core/shell.ts';
import type { Write } from '../../src/engine/action.ts';
import { scriptOf } from '../../src/engine/action-script.ts';

const me = { owner: String(userInfo().uid), group: String(userInfo().gid) };
const shells = ['dash', 'bash', 'busybox sh'].filter(
  (shell) => spawnSync(shell.split(' ')[0] ?? '', ['--help']).error === undefined,
);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-action-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(script: { text: string }, shell = 'sh') {
  const [program = 'sh', ...args] = shell.split(' ');
  return spawnSync(program, [...args, '-c', `( ${script.text}\n) < /dev/null`], { encoding: 'utf8' });
}

function write(more: Partial<Write>): Write {
  return { kind: 'write', path: join(folder, 'file'), content: 'text\n', mode: '0640', ...me, ...more };
}

describe('write', () => {
  it.each(shells)('leaves exactly the content, mode and nothing else, under %s', (shell) => {
    const content = 'it\'s $HOME `id` \\n "quoted"\n\n  no newline at the end';
    const result = run(scriptOf(write({ content }), {}, 'job'), shell);
    expect(result.stderr).toBe('');
    expect(result.status).toBe(0);
    expect(readFileSync(join(folder, 'file'), 'utf8')).toBe(content);
    expect(statSync(join(folder, 'file')).mode & 0o7777).toBe(0o640);
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('carries any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (content) => {
        expect(run(scriptOf(write({ content }), {}, 'job')).status).toBe(0);
        expect(readFileSync(join(folder, 'file'))).toEqual(Buffer.from(content));
      }),
      { numRuns: 25 },
    );
  });

  it('replaces a link rather than what the link points to', () => {
    writeFileSync(join(folder, 'target'), 'kept');
    symlinkSync('target', join(folder, 'file'));
    run(scriptOf(write({}), {}, 'job'));
    expect(readFileSync(join(folder, 'target'), 'utf8')).toBe('kept');
    expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('text\n');
  });

  it('leaves the old file when validation fails, and no temporary one', () => {
    writeFileSync(join(folder, 'file'), 'old');
    const validate = (path: string) => sh`grep -q valid ${path}`;
    const result = run(scriptOf(write({ validate }), {}, 'job'));
    expect(result.status).not.toBe(0);
    expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('keeps the old file as a backup when asked', () => {
    writeFileSync(join(folder, 'file'), 'old');
    chmodSync(join(folder, 'file'), 0o600);
    run(scriptOf(write({ backup: true }), {}, 'job'));
    const backup = readdirSync(folder).find((name) => name.endsWith('~'));
    expect(readFileSync(join(folder, backup ?? ''), 'utf8')).toBe('old');
    expect(statSync(join(folder, backup ?? '')).mode & 0o7777).toBe(0o600);
  });

  it('fails and leaves nothing in a folder that does not exist', () => {
    const result = run(scriptOf(write({ path: join(folder, 'none', 'file') }), {}, 'job'));
    expect(result.status).not.toBe(0);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('has a secret nowhere in the arguments of a process', () => {
    const secret = 'sEcr3t-value';
    const script = scriptOf(
      write({
        content: new Secret(secret),
        validate: () => sh`cat /proc/[0-9]*/cmdline | tr '\0' '\n' > ${join(folder, 'argv')}`,
      }),
      {},
      'job',
    );
    spawnSync('sh', { input: script.text, encoding: 'utf8' });
    expect(readFileSync(join(folder, 'file'), 'utf8')).toBe(secret);
    expect(readFileSync(join(folder, 'argv'), 'utf8')).not.toContain(secret);
  });
});

describe('remove', () => {
  it('is content where nothing is, and takes names that look like options', () => {
    const path = join(folder, '-rf *');
    writeFileSync(path, '');
    writeFileSync(join(folder, 'kept'), '');
    expect(run(scriptOf({ kind: 'remove', path }, {}, 'job')).status).toBe(0);
    expect(run(scriptOf({ kind: 'remove', path }, {}, 'job')).status).toBe(0);
    expect(readdirSync(folder)).toEqual(['kept']);
  });
});

describe('run', () => {
  it('sees the environment it is given, quoted', () => {
    const script = scriptOf(
      { kind: 'run', what: 'print', script: sh`printf %s "$GREETING"` },
      { GREETING: "it's $1" },
      'job',
    );
    expect(run(script).stdout).toBe("it's $1");
  });

  it('refuses a name that is no variable name', () => {
    expect(() => scriptOf({ kind: 'run', what: 'x', script: sh`true` }, { 'A;reboot': '' }, 'job')).toThrow(
      /A;reboot/,
    );
  });
});

describe.runIf(userInfo().uid === 0)('run that survives', () => {
  const job = `test-${process.pid}`;
  afterEach(() => rmSync(`/run/fleet/jobs/${job}`, { recursive: true, force: true }));

  it('hands over output and status, and leaves nothing behind', () => {
    const script = scriptOf(
      { kind: 'run', what: 'x', survives: true, script: sh`echo out; echo err >&2; exit 3` },
      {},
      job,
    );
    const result = run(script);
    expect([result.stdout, result.stderr, result.status]).toEqual(['out\n', 'err\n', 3]);
    expect(existsSync(`/run/fleet/jobs/${job}`)).toBe(false);
  });

  it('is joined, not begun again, when it is sent a second time', () => {
    const counter = join(folder, 'count');
    const gate = join(folder, 'gate');
    spawnSync('mkfifo', [gate]);
    const script = scriptOf(
      {
        kind: 'run',
        what: 'x',
        survives: true,
        script: sh`echo begun >> ${counter}; read line < ${gate}; echo "$line"`,
      },
      {},
      job,
    );
    // The first caller is killed as soon as the job has begun, as by a lost connection.
    const killed = spawnSync('sh', [
      '-c',
      `( ${script.text}\n) < /dev/null & until [ -s ${counter} ]; do :; done; kill -9 $!`,
    ]);
    expect(killed.status).toBe(0);
    const joined = spawnSync('sh', ['-c', `( ${script.text}\n) < /dev/null & echo done > ${gate}; wait $!`], {
      encoding: 'utf8',
    });
    expect(joined.stdout).toBe('done\n');
    expect(readFileSync(counter, 'utf8')).toBe('begun\n');
  });
});
