import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ShellScript } from '../../src/core/shell.ts';
import { HostSession } from '../../src/engine/host-session.ts';
import { uploadFile } from '../../src/engine/upload.ts';
import type { RunOptions } from '../../src/ssh/connection.ts';
import { LocalConnection } from '../../src/ssh/local-connection.ts';

/** Hosts that differ in the programs they have, all on this machine: who is sent a file from here, and who gets it from another. */

const size = 17 * 1024 * 1024;
const basics = [
  'sh',
  'stat',
  'df',
  'rm',
  'cat',
  'openssl',
  'sha256sum',
  'chown',
  'chmod',
  'sync',
  'mv',
  'sleep',
];
const tools = { any: ['perl', 'curl'], none: [] } as const;

let folder: string;
let bins: Readonly<Record<keyof typeof tools, string>>;
/** Of a test's own, since who has a file is remembered by its sum. */
let content: Buffer;
let source: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-spread-hosts-'));
  const binOf = (name: keyof typeof tools): string => {
    const bin = join(folder, `bin-${name}`);
    mkdirSync(bin);
    for (const tool of [...basics, ...tools[name]]) {
      const found = execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim();
      symlinkSync(found, join(bin, tool));
    }
    return bin;
  };
  bins = { any: binOf('any'), none: binOf('none') };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(() => {
  content = randomBytes(size);
  source = join(folder, 'own.tar');
  writeFileSync(source, content);
});
afterEach(() => {
  for (const name of readdirSync(folder).filter((each) => each.startsWith('host')))
    rmSync(join(folder, name), { recursive: true });
});

class HostWith extends LocalConnection {
  received = 0;

  constructor(
    name: string,
    private readonly bin: string,
  ) {
    super(name);
  }

  override run(script: ShellScript, options: RunOptions) {
    if (script.text.includes('cat >> "$part"')) this.received += 1;
    return super.run(script, options);
  }

  override open(command: string, options: { readonly pty?: boolean } = {}) {
    return super.open(`PATH=${this.bin}; export PATH; ${command}`, options);
  }
}

/** Brings the file to hosts in this order. @returns to how many it was sent from here */
async function sentTo(...hosts: readonly (keyof typeof tools)[]): Promise<number> {
  const { username, gid } = userInfo();
  const connections = hosts.map((has, index) => new HostWith(`host${index}`, bins[has]));
  await Promise.all(
    connections.map(async (connection) => {
      const place = join(folder, connection.host);
      mkdirSync(place);
      const session = new HostSession(connection.host, {
        open: async () => connection,
        become: undefined,
        epoch: { count: 0 },
        onLost: () => {},
      });
      const path = join(place, 'own.tar');
      await uploadFile(
        session,
        {
          kind: 'upload',
          source: { from: 'file', path: source },
          path,
          mode: '0644',
          owner: username,
          group: String(gid),
          spread: { address: '127.0.0.1', peers: hosts.length },
        },
        { path: source, sha256: createHash('sha256').update(content).digest('hex'), size },
        60_000,
        () => {},
      );
      expect(readFileSync(path).equals(content), connection.host).toBe(true);
      expect(readdirSync(place)).toEqual(['own.tar']);
    }),
  );
  // Not before: who has the file serves the others.
  await Promise.all(connections.map((connection) => connection.close()));
  return connections.reduce((sum, { received }) => sum + received, 0);
}

it('hosts that have the tools get it from each other, all but the first', async () => {
  expect(await sentTo('any', 'any', 'any', 'any', 'any')).toBe(1);
});

it('a host without a tool is sent it from here, and keeps nobody from handing it on', async () => {
  expect(await sentTo('any', 'none', 'any', 'any', 'any')).toBe(2);
});

it('where the first can serve nobody, another one does', async () => {
  expect(await sentTo('none', 'any', 'any', 'any', 'any', 'any')).toBe(2);
});

it('where nobody can, all are sent it from here', async () => {
  expect(await sentTo('none', 'none', 'none', 'none')).toBe(4);
});
