import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { version } from '../../src/cli/version.ts';

const { enableCompileCache } = nodeModule as { enableCompileCache?: unknown };
const root = join(import.meta.dirname, '..', '..');
let folder: string;
let binary: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-packed-'));
  execFileSync(process.execPath, ['--import', 'tsx', 'scripts/build.ts'], { cwd: root });
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root });
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack made no tarball');
  // As somebody installs it, but from the cache that `npm ci` filled where that will do.
  execFileSync('npm', ['init', '-y'], { cwd: folder });
  execFileSync('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, tarball)], {
    cwd: folder,
    stdio: 'pipe',
  });
  binary = join(folder, 'node_modules', '.bin', 'fleet');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function installed(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(binary, args, { cwd: folder, encoding: 'utf8', input: '' });
  return { code: status, out: stdout, err: stderr };
}

test('the installed package tells its version', () => {
  expect(installed('--version')).toEqual({ code: 0, out: `${version}\n`, err: '' });
});

test('it writes an inventory that it finds nothing wrong with', () => {
  expect(installed('init', '--server', 'debian@10.0.0.1', '--agent', '10.0.0.2')).toMatchObject({ code: 0 });
  expect(installed('validate')).toMatchObject({ code: 0 });
  const listed = JSON.parse(installed('inventory', '--list').out);
  expect(listed.server.hosts).toEqual(['server1']);
  // Templates work in the bundle too.
  expect(installed('inventory', '--host', 'agent1', '--resolve').out).toContain('"api_endpoint": "10.0.0.1"');
});

test('it brings its playbooks and schemas', () => {
  const home = join(folder, 'node_modules', 'fleet-k3s');
  for (const path of [
    'playbooks/site.yml',
    'schemas/inventory.schema.json',
    'schemas/playbook.schema.json',
  ]) {
    expect(statSync(join(home, path)).isFile()).toBe(true);
  }
  expect(installed('up', '--list-steps')).toMatchObject({ code: 0 });
});

test('it runs steps where no ssh is needed', () => {
  expect(
    installed('run', '-i', 'localhost,', '-e', 'ansible_connection=local', '--', 'echo', 'hello'),
  ).toMatchObject({
    code: 0,
    out: 'hello\n',
  });
});

test('it keeps its compiled code for the next start, and does without when that was damaged', () => {
  const cache = join(folder, 'cache');
  const help = () =>
    spawnSync(binary, ['help'], { encoding: 'utf8', env: { ...process.env, XDG_CACHE_HOME: cache } });
  const first = help();
  expect(first).toMatchObject({ status: 0, stderr: '' });
  // From 22.8 on Node keeps it, in a place of its own.
  if (enableCompileCache !== undefined) return;
  const code = join(cache, 'fleet', 'code');
  const [kept] = readdirSync(code);
  if (kept === undefined) throw new Error('nothing was kept');
  expect(statSync(join(code, kept)).mode & 0o777).toBe(0o600);
  const whole = readFileSync(join(code, kept));
  for (const damaged of [whole.fill('Z', whole.length - 4096), whole.subarray(0, 1000), Buffer.alloc(0)]) {
    writeFileSync(join(code, kept), damaged);
    expect(help()).toEqual({ ...first, pid: expect.anything() });
  }
  // V8 does not make it to the byte alike each time.
  expect(readFileSync(join(code, kept)).length).toBeGreaterThan(whole.length / 2);
});

test('it explains itself without the network', () => {
  for (const args of [['help'], ['doc', 'service'], ['explain', 'k3s_version'], ['completion', 'bash']]) {
    expect(installed(...args)).toMatchObject({ code: 0, err: '' });
  }
});
