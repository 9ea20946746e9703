import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AnyStep } from '../../src/engine/step.ts';
import { stepNamed } from '../../src/steps/registry.ts';
import { hostView, performHere, planHere, settle, shells } from './here.ts';

/** Steps on real files, in a temporary folder, in every shell: change, then nothing left to change. */

const root = mkdtempSync(join(tmpdir(), "fleet steps' $(x)-"));
let folder = root;
let count = 0;
const at = (name: string) => join(folder, name);
const mode = (name: string) => (statSync(at(name)).mode & 0o7777).toString(8);
const text = (name: string) => readFileSync(at(name), 'utf8');

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function named(name: string): AnyStep {
  const step = stepNamed(name);
  if (step === undefined) throw new Error(name);
  return step;
}

const isRoot = process.getuid?.() === 0;
const available = Object.keys(shells).filter(
  (shell) =>
    spawnSync(shells[shell]?.[0] ?? '', shell === 'busybox' ? ['true'] : ['-c', 'true']).status === 0,
);

describe.runIf(isRoot).each(available)('in %s', (shell) => {
  /** A change and then rest. */
  async function lands(step: string, args: unknown, view = hostView()) {
    const outcome = await settle(named(step), args, shell, view);
    expect(outcome.first.verdict, JSON.stringify(outcome.first)).toBe('change');
    expect(outcome.second.verdict, JSON.stringify(outcome.second)).toBe('unchanged');
    return outcome;
  }

  test('copy', async () => {
    await lands('copy', {
      dest: at("a b'c"),
      content: 'one\n$x `y` \\ "z"\n\n',
      mode: '0640',
      owner: 'nobody',
    });
    expect(text("a b'c")).toBe('one\n$x `y` \\ "z"\n\n');
    expect(mode("a b'c")).toBe('640');
    expect(statSync(at("a b'c")).uid).toBe(65534);
    const before = statSync(at("a b'c"));
    await settle(
      named('copy'),
      { dest: at("a b'c"), content: 'one\n$x `y` \\ "z"\n\n', mode: '0640' },
      shell,
    );
    expect(statSync(at("a b'c")).mtimeMs, 'nothing moved').toBe(before.mtimeMs);
    expect(statSync(at("a b'c")).ino).toBe(before.ino);
  });

  test('copy of a file, binary too, into a folder, with a backup', async () => {
    mkdirSync(at('files'));
    mkdirSync(at('dest'));
    writeFileSync(at('files/blob'), Buffer.from([0, 1, 255, 254, 10, 13]));
    await lands('copy', { src: 'blob', dest: `${at('dest')}/` }, hostView({}, [folder]));
    expect([...readFileSync(at('dest/blob'))]).toEqual([0, 1, 255, 254, 10, 13]);
    writeFileSync(at('files/blob'), 'text');
    await lands('copy', { src: 'blob', dest: at('dest'), backup: true }, hostView({}, [folder]));
    expect(text('dest/blob')).toBe('text');
    expect(readdirSync(at('dest')).filter((name) => /^blob\.\d{8}-\d{6}~$/.test(name))).toHaveLength(1);
  });

  test('copy of a folder', async () => {
    mkdirSync(at('files/tree/sub'), { recursive: true });
    writeFileSync(at('files/tree/one'), '1');
    writeFileSync(at('files/tree/sub/two'), '2');
    await lands(
      'copy',
      { src: 'tree/', dest: at('dest'), mode: '0600', directory_mode: '0700' },
      hostView({}, [folder]),
    );
    expect([text('dest/one'), text('dest/sub/two'), mode('dest/sub/two'), mode('dest/sub')]).toEqual([
      '1',
      '2',
      '600',
      '700',
    ]);
    await lands('copy', { src: 'tree', dest: at('dest') }, hostView({}, [folder]));
    expect(text('dest/tree/sub/two')).toBe('2');
    writeFileSync(at('dest/tree/sub/two'), 'drift');
    await lands('copy', { src: 'tree', dest: at('dest') }, hostView({}, [folder]));
    expect(text('dest/tree/sub/two')).toBe('2');
  });

  test('copy on the host', async () => {
    writeFileSync(at('from'), 'x', { mode: 0o600 });
    await lands('copy', { src: at('from'), dest: at('to'), remote_src: true });
    expect([text('to'), mode('to')]).toEqual(['x', '600']);
  });

  test('a file that its validator refuses does not land', async () => {
    writeFileSync(at('conf'), 'good');
    const plan = await planHere(
      named('copy'),
      { dest: at('conf'), content: 'bad', validate: 'grep -q good %s' },
      shell,
    );
    expect(() => plan.verdict === 'change' && performHere(plan.actions, shell)).toThrow();
    expect(text('conf')).toBe('good');
    expect(readdirSync(folder)).toEqual(['conf']);
  });

  test('template', async () => {
    mkdirSync(at('templates'));
    writeFileSync(at('templates/a.conf.j2'), 'port = {{ port }}\n');
    await lands('template', { src: 'a.conf.j2', dest: `${folder}/` }, hostView({ port: 6443 }, [folder]));
    expect(text('a.conf')).toBe('port = 6443\n');
  });

  test('directories', async () => {
    await lands('file', { path: at('a/b/c'), state: 'directory', mode: 'u=rwx,g=rx,o=' });
    expect([mode('a/b/c'), mode('a')]).toEqual(['750', '755']);
    await lands('file', { path: at('a/b/c'), state: 'directory', mode: '2775', group: 'nogroup' });
    expect(mode('a/b/c')).toBe('2775');
    await lands('file', { path: at('a/b/c'), state: 'directory', mode: '0755' });
    expect(mode('a/b/c')).toBe('755');
    writeFileSync(at('a/b/file'), '');
    await lands('file', {
      path: at('a'),
      state: 'directory',
      mode: 'u=rwX,go=rX',
      owner: 'nobody',
      recurse: true,
    });
    expect([mode('a/b/file'), statSync(at('a/b/file')).uid]).toEqual(['644', 65534]);
    await lands('directory', { path: at('d'), mode: 755 });
  });

  test('links', async () => {
    writeFileSync(at('target'), '');
    await lands('file', { path: at('link'), src: 'target', state: 'link' });
    await lands('link', { path: at('link'), src: 'else' });
    expect(readlinkSync(at('link'))).toBe('else');
    mkdirSync(at('dir'));
    symlinkSync('dir', at('dir-link'));
    await lands('link', { path: at('dir-link'), src: 'target' });
    expect([readlinkSync(at('dir-link')), readdirSync(at('dir'))]).toEqual(['target', []]);
    await lands('file', { path: at('hard'), src: at('target'), state: 'hard' });
    expect(statSync(at('hard')).ino).toBe(statSync(at('target')).ino);
    writeFileSync(at('plain'), '');
    await lands('link', { path: at('plain'), src: 'target', force: true });
    expect(lstatSync(at('plain')).isSymbolicLink()).toBe(true);
  });

  test('touch, attributes, absent', async () => {
    await settle(named('file'), { path: at('new'), state: 'touch', mode: '0600' }, shell);
    expect(mode('new')).toBe('600');
    await lands('file', { path: at('new'), mode: 'a+r' });
    expect(mode('new')).toBe('644');
    mkdirSync(at('tree/deep'), { recursive: true });
    await lands('file', { path: at('tree'), state: 'absent' });
    await lands('file', { path: at('new'), state: 'absent' });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('edits', async () => {
    writeFileSync(at('conf'), 'a=1\nb=2\n', { mode: 0o600 });
    await lands('lineinfile', { path: at('conf'), regexp: '^a=', line: 'a=3' });
    await lands('blockinfile', { path: at('conf'), block: 'x\ny' });
    await lands('replace', { path: at('conf'), regexp: '^b=.*$', replace: 'b=4' });
    expect(text('conf')).toBe('a=3\nb=4\n# BEGIN ANSIBLE MANAGED BLOCK\nx\ny\n# END ANSIBLE MANAGED BLOCK\n');
    expect(mode('conf'), 'the mode it had').toBe('600');
    symlinkSync('conf', at('link'));
    await lands('lineinfile', { path: at('link'), line: 'through the link' });
    expect([lstatSync(at('link')).isSymbolicLink(), text('conf').endsWith('through the link\n')]).toEqual([
      true,
      true,
    ]);
    await lands('hosts_entry', { address: '10.0.0.1', names: 'k3s,api', path: at('hosts') });
    expect(text('hosts')).toBe('10.0.0.1 k3s api\n');
  });

  test('stat and find', async () => {
    writeFileSync(at('one.log'), 'abc');
    writeFileSync(at('.hidden.log'), '');
    mkdirSync(at('sub'));
    writeFileSync(at('sub/two.log'), '');
    const stat = await planHere(named('stat'), { path: at('one.log') }, shell);
    expect(stat).toMatchObject({
      verdict: 'unchanged',
      result: {
        stat: {
          exists: true,
          isreg: true,
          size: 3,
          mode: '0644',
          checksum: 'a9993e364706816aba3e25717850c26c9cd0d89d',
          rusr: true,
          xoth: false,
        },
      },
    });
    expect(await planHere(named('stat'), { path: at('none') }, shell)).toMatchObject({
      result: { stat: { exists: false } },
    });
    const found = await planHere(named('find'), { paths: folder, patterns: '*.log', recurse: true }, shell);
    expect(
      ((found as { result?: { files: { path: string }[] } }).result?.files ?? [])
        .map((file) => file.path)
        .sort(),
    ).toEqual([at('one.log'), at('sub/two.log')]);
    expect(await planHere(named('find'), { paths: folder, age: '1h' }, shell)).toMatchObject({
      result: { matched: 0 },
    });
    expect(await planHere(named('find'), { paths: folder, age: '-1h', size: '1' }, shell)).toMatchObject({
      result: { matched: 1 },
    });
  });

  test('fetch', async () => {
    writeFileSync(at('source'), Buffer.from([0, 255]));
    await lands('fetch', { src: at('source'), dest: at('got'), flat: true });
    expect([...readFileSync(at('got'))]).toEqual([0, 255]);
    await lands('fetch', { src: at('source'), dest: at('by-host') });
    expect(existsSync(join(at('by-host'), 'node1', at('source')))).toBe(true);
  });

  test('command, shell, script, raw', async () => {
    const run = async (step: string, args: unknown, view = hostView()) => {
      const plan = await planHere(named(step), args, shell, view);
      if (plan.verdict !== 'change') return plan;
      return plan.result?.(performHere(plan.actions, shell));
    };
    expect(await run('command', `printf '%s|' "a b" '$HOME' * `)).toMatchObject({
      rc: 0,
      stdout: 'a b|$HOME|*|',
    });
    expect(await run('command', { argv: ['cat', '-'], stdin: 'in', chdir: folder })).toMatchObject({
      stdout: 'in',
      stdout_lines: ['in'],
    });
    expect(await run('command', { cmd: 'pwd', chdir: folder })).toMatchObject({ stdout: folder });
    writeFileSync(at('marker'), '');
    expect(await run('command', { cmd: 'false', creates: at('marker') })).toMatchObject({
      verdict: 'unchanged',
    });
    expect(await run('command', { cmd: 'false', creates: at('mark*') })).toMatchObject({
      verdict: 'unchanged',
    });
    expect(await run('command', { cmd: 'false', removes: at('none?') })).toMatchObject({
      verdict: 'unchanged',
    });
    expect(await run('shell', 'x=$((1+1)); echo "$x" | tr 2 3; echo err >&2')).toMatchObject({
      stdout: '3',
      stderr: 'err',
      stderr_lines: ['err'],
    });
    expect(await run('shell', { cmd: 'a=(1 2); echo "$(( a[1] ))"', executable: '/bin/bash' })).toMatchObject(
      {
        stdout: '2',
      },
    );
    expect(await run('shell', { cmd: 'cat; pwd', stdin: 'text', chdir: folder })).toMatchObject({
      stdout_lines: ['text', folder],
    });
    expect(await run('raw', 'echo hi')).toMatchObject({ stdout: 'hi\n' });
    writeFileSync(at('s.sh'), '#!/bin/sh\necho "$# $1"; pwd\n');
    expect(await run('script', { cmd: `s.sh 'a b' c`, chdir: folder }, hostView({}, [folder]))).toMatchObject(
      { stdout_lines: ['2 a b', folder] },
    );
    expect(readdirSync(folder).sort()).toEqual(['marker', 's.sh']);
  });
});

describe('downloads', () => {
  const server = createServer((request, response) => {
    if (request.url === '/sums')
      response.end('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  file.txt\n');
    else if (request.headers['x-token'] === undefined && request.url === '/private')
      response.writeHead(403).end();
    else if (request.url === '/json')
      response.setHeader('content-type', 'application/json').end('{"ok":true}');
    else response.end('abc');
  });
  let base = '';
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    base = typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : '';
  });
  afterAll(() => server.close());
  const sum = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

  // The server lives in this process, so the scripts must not block it.
  async function perform(step: string, args: Record<string, unknown>) {
    const { spawn } = await import('node:child_process');
    const { readArguments } = await import('../../src/steps/arguments.ts');
    const run = (script: string) =>
      new Promise<{ stdout: string; stderr: string; code: number }>((resolve) => {
        const child = spawn('dash', ['-c', script]);
        let [stdout, stderr] = ['', ''];
        child.stdout.on('data', (chunk) => (stdout += chunk));
        child.stderr.on('data', (chunk) => (stderr += chunk));
        child.on('close', (code) => resolve({ stdout, stderr, code: code ?? 255 }));
      });
    const found = named(step);
    const read = readArguments<unknown>(found, args);
    const look = async () => {
      const seen: Record<string, unknown> = {};
      for (const [name, question] of Object.entries(found.look(read, hostView()))) {
        const { fact } = question as unknown as {
          fact: { sh: { text: string }; parse: (answer: unknown) => unknown };
        };
        seen[name] = fact.parse(await run(fact.sh.text));
      }
      return found.plan(seen, read, hostView());
    };
    const first = await look();
    const [action] = first.verdict === 'change' ? first.actions : [];
    const answer = action?.kind === 'run' ? await run(action.script.text) : undefined;
    return {
      first,
      answer,
      again: await look(),
      result: first.verdict === 'change' ? first.result?.([answer]) : undefined,
    };
  }

  test('get_url by checksum', async () => {
    const done = await perform('get_url', {
      url: `${base}/file.txt`,
      dest: `${folder}/`,
      checksum: sum,
      mode: '0600',
    });
    expect(done.answer).toMatchObject({ code: 0 });
    expect([text('file.txt'), mode('file.txt'), done.again.verdict]).toEqual(['abc', '600', 'unchanged']);
  });

  test('get_url by a list of sums', async () => {
    const done = await perform('get_url', {
      url: `${base}/file.txt`,
      dest: at('x'),
      checksum: `sha256:${base}/sums`,
    });
    expect([text('x'), done.again.verdict]).toEqual(['abc', 'unchanged']);
  });

  test('a wrong checksum lands nothing', async () => {
    const done = await perform('get_url', {
      url: `${base}/file.txt`,
      dest: at('x'),
      checksum: `sha256:${'0'.repeat(64)}`,
    });
    expect(done.answer?.code).not.toBe(0);
    expect(done.answer?.stderr).toContain('ba7816bf');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('headers reach the server over stdin', async () => {
    const done = await perform('get_url', {
      url: `${base}/private`,
      dest: at('x'),
      headers: { 'X-Token': 'very "secret"' },
    });
    expect(done.answer).toMatchObject({ code: 0 });
  });

  test('uri', async () => {
    const good = await perform('uri', { url: `${base}/json` });
    expect(good.result).toMatchObject({ status: 200, json: { ok: true }, changed: false });
    const bad = await perform('uri', { url: `${base}/private`, status_code: [200, 201] });
    expect(bad.answer?.code).toBe(22);
    expect(bad.result).toMatchObject({ status: 403 });
    expect((await perform('uri', { url: `${base}/private`, status_code: '403' })).answer?.code).toBe(0);
    expect((await perform('uri', { url: `${base}/x`, method: 'post', body: { a: 1 } })).result).toMatchObject(
      { status: 200, content: 'abc' },
    );
  });
});
