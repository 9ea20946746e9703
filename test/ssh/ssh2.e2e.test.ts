import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer, type Server } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { raw } from '../../src/core/shell.ts';
import { ConnectionPool, connect } from '../../src/ssh/connect.ts';
import type { Connection } from '../../src/ssh/connection.ts';
import { SshConfigFile } from '../../src/ssh/ssh-config-file.ts';
import type { Notice } from '../../src/ssh/ssh2-connection.ts';
import { type ConnectionSettings, resolveTarget } from '../../src/ssh/target.ts';
import { freePort, haveSshd, makeKey, type Sshd, startSshd } from './sshd.ts';

const NONE = new SshConfigFile({ file: 'none' });
const DEADLINE = { deadlineMs: 20_000 };
let sshd: Sshd;
let dir: string;

const target = (settings: ConnectionSettings, sshConfig = NONE) =>
  resolveTarget(settings, { sshConfig, home: dir, env: {} });

async function id(
  settings: ConnectionSettings,
  options: Parameters<typeof connect>[1] = {},
): Promise<string> {
  const connection = await connect(await target(settings), options);
  try {
    return (await connection.run(raw('echo "$SSH_CONNECTION"'), DEADLINE)).stdout.trim();
  } finally {
    await connection.close();
  }
}

beforeAll(async () => {
  if (!haveSshd()) return;
  dir = mkdtempSync(join(tmpdir(), 'fleet-e2e-'));
  sshd = await startSshd({ hostKeyTypes: ['ed25519', 'ecdsa', 'rsa'] });
});
afterAll(async () => {
  await sshd?.stop();
  if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
});

