import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { raw } from '../../src/core/shell.ts';
import { connect } from '../../src/ssh/connect.ts';
import type { Become, Connection } from '../../src/ssh/connection.ts';
import { resolveTarget } from '../../src/ssh/target.ts';
import { haveSshd, type Sshd, startSshd } from './sshd.ts';

const USER = 'fleet-t-login';
const OTHER = 'fleet-t-other';
const PASSWORD = `pw 'q" $x${process.pid}`;
const OTHER_PASSWORD = `other-${process.pid}`;
const SUDOERS = '/etc/sudoers.d/fleet-test';
const DOAS = '/etc/doas.conf';
let doasBefore: string | undefined;
let sshd: Sshd;
let connection: Connection;

function sudoers(text: string): void {
  writeFileSync(SUDOERS, text, { mode: 0o440 });
}
function doasConf(text: string): void {
  writeFileSync(DOAS, text, { mode: 0o400 });
}
function present(tool: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

beforeAll(async () => {
  if (!haveSshd()) return;
  for (const [user, password] of [
    [USER, PASSWORD],
    [OTHER, OTHER_PASSWORD],
  ] as const) {
    try {
      execFileSync('userdel', ['-r', '-f', user], { stdio: 'pipe' });
    } catch {}
    execFileSync('useradd', ['-m', '-s', '/bin/sh', user]);
    execFileSync('chpasswd', { input: `${user}:${password}\n` });
  }
  try {
    doasBefore = readFileSync(DOAS, 'utf8');
  } catch {}
  // Delays and lockouts of PAM stay as they are: what is tested is what a Debian machine does.
  sshd = await startSshd();
  const target = await resolveTarget(sshd.settings({ ansible_user: USER }));
  connection = await connect(target);
});

afterAll(async () => {
  if (!haveSshd()) return;
  await connection?.close();
  await sshd?.stop();
  rmSync(SUDOERS, { force: true });
  if (doasBefore === undefined) rmSync(DOAS, { force: true });
  else doasConf(doasBefore);
  for (const user of [USER, OTHER]) execFileSync('userdel', ['-r', '-f', user], { stdio: 'pipe' });
});

const IDENTITY = raw('id -un; echo problem >&2; cat; printf "no newline"');

async function whoami(become: Become | undefined): Promise<unknown> {
  const shell = await connection.openShell(become);
  try {
    const [answer] = await shell.batch([{ script: IDENTITY }], { deadlineMs: 20_000 });
    return answer;
  } finally {
    await shell.close();
  }
}

const expected = (user: string) => ({ stdout: `${user}\nno newline`, stderr: 'problem\n', code: 0 });

describe.skipIf(!haveSshd())('becoming somebody else, with the real programs', () => {
  test('nobody: the login user', async () => {
    expect(await whoami(undefined)).toEqual(expected(USER));
  });

  describe.skipIf(!present('sudo'))('sudo', () => {
    test('without a password', async () => {
      sudoers(`${USER} ALL=(ALL) NOPASSWD: ALL\n`);
      expect(await whoami({ method: 'sudo', user: 'root' })).toEqual(expected('root'));
      expect(await whoami({ method: 'sudo', user: OTHER })).toEqual(expected(OTHER));
    });

    test('a password that nobody wants does not end up in the shell', async () => {
      sudoers(`${USER} ALL=(ALL) NOPASSWD: ALL\n`);
      expect(
        await whoami({ method: 'sudo', user: 'root', password: new Secret('touch /tmp/fleet-oops') }),
      ).toEqual(expected('root'));
    });

    test('with a password, in a shell and in a run with stdin; the password is in no argv', async () => {
      sudoers(`Defaults timestamp_timeout=0\n${USER} ALL=(ALL) ALL\n`);
      const become: Become = { method: 'sudo', user: 'root', password: new Secret(PASSWORD) };
      expect(await whoami(become)).toEqual(expected('root'));
      const answer = await connection.run(
        raw('id -un; cat; tr "\\0" " " </proc/*/cmdline 2>/dev/null | cat >&2'),
        {
          deadlineMs: 20_000,
          become,
          stdin: 'from stdin\n',
        },
      );
      expect(answer.stdout).toBe('root\nfrom stdin\n');
      const argv = await connection.run(
        raw('for p in /proc/[0-9]*; do tr "\\0" " " <$p/cmdline; echo; done 2>/dev/null'),
        {
          deadlineMs: 20_000,
          become,
        },
      );
      expect(argv.stdout).toContain('sudo -S');
      expect(argv.stdout).not.toContain(PASSWORD);
    });

    test('a wrong password', async () => {
      sudoers(`Defaults timestamp_timeout=0\n${USER} ALL=(ALL) ALL\n`);
      await expect(
        whoami({ method: 'sudo', user: 'root', password: new Secret('wrong-one') }),
      ).rejects.toMatchObject({
        code: 'BECOME_PASSWORD_WRONG',
        host: 'node1',
        message: expect.not.stringContaining('wrong-one'),
      });
    });

    test('a missing password', async () => {
      sudoers(`Defaults timestamp_timeout=0\n${USER} ALL=(ALL) ALL\n`);
      await expect(whoami({ method: 'sudo', user: 'root' })).rejects.toMatchObject({
        code: 'BECOME_PASSWORD_MISSING',
        fix: expect.stringContaining('ansible_become_password'),
      });
      await expect(
        connection.run(raw('id'), { deadlineMs: 20_000, become: { method: 'sudo', user: 'root' } }),
      ).rejects.toMatchObject({ code: 'BECOME_PASSWORD_MISSING' });
    });

    test('no permission at all', async () => {
      sudoers('');
      await expect(
        whoami({ method: 'sudo', user: 'root', password: new Secret(PASSWORD) }),
      ).rejects.toMatchObject({
        code: 'BECOME_FAILED',
        message: expect.stringContaining('not in the sudoers file'),
      });
    });

    test('what overruns its deadline is killed although it is root and the login user is not', async () => {
      sudoers(`Defaults timestamp_timeout=0\n${USER} ALL=(ALL) ALL\n`);
      const shell = await connection.openShell({
        method: 'sudo',
        user: 'root',
        password: new Secret(PASSWORD),
      });
      await shell.batch([{ script: raw(':') }], { deadlineMs: 20_000 });
      await expect(
        shell.batch([{ script: raw('sleep 98765 & sleep 98766') }], { deadlineMs: 400 }),
      ).rejects.toMatchObject({ code: 'COMMAND_TIMED_OUT', host: 'node1' });
      const [left] = await shell.batch(
        [{ script: raw('ps -eo args | grep "^sleep 9876[56]" || echo none') }],
        {
          deadlineMs: 20_000,
        },
      );
      expect(left?.stdout).toBe('none\n');
      await shell.close();
    });
  });

  describe.skipIf(!present('doas'))('doas', () => {
    test('without a password', async () => {
      doasConf(`permit nopass ${USER} as root\n`);
      expect(await whoami({ method: 'doas', user: 'root' })).toEqual(expected('root'));
    });

    test('with a password: both streams apart, bytes as sent', async () => {
      doasConf(`permit ${USER} as root\n`);
      const become: Become = { method: 'doas', user: 'root', password: new Secret(PASSWORD) };
      expect(await whoami(become)).toEqual(expected('root'));
      const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 256));
      const chunks: Buffer[] = [];
      const answer = await connection.run(raw('cat; exit 5'), {
        deadlineMs: 20_000,
        become,
        stdin: bytes,
        onStdout: (chunk) => chunks.push(chunk),
      });
      expect(answer.code).toBe(5);
      expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    });

    test('a wrong and a missing password', async () => {
      doasConf(`permit ${USER} as root\n`);
      await expect(
        whoami({ method: 'doas', user: 'root', password: new Secret('wrong-one') }),
      ).rejects.toMatchObject({
        code: 'BECOME_PASSWORD_WRONG',
        message: expect.not.stringContaining('wrong-one'),
      });
      await expect(whoami({ method: 'doas', user: 'root' })).rejects.toMatchObject({
        code: 'BECOME_PASSWORD_MISSING',
      });
    });

    test('no permission', async () => {
      doasConf('permit root as root\n');
      await expect(
        whoami({ method: 'doas', user: 'root', password: new Secret(PASSWORD) }),
      ).rejects.toMatchObject({
        code: 'BECOME_FAILED',
        message: expect.stringContaining('not permitted'),
      });
    });
  });

  describe('su', () => {
    test('with the password of the other user', async () => {
      expect(await whoami({ method: 'su', user: OTHER, password: new Secret(OTHER_PASSWORD) })).toEqual(
        expected(OTHER),
      );
    });

    test('a wrong and a missing password', async () => {
      await expect(
        whoami({ method: 'su', user: OTHER, password: new Secret('wrong-one') }),
      ).rejects.toMatchObject({
        code: 'BECOME_PASSWORD_WRONG',
      });
      await expect(whoami({ method: 'su', user: OTHER })).rejects.toMatchObject({
        code: 'BECOME_PASSWORD_MISSING',
      });
    });

    test('leaves no FIFO behind', async () => {
      const answer = await connection.run(raw('ls -d /tmp/fleet.* 2>/dev/null || echo none'), {
        deadlineMs: 20_000,
      });
      expect(answer.stdout).toBe('none\n');
    });
  });

  test('a program that is not installed', async () => {
    const answer = await connection.run(raw('id -un'), { deadlineMs: 20_000 });
    expect(answer.stdout).toBe(`${USER}\n`);
  });
});
