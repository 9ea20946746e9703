import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { raw } from '../../src/core/shell.ts';
import { ConnectionPool, connect } from '../../src/ssh/connect.ts';
import { SshConfigFile } from '../../src/ssh/ssh-config-file.ts';
import { type ConnectionSettings, resolveTarget } from '../../src/ssh/target.ts';
import { freePort, haveSshd, type Sshd, startSshd } from './sshd.ts';

const USER = 'fleet-t-password';
const PASSWORD = `pässword 'q" $x${process.pid}`;
let sshd: Sshd;

const target = (settings: ConnectionSettings, config = 'none') =>
  resolveTarget(settings, { sshConfig: new SshConfigFile({ file: config }), home: sshd.dir, env: {} });

async function whoami(settings: ConnectionSettings): Promise<string> {
  const connection = await connect(await target(settings));
  try {
    return (await connection.run(raw('id -un; echo "$SSH_CONNECTION"'), { deadlineMs: 20_000 })).stdout;
  } finally {
    await connection.close();
  }
}

beforeAll(async () => {
  if (!haveSshd()) return;
  execFileSync('sh', ['-c', `userdel -r -f ${USER} 2>/dev/null; useradd -m -s /bin/sh ${USER}`]);
  execFileSync('chpasswd', { input: `${USER}:${PASSWORD}\n` });
  sshd = await startSshd();
});
afterAll(async () => {
  if (!haveSshd()) return;
  await sshd.stop();
  execFileSync('userdel', ['-r', '-f', USER], { stdio: 'pipe' });
});

describe.skipIf(!haveSshd())('a password', () => {
  const asked = { ansible_user: USER, ansible_password: PASSWORD };

  test.each([
    ['password', ['PasswordAuthentication yes', 'KbdInteractiveAuthentication no']],
    ['keyboard-interactive', ['UsePAM yes', 'PasswordAuthentication no', 'KbdInteractiveAuthentication yes']],
  ])('by %s, and a wrong one', async (method, config) => {
    const server = await startSshd({ config });
    try {
      const { ansible_ssh_private_key_file: _, ...settings } = server.settings();
      expect(await whoami({ ...settings, ...asked })).toContain(USER);
      expect(server.log()).toMatch(new RegExp(`Accepted ${method}\\S* for ${USER}`));
      const wrong = whoami({ ...settings, ...asked, ansible_password: 'wr0ng-password' });
      await expect(wrong).rejects.toMatchObject({ code: 'AUTH_FAILED', host: 'node1' });
      await expect(wrong).rejects.not.toThrow(/wr0ng-password/);
    } finally {
      await server.stop();
    }
  });
});

const hasIpv6 = networkInterfaces().lo?.some(({ address }) => address === '::1') === true;

test.skipIf(!haveSshd() || !hasIpv6)('a host with an IPv6 address', async () => {
  const server = await startSshd({ config: ['ListenAddress ::1'] });
  try {
    const known = join(server.dir, 'known-v6');
    writeFileSync(known, readFileSync(server.knownHosts, 'utf8').replaceAll('[127.0.0.1]', '[::1]'));
    const settings = server.settings({
      ansible_host: '::1',
      ansible_ssh_common_args: `-o UserKnownHostsFile=${known} -o IdentityAgent=none`,
    });
    expect(await whoami(settings)).toContain(`::1 ${server.port}`);
  } finally {
    await server.stop();
  }
});

/**
 * A door before a server that opens whenever the house is full: as many wait before it as may come at once, or all who are left.
 * Who comes although it is full is there by then, or comes while the others log in, which takes longer.
 * @returns the most that were on their way at once: at the door, or behind it and not logged in yet
 */
async function crowdAt(
  door: { readonly port: number; readonly server: Sshd; readonly room: number },
  guests: readonly (() => Promise<unknown>)[],
): Promise<number> {
  const waiting = new Set<Socket>();
  let came = 0;
  let inside = 0;
  let most = 0;
  const openIfFull = () => {
    if (waiting.size < Math.min(door.room, guests.length - inside)) return;
    for (const socket of waiting)
      pipeline(socket, connectSocket(door.server.port, '127.0.0.1'), socket, () => {});
    waiting.clear();
  };
  const porter = createServer((socket) => {
    waiting.add(socket);
    came += 1;
    most = Math.max(most, came - inside);
    openIfFull();
  });
  await new Promise<void>((resolve) => porter.listen(door.port, '127.0.0.1', resolve));
  try {
    await Promise.all(
      guests.map(async (guest) => {
        await guest();
        inside += 1;
        openIfFull();
      }),
    );
  } finally {
    porter.close();
  }
  return most;
}

describe.skipIf(!haveSshd())('at once', () => {
  test.each([
    ['50 connections are opening', 70, 50, []],
    ['10 of them through one jump host', 25, 10, ['jump']],
  ])(
    'at most %s',
    async (_what, count, limit, [jump]) => {
      const server = await startSshd({ config: ['MaxStartups 200'] });
      const port = await freePort();
      const known = join(server.dir, 'known');
      writeFileSync(known, readFileSync(server.knownHosts, 'utf8').replaceAll(`:${server.port}`, `:${port}`));
      writeFileSync(known, readFileSync(sshd.knownHosts, 'utf8').replaceAll('127.0.0.1', 'localhost'), {
        flag: 'a',
      });
      const args = [
        ...(jump === undefined ? [] : [`-J localhost:${sshd.port}`]),
        `-o UserKnownHostsFile=${known} -o IdentityAgent=none`,
      ];
      const config = join(server.dir, 'config');
      writeFileSync(config, `Host localhost\n IdentityFile ${sshd.key}\n`, { mode: 0o600 });
      const pool = new ConnectionPool();
      try {
        const targets = await Promise.all(
          Array.from({ length: count }, (_, index) =>
            target(
              server.settings({
                name: `node${index}`,
                ansible_port: port,
                ansible_ssh_common_args: args.join(' '),
              }),
              config,
            ),
          ),
        );
        const guests = targets.map((each) => () => pool.connect(each));
        const most = await crowdAt({ port, server, room: limit }, guests);
        expect(most).toBe(limit);
      } finally {
        await pool.close();
        await server.stop();
      }
    },
    60_000,
  );
});
