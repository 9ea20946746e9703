import {
  type ChildProcess,
  type ChildProcessWithoutNullStreams,
  execFileSync,
  spawn,
} from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { sh } from '../../src/core/shell.ts';
import { fetchScript, noToolExit, serveScript } from '../../src/engine/file-server-script.ts';
import { untilSaid } from '../fleet/awaited.ts';

const secret = 'a5ecret';
const content = randomBytes(3_000_000);
/** Where a tool is not on this machine its test cannot be made; CI has all. */
const where = (tool: string): string | undefined => {
  const real = { python3: '/usr/bin/python3' } as Readonly<Record<string, string>>;
  const found = real[tool];
  if (found !== undefined && existsSync(found)) return found;
  try {
    return execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
};
const basics = ['sh', 'mkdir', 'ln', 'rm', 'cat', 'sleep', 'cksum', 'cut', 'stat', 'kill', 'mv'];

let folder: string;
let file: string;
const started: ChildProcess[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-spread-'));
  file = join(folder, 'images.tar');
  writeFileSync(file, content);
});
// As the end of a connection does: a shell that is killed leaves BusyBox' httpd to its own deadline.
afterEach(async () => {
  for (const child of started.splice(0)) {
    child.stdin?.end();
    await ended(child);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A PATH with nothing but these tools. */
function pathOf(...tools: readonly string[]): string {
  const bin = join(folder, `bin-${tools.join('-')}`);
  if (existsSync(bin)) return bin;
  mkdirSync(bin);
  for (const tool of [...basics, ...tools]) {
    const found = where(tool);
    if (found !== undefined) symlinkSync(found, join(bin, tool));
  }
  return bin;
}

function run(script: string, PATH: string): ChildProcessWithoutNullStreams {
  const child = spawn('/bin/sh', ['-c', script], { env: { PATH, HOME: folder }, stdio: 'pipe' });
  started.push(child);
  return child;
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    else child.on('exit', (code) => resolve(code));
  });

async function serving(PATH: string, lifeS = 60): Promise<{ child: ChildProcess; port: number }> {
  const child = run(serveScript('127.0.0.1', file, secret, lifeS).text, PATH);
  const port = Number((await untilSaid(child, child.stdout, /^port (\d+)\n/))[1]);
  // BusyBox says its port before it listens.
  await expect.poll(() => isOpen(port)).toBe(true);
  return { child, port };
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

const servers = ['python3', 'perl', 'busybox'].filter((tool) => where(tool) !== undefined);
const clients = ['curl', 'python3', 'perl', 'wget'].filter((tool) => where(tool) !== undefined);
const [firstServer = ''] = servers;

describe.each(servers)('a file served by %s', (tool) => {
  it('is given to whoever knows the secret, and to nobody else', async () => {
    const { port } = await serving(pathOf(tool));
    const right = await fetch(`http://127.0.0.1:${port}/${secret}`);
    expect(Buffer.from(await right.arrayBuffer()).equals(content)).toBe(true);
    for (const path of ['', 'other', `${secret}x`, '../etc/passwd', `x/${secret}`]) {
      expect((await fetch(`http://127.0.0.1:${port}/${path}`)).ok, path).toBe(false);
    }
    expect((await fetch(`http://127.0.0.1:${port}/${secret}`)).ok).toBe(true);
  });

  it('is served no more once stdin ends, as it does when the control process is gone', async () => {
    const { child, port } = await serving(pathOf(tool));
    child.stdin?.end();
    await ended(child);
    await expect.poll(() => isOpen(port)).toBe(false);
  });

  it('is served no more once its time is over, though stdin stays open', async () => {
    const { child, port } = await serving(pathOf(tool), 1);
    await expect.poll(() => isOpen(port), { timeout: 10_000 }).toBe(false);
    child.stdin?.end();
    await ended(child);
  });

  it('has its secret in nobody’s arguments', async () => {
    const { child } = await serving(pathOf(tool));
    const seen = execFileSync('ps', ['-eo', 'ppid,pid,args', '-ww'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(secret) && !line.includes('FLEET_SECRET='));
    expect(seen, String(child.pid)).toEqual([]);
  });
});

describe.each(clients)('a file fetched by %s', (tool) => {
  const part = (): string => join(folder, 'part');
  const fetching = (port: number, key = secret): ChildProcess =>
    run(`${sh`part=${part()}`.text}\n${fetchScript('127.0.0.1', port, key).text}`, pathOf(tool));

  it('is the same file', async () => {
    const { port } = await serving(pathOf(firstServer));
    expect(await ended(fetching(port))).toBe(0);
    const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    expect(sum(readFileSync(part()))).toBe(sum(content));
  });

  it('fails where it may not be had, or nobody serves', async () => {
    const { child, port } = await serving(pathOf(firstServer));
    expect(await ended(fetching(port, 'wrong'))).toBe(1);
    child.stdin?.end();
    await ended(child);
    expect(await ended(fetching(port))).toBe(1);
  });
});

it('a host with no tool says so', async () => {
  expect(await ended(run(serveScript('127.0.0.1', file, secret, 5).text, pathOf()))).toBe(noToolExit);
  expect(await ended(run(`part=x; ${fetchScript('127.0.0.1', 1, secret).text}`, pathOf()))).toBe(noToolExit);
});