describe.skipIf(!haveSshd())('keys', () => {
  const pkcs8 = (name: string, ...args: string[]) => {
    const path = join(dir, name);
    execFileSync('openssl', ['genpkey', ...args, '-out', path], { stdio: 'pipe' });
    execFileSync('chmod', ['600', path]);
    return path;
  };
  const sshPublic = (path: string, passphrase = '') =>
    execFileSync('ssh-keygen', ['-y', '-P', passphrase, '-f', path], { encoding: 'utf8' });

  test.each([
    ['ed25519', () => makeKey(dir, 'k-ed', '-t', 'ed25519')],
    ['ecdsa 256', () => makeKey(dir, 'k-ec', '-t', 'ecdsa', '-b', '256')],
    ['ecdsa 521', () => makeKey(dir, 'k-ec5', '-t', 'ecdsa', '-b', '521')],
    ['rsa in OpenSSH form', () => makeKey(dir, 'k-rsa', '-t', 'rsa', '-b', '2048')],
    ['rsa in PEM form', () => makeKey(dir, 'k-rsap', '-t', 'rsa', '-b', '2048', '-m', 'PEM')],
    ['rsa in PKCS#8', () => pkcs8('p-rsa', '-algorithm', 'RSA')],
    ['ecdsa in PKCS#8', () => pkcs8('p-ec', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256')],
  ])('%s', async (_name, make) => {
    const path = make();
    sshd.authorize(sshPublic(path));
    expect(await id(sshd.settings({ ansible_ssh_private_key_file: path }))).toContain(` ${sshd.port}`);
  });

  test('ed25519 in PKCS#8, which ssh-keygen itself cannot read', async () => {
    const path = pkcs8('p-ed', '-algorithm', 'ED25519');
    const der = execFileSync('openssl', ['pkey', '-in', path, '-pubout', '-outform', 'DER']);
    const point = der.subarray(-32);
    const blob = Buffer.concat([
      Buffer.from([0, 0, 0, 11]),
      Buffer.from('ssh-ed25519'),
      Buffer.from([0, 0, 0, 32]),
      point,
    ]);
    sshd.authorize(`ssh-ed25519 ${blob.toString('base64')}`);
    expect(await id(sshd.settings({ ansible_ssh_private_key_file: path }))).toContain(` ${sshd.port}`);
  });

  test('a passphrase is asked for once, for all hosts of the run; a wrong one again', async () => {
    const path = makeKey(dir, 'k-pass', '-N', 'open sesame', '-a', '1');
    sshd.authorize(sshPublic(path, 'open sesame'));
    const questions: string[] = [];
    const pool = new ConnectionPool({
      askSecret: async (question) => {
        questions.push(question);
        return new Secret(questions.length === 1 ? 'nonsense' : 'open sesame');
      },
    });
    const where = await target(sshd.settings({ ansible_ssh_private_key_file: path }));
    await Promise.all([pool.connect(where), pool.connect(where), pool.connect(where)]);
    await pool.close();
    expect(questions).toHaveLength(2);
    expect(questions[0]).toContain(path);
  });

  test('a passphrase that nobody can be asked for', async () => {
    const path = makeKey(dir, 'k-pass2', '-N', 'open sesame', '-a', '1');
    await expect(id(sshd.settings({ ansible_ssh_private_key_file: path }))).rejects.toMatchObject({
      code: 'KEY_PASSPHRASE',
      host: 'node1',
      fix: expect.stringContaining('ssh-add'),
    });
  });

  test('the agent: for a key with a passphrase, and by itself', async () => {
    const path = makeKey(dir, 'k-agent');
    sshd.authorize(sshPublic(path));
    const socket = join(dir, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise((resolve) => agent.stdout.once('data', resolve));
    try {
      execFileSync('ssh-add', ['-q', path], {
        env: { ...process.env, SSH_AUTH_SOCK: socket },
        stdio: 'pipe',
      });
      execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'locked now', '-f', path], { stdio: 'pipe' });
      const args = `-o UserKnownHostsFile=${sshd.knownHosts} -o IdentityAgent=${socket}`;
      expect(
        await id(sshd.settings({ ansible_ssh_private_key_file: path, ansible_ssh_common_args: args })),
      ).not.toBe('');
      const { ansible_ssh_private_key_file: _key, ...withoutKey } = sshd.settings({
        ansible_ssh_common_args: args,
      });
      expect(await id(withoutKey)).not.toBe('');
      await expect(
        id({ ...withoutKey, ansible_ssh_common_args: `${args} -o IdentitiesOnly=yes` }),
      ).rejects.toMatchObject({ code: 'AUTH_FAILED' });
    } finally {
      agent.kill();
    }
  });

  test('no key that fits: what was tried, and the command to try', async () => {
    const path = makeKey(dir, 'k-stranger');
    await expect(
      id(sshd.settings({ ansible_ssh_private_key_file: path, ansible_password: 'wrong-secret' })),
    ).rejects.toMatchObject({
      code: 'AUTH_FAILED',
      host: 'node1',
      message: expect.stringContaining(path),
      fix: expect.stringMatching(
        new RegExp(`ssh .*-i ${path} -p ${sshd.port} ${userInfo().username}@127.0.0.1`),
      ),
    });
  });

  test('a key file that is not there', async () => {
    await expect(id(sshd.settings({ ansible_ssh_private_key_file: '/nowhere/key' }))).rejects.toMatchObject({
      code: 'KEY_UNREADABLE',
      message: expect.stringContaining('/nowhere/key'),
    });
  });
});

describe.skipIf(!haveSshd())('host keys', () => {
  const file = (name: string, text: string) => {
    const path = join(dir, name);
    writeFileSync(path, text);
    return path;
  };
  const using = (path: string, more = '') =>
    sshd.settings({ ansible_ssh_common_args: `-o UserKnownHostsFile=${path} ${more}` });
  const name = () => `[127.0.0.1]:${sshd.port}`;

  test('an unknown one is refused', async () => {
    await expect(id(using(file('kh-none', '')))).rejects.toMatchObject({
      code: 'HOST_KEY_UNKNOWN',
      host: 'node1',
      message: expect.stringMatching(/SHA256:/),
    });
  });

  test('each known type is enough, also the last in preference, also hashed', async () => {
    for (const type of ['ed25519', 'ecdsa', 'rsa']) {
      const path = file(`kh-${type}`, `${name()} ${sshd.hostKey(type)}\n`);
      execFileSync('ssh-keygen', ['-q', '-H', '-f', path], { stdio: 'pipe' });
      expect(readFileSync(path, 'utf8')).toMatch(/^\|1\|/);
      expect(await id(using(path))).not.toBe('');
    }
  });

  test('a changed one names the line, and the command in the fix mends it', async () => {
    const other = readFileSync(`${makeKey(dir, 'k-otherhost')}.pub`, 'utf8');
    const path = file('kh-changed', `# comment\n${name()} ${other}`);
    const thrown = await id(using(path)).catch((error) => error);
    expect(thrown).toMatchObject({ code: 'HOST_KEY_CHANGED', where: { file: path, line: 2 } });
    const command = /`(ssh-keygen -R .*?)`/.exec(thrown.fix)?.[1] ?? '';
    execFileSync('sh', ['-c', command], { stdio: 'pipe' });
    await expect(id(using(path))).rejects.toMatchObject({ code: 'HOST_KEY_UNKNOWN' });
  });

  test('a revoked one is refused, whatever the mode', async () => {
    const path = file(
      'kh-revoked',
      `${name()} ${sshd.hostKey('ed25519')}\n@revoked * ${sshd.hostKey('ed25519')}\n`,
    );
    await expect(id(using(path, '-o StrictHostKeyChecking=no'))).rejects.toMatchObject({
      code: 'HOST_KEY_REVOKED',
      where: { file: path, line: 2 },
    });
  });

  test('accept-new: announced, written so that ssh itself takes it, refused when it changes', async () => {
    const path = join(dir, 'new', 'known_hosts');
    const notices: Notice[] = [];
    await id(using(path, '-o StrictHostKeyChecking=accept-new'), {
      announce: (notice) => notices.push(notice),
    });
    expect(notices.map((notice) => notice.code)).toEqual(['HOST_KEY_ACCEPTED']);
    const ssh = spawnSync('ssh', [
      '-F',
      'none',
      '-i',
      sshd.key,
      '-p',
      String(sshd.port),
      '-o',
      `UserKnownHostsFile=${path}`,
      '-o',
      'StrictHostKeyChecking=yes',
      '-o',
      'BatchMode=yes',
      '127.0.0.1',
      'true',
    ]);
    expect(ssh.status, ssh.stderr.toString()).toBe(0);
    writeFileSync(path, `${name()} ${readFileSync(join(dir, 'k-otherhost.pub'), 'utf8')}`);
    await expect(id(using(path, '-o StrictHostKeyChecking=accept-new'))).rejects.toMatchObject({
      code: 'HOST_KEY_CHANGED',
    });
  });

  test('no: taken, and said', async () => {
    const notices: Notice[] = [];
    await id(using(file('kh-empty', ''), '-o StrictHostKeyChecking=no'), {
      announce: (notice) => notices.push(notice),
    });
    expect(notices.map((notice) => notice.code)).toEqual(['HOST_KEY_UNCHECKED']);
  });

  test('a server with only post-quantum key exchange names the other transport', async () => {
    const quantum = await startSshd({ config: ['KexAlgorithms sntrup761x25519-sha512@openssh.com'] });
    try {
      await expect(id(quantum.settings())).rejects.toMatchObject({
        code: 'ALGORITHMS_UNSUPPORTED',
        fix: expect.stringContaining('fleet_ssh_transport: openssh'),
      });
      expect(await id(quantum.settings({ fleet_ssh_transport: 'openssh' }))).not.toBe('');
    } finally {
      await quantum.stop();
    }
  });
});

describe.skipIf(!haveSshd())('ways to the host', () => {
  test('nobody listens', async () => {
    await expect(id(sshd.settings({ ansible_port: await freePort() }))).rejects.toMatchObject({
      code: 'HOST_UNREACHABLE',
      host: 'node1',
    });
  });

  test('a name that does not resolve', async () => {
    await expect(id(sshd.settings({ ansible_host: 'no-such-host.invalid' }))).rejects.toMatchObject({
      code: 'HOST_NAME_UNRESOLVED',
    });
  });

  test('a server that says nothing', async () => {
    const server: Server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const sockets = new Set<{ destroy(): void }>();
    server.on('connection', (socket) => sockets.add(socket));
    try {
      await expect(id(sshd.settings({ ansible_port: port, ansible_ssh_timeout: 0.3 }))).rejects.toMatchObject(
        {
          code: 'CONNECT_TIMED_OUT',
        },
      );
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  test('a server that drops the first logins (MaxStartups) is tried again', async () => {
    let dropped = 0;
    const server = createServer((socket) => {
      if (dropped < 2) {
        dropped += 1;
        socket.end('Exceeded MaxStartups\r\n');
        return;
      }
      const onward = connectSocket(sshd.port, '127.0.0.1');
      socket.pipe(onward).pipe(socket);
      socket.on('error', () => onward.destroy());
      onward.on('error', () => socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const notices: Notice[] = [];
    try {
      await id(
        sshd.settings({
          ansible_port: port,
          ansible_ssh_common_args: '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null',
        }),
        { announce: (notice) => notices.push(notice) },
      );
    } finally {
      server.close();
    }
    expect(notices.filter((notice) => notice.code === 'CONNECT_RETRIED')).toHaveLength(2);
  });

  test('through two jump hosts, each with user, port and key from the ssh config; their connections are shared and closed', async () => {
    const first = await startSshd();
    const second = await startSshd();
    try {
      const file = join(dir, 'jump-config');
      const known = join(dir, 'jump-known');
      writeFileSync(known, [sshd, first, second].map((one) => readFileSync(one.knownHosts, 'utf8')).join(''));
      writeFileSync(
        file,
        `Host hop1\n HostName 127.0.0.1\n Port ${first.port}\n IdentityFile ${first.key}\nHost hop2\n HostName 127.0.0.1\n Port ${second.port}\n IdentityFile ${second.key}\n`,
        { mode: 0o600 },
      );
      const config = new SshConfigFile({ file });
      const where = await target(
        sshd.settings({ ansible_ssh_common_args: `-J hop1,hop2 -o UserKnownHostsFile=${known}` }),
        config,
      );
      const pool = new ConnectionPool();
      const connections = await Promise.all(Array.from({ length: 12 }, () => pool.connect(where)));
      const answers = await Promise.all(
        connections.map((one) => one.run(raw('echo "$SSH_CONNECTION"'), DEADLINE)),
      );
      expect(answers.every((answer) => answer.stdout.includes(` ${sshd.port}`))).toBe(true);
      await pool.close();
      const logins = (one: Sshd) => one.log().split('Accepted publickey').length - 1;
      expect([logins(first), logins(second)]).toEqual([1, 1]);
    } finally {
      await first.stop();
      await second.stop();
    }
  });

  test('a jump host that may not forward', async () => {
    const jump = await startSshd({ config: ['AllowTcpForwarding no'] });
    try {
      const file = join(dir, 'noforward-config');
      writeFileSync(file, `Host gate\n HostName 127.0.0.1\n Port ${jump.port}\n IdentityFile ${jump.key}\n`, {
        mode: 0o600,
      });
      const where = await target(
        sshd.settings({ ansible_ssh_common_args: `-J gate -o UserKnownHostsFile=${jump.knownHosts}` }),
        new SshConfigFile({ file }),
      );
      await expect(connect(where)).rejects.toMatchObject({ code: 'JUMP_REFUSED', host: 'node1' });
    } finally {
      await jump.stop();
    }
  });

  test('ProxyCommand, with quotes and tokens; one that fails says why', async () => {
    const proxy = `-o UserKnownHostsFile=${sshd.knownHosts} -o ProxyCommand="sh -c 'exec ssh -F none -o BatchMode=yes -o UserKnownHostsFile=${sshd.knownHosts} -i ${sshd.key} -W \\"\\$0:\\$1\\" -p ${sshd.port} 127.0.0.1' %h %p"`;
    expect(await id(sshd.settings({ ansible_ssh_common_args: proxy }))).not.toBe('');
    await expect(
      id(
        sshd.settings({ ansible_ssh_common_args: '-o ProxyCommand="sh -c \'echo no tunnel >&2; exit 3\'"' }),
      ),
    ).rejects.toMatchObject({ code: 'PROXY_COMMAND_FAILED', message: expect.stringContaining('no tunnel') });
  });
});

describe.skipIf(!haveSshd()).each(['ssh2', 'openssh', 'local'])('the contract over %s', (transport) => {
  let connection: Connection;
  beforeAll(async () => {
    connection = await connect(
      await target(
        sshd.settings(
          transport === 'local' ? { ansible_connection: 'local' } : { fleet_ssh_transport: transport },
        ),
      ),
    );
  });
  afterAll(() => connection?.close());

  test('batches, one after the other, through one shell', async () => {
    const shell = await connection.openShell(undefined);
    const seen: number[] = [];
    const answers = await shell.batch(
      [{ script: raw('echo a; echo b >&2; exit 3') }, { script: raw('cat; printf "%s" "$((1+1))"') }],
      { ...DEADLINE, onAnswer: (index) => seen.push(index) },
    );
    expect(answers).toEqual([
      { stdout: 'a\n', stderr: 'b\n', code: 3 },
      { stdout: '2', stderr: '', code: 0 },
    ]);
    expect(seen).toEqual([0, 1]);
    const [first, second] = await Promise.all([
      shell.batch([{ script: raw('echo 1') }], DEADLINE),
      shell.batch([{ script: raw('echo 2') }], DEADLINE),
    ]);
    expect([first[0]?.stdout, second[0]?.stdout]).toEqual(['1\n', '2\n']);
    await shell.close();
  });

  test('too much output, a deadline and an abort kill what ran; the shell goes on', async () => {
    const shell = await connection.openShell(undefined);
    await expect(shell.batch([{ script: raw('yes') }], DEADLINE)).rejects.toMatchObject({
      code: 'OUTPUT_TOO_LARGE',
    });
    await expect(
      shell.batch([{ script: raw('sleep 87654 & sleep 87655; echo') }], { deadlineMs: 300 }),
    ).rejects.toMatchObject({ code: 'COMMAND_TIMED_OUT' });
    const abort = new AbortController();
    await expect(
      shell.batch([{ script: raw('echo started; sleep 87656'), onLine: () => abort.abort() }], {
        ...DEADLINE,
        signal: abort.signal,
      }),
    ).rejects.toMatchObject({ code: 'COMMAND_ABORTED' });
    await expect(connection.run(raw('sleep 87657'), { deadlineMs: 300 })).rejects.toMatchObject({
      code: 'COMMAND_TIMED_OUT',
    });
    const [left] = await shell.batch(
      [{ script: raw('ps -eo args | grep "^sleep 8765" || echo none') }],
      DEADLINE,
    );
    expect(left?.stdout).toBe('none\n');
    await shell.close();
  });

  test('a shell that is killed is an error, and then a new one', async () => {
    const shell = await connection.openShell(undefined);
    await expect(shell.batch([{ script: raw('kill -9 $$; sleep 1') }], DEADLINE)).rejects.toMatchObject({
      code: 'SHELL_ENDED',
    });
    const [answer] = await shell.batch([{ script: raw('echo back') }], DEADLINE);
    expect(answer?.stdout).toBe('back\n');
    await shell.close();
  });

  test('run: stdin, both outputs, the status, and bytes unharmed', async () => {
    const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => (index * 7) % 256));
    const half = bytes.length / 2;
    const answer = await connection.run(raw('sha256sum; echo problem >&2; exit 7'), {
      ...DEADLINE,
      stdin: Readable.from([bytes.subarray(0, half), bytes.subarray(half)]),
    });
    expect(answer).toEqual({
      stdout: `${createHash('sha256').update(bytes).digest('hex')}  -\n`,
      stderr: 'problem\n',
      code: 7,
    });
    const back: Buffer[] = [];
    await connection.run(raw('cat'), { ...DEADLINE, stdin: bytes, onStdout: (chunk) => back.push(chunk) });
    expect(Buffer.concat(back).equals(bytes)).toBe(true);
  });

  test('run: a script that does not read its stdin is no error', async () => {
    const answer = await connection.run(raw('echo enough'), { ...DEADLINE, stdin: Buffer.alloc(5_000_000) });
    expect(answer).toEqual({ stdout: 'enough\n', stderr: '', code: 0 });
  });

  test('run: a source that breaks is the error', async () => {
    const source = new Readable({
      read() {
        this.destroy(new Error('disk on fire'));
      },
    });
    await expect(connection.run(raw('cat'), { ...DEADLINE, stdin: source })).rejects.toThrow('disk on fire');
  });
});

test.skipIf(!haveSshd()).each(['ssh2', 'openssh'])('a lost connection over %s', async (transport) => {
  const server = await startSshd();
  const connection = await connect(await target(server.settings({ fleet_ssh_transport: transport })));
  const shell = await connection.openShell(undefined);
  await shell.batch([{ script: raw(':') }], DEADLINE);
  const broken = shell.batch([{ script: raw('kill -9 $(ps -o ppid= -p $PPID) $PPID; sleep 5') }], DEADLINE);
  await expect(broken).rejects.toMatchObject({ code: 'CONNECTION_LOST', host: 'node1' });
  expect(await connection.closed).toMatchObject({ code: 'CONNECTION_LOST' });
  await expect(connection.run(raw(':'), DEADLINE)).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  await server.stop();
});
