import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { parseSshArgs, splitWords } from '../../src/ssh/ssh-args.ts';
import { SshConfigFile } from '../../src/ssh/ssh-config-file.ts';
import { type ConnectionSettings, formatAddress, resolveTarget } from '../../src/ssh/target.ts';

const dir = mkdtempSync(join(tmpdir(), 'fleet-target-'));
afterAll(() => rmSync(dir, { recursive: true }));
const NONE = new SshConfigFile({ file: 'none' });

function config(text: string): SshConfigFile {
  const file = join(dir, `config${Math.random()}`);
  writeFileSync(file, text, { mode: 0o600 });
  return new SshConfigFile({ file });
}

const resolve = (settings: Partial<ConnectionSettings>, sshConfig = NONE) =>
  resolveTarget({ name: 'node1', ...settings }, { sshConfig, home: '/home/me', env: {} });

describe('splitWords, as a shell would', () => {
  test.each([
    ['-o A=b  -i x', ['-o', 'A=b', '-i', 'x']],
    [`-o ProxyCommand="nc -X 5 -x 'p:1' %h %p"`, ['-o', `ProxyCommand=nc -X 5 -x 'p:1' %h %p`]],
    [`-o 'ProxyCommand=ssh -W "[%h]:%p" jump'`, ['-o', 'ProxyCommand=ssh -W "[%h]:%p" jump']],
    [`"a\\"b" a\\ b '' "\\n"`, ['a"b', 'a b', '', '\\n']],
    ['', []],
  ])('%s', (text, expected) => {
    expect(splitWords(text)).toEqual(expected);
  });
  test('an open quote', () => {
    expect(() => splitWords(`a 'b`)).toThrow(RangeError);
  });
});

describe('parseSshArgs', () => {
  test.each([
    ['-J me@a:2,b', { proxyJump: 'me@a:2,b' }],
    ['-Ja', { proxyJump: 'a' }],
    ['-4Cqp2222 -l root', { addressFamily: 'inet', port: 2222, user: 'root' }],
    ['-o StrictHostKeyChecking=no', { strictHostKeyChecking: 'no' }],
    ['-oStrictHostKeyChecking=accept-new', { strictHostKeyChecking: 'accept-new' }],
    ['-o "StrictHostKeyChecking ask"', { strictHostKeyChecking: 'yes' }],
    ['-o UserKnownHostsFile=/dev/null', { userKnownHostsFiles: ['/dev/null'] }],
    ['-i a -o IdentityFile=b -o identitiesonly=yes', { identityFiles: ['a', 'b'], identitiesOnly: true }],
    [
      '-o ConnectTimeout=7 -o ServerAliveInterval=1m -o ServerAliveCountMax=9',
      { connectTimeoutMs: 7000, keepaliveIntervalMs: 60_000, keepaliveCountMax: 9 },
    ],
    ['-p 1 -p 2', { port: 1 }],
    ['-o ControlMaster=auto -o ControlPersist=60s -o ControlPath=/x -C -tt', {}],
    ['-o ProxyCommand=x -J y', { proxyCommand: 'x' }],
  ])('%s', (text, expected) => {
    const parsed = parseSshArgs(splitWords(text));
    expect(parsed.settings).toEqual(expected);
    expect(parsed.unknown).toEqual([]);
  });
  test('names what it does not know', () => {
    expect(parseSshArgs(splitWords('-o Ciphers=aes128-ctr -L 1:a:2 word')).unknown).toEqual([
      '-L 1:a:2',
      'word',
      '-o ciphers=aes128-ctr',
    ]);
  });
  test('refuses what is no port', () => {
    expect(() => parseSshArgs(['-p', 'ssh'])).toThrow(expect.objectContaining({ code: 'SSH_ARGS_INVALID' }));
  });
});

describe('resolveTarget', () => {
  test('nothing said', async () => {
    expect(await resolve({})).toMatchObject({
      transport: 'ssh2',
      hostName: 'node1',
      port: 22,
      user: userInfo().username,
      identityFiles: ['/home/me/.ssh/id_ed25519', '/home/me/.ssh/id_ecdsa', '/home/me/.ssh/id_rsa'],
      identitiesNamed: false,
      jumps: [],
      hostKeyMode: 'yes',
      userKnownHostsFiles: ['/home/me/.ssh/known_hosts', '/home/me/.ssh/known_hosts2'],
    });
  });

  test('the inventory wins over the ssh config, which wins over the defaults', async () => {
    const ssh = config(
      'Host 10.0.0.1\n HostName 10.9.9.9\n Port 99\n User confuser\n IdentityFile ~/.ssh/special\n IdentitiesOnly yes\n',
    );
    expect(await resolve({ ansible_host: '10.0.0.1' }, ssh)).toMatchObject({
      hostName: '10.9.9.9',
      port: 99,
      user: 'confuser',
      identityFiles: ['/home/me/.ssh/special'],
      identitiesOnly: true,
    });
    expect(
      await resolve(
        {
          ansible_host: '10.0.0.1',
          ansible_port: '22',
          ansible_user: 'me',
          ansible_ssh_private_key_file: '~/k',
        },
        ssh,
      ),
    ).toMatchObject({ port: 22, user: 'me', identityFiles: ['/home/me/k', '/home/me/.ssh/special'] });
  });

  test('a host that no pattern names gets what `Host *` says, under its own name', async () => {
    const ssh = config('Host other\n User nobody\nHost *\n Port 77\n User all\n');
    const hosts = await Promise.all(['a', 'b', 'other'].map((name) => resolve({ ansible_host: name }, ssh)));
    expect(hosts.map((t) => `${t.user}@${formatAddress(t)}`)).toEqual([
      'all@a:77',
      'all@b:77',
      'nobody@other:77',
    ]);
  });

  test('jump hosts: several, each with its own settings from the config, none of the inventory', async () => {
    const ssh = config(
      'Host bastion\n HostName 192.0.2.1\n User gate\n IdentityFile /k/gate\nHost inner\n ProxyJump bastion\n Port 23\n',
    );
    const target = await resolve(
      {
        ansible_user: 'me',
        ansible_port: 2200,
        ansible_private_key_file: '/k/me',
        ansible_ssh_common_args: '-J root@bastion:24,[fd00::1]:25',
      },
      ssh,
    );
    expect(target.jumps.map((jump) => `${jump.user}@${formatAddress(jump)}`)).toEqual([
      'root@192.0.2.1:24',
      `${userInfo().username}@[fd00::1]:25`,
    ]);
    expect(target.jumps[0]?.identityFiles).toEqual(['/k/gate']);
    expect(target.identityFiles).toEqual(['/k/me']);
    const chained = await resolve({ ansible_ssh_common_args: '-o ProxyJump=inner' }, ssh);
    expect(chained.jumps.map((jump) => formatAddress(jump))).toEqual(['192.0.2.1:22', 'inner:23']);
  });

  test('ProxyCommand with its tokens; none switches it off', async () => {
    const args = `-o ProxyCommand="nc -x 'localhost:1055' %h %p # %r%%"`;
    expect(
      (await resolve({ ansible_host: '[fd00::2]', ansible_user: 'me', ansible_ssh_common_args: args }))
        .proxyCommand,
    ).toBe(`nc -x 'localhost:1055' fd00::2 22 # me%`);
    expect((await resolve({ ansible_ssh_common_args: '-o ProxyCommand=none' })).proxyCommand).toBeUndefined();
  });

  test('host key checking', async () => {
    expect((await resolve({ ansible_ssh_host_key_checking: false })).hostKeyMode).toBe('no');
    expect((await resolve({ ansible_host_key_checking: 'True' })).hostKeyMode).toBe('yes');
    expect(
      (await resolve({ ansible_ssh_common_args: '-o StrictHostKeyChecking=accept-new' })).hostKeyMode,
    ).toBe('accept-new');
  });

  test('become and secrets, which never print', async () => {
    const target = await resolve({
      ansible_become: true,
      ansible_become_method: 'doas',
      ansible_become_user: 'k3s',
      ansible_become_pass: 'hush-hush',
      ansible_password: 'psst-psst',
    });
    expect(target.become).toMatchObject({ method: 'doas', user: 'k3s' });
    expect(target.become?.password?.reveal()).toBe('hush-hush');
    expect(inspect(target, { depth: 9 }) + JSON.stringify(target)).not.toMatch(/hush-hush|psst-psst/);
    expect((await resolve({ ansible_become: false, ansible_become_user: 'x' })).become).toBeUndefined();
  });

  test.each([
    [{ ansible_connection: 'winrm' }, 'CONNECTION_SETTING_INVALID'],
    [{ ansible_become: true, ansible_become_method: 'runas' }, 'CONNECTION_SETTING_INVALID'],
    [{ ansible_port: '22x' }, 'SSH_ARGS_INVALID'],
    [{ ansible_ssh_common_args: `-o 'x` }, 'SSH_ARGS_INVALID'],
    [{ fleet_ssh_transport: 'libssh' }, 'CONNECTION_SETTING_INVALID'],
    [{ ansible_ssh_timeout: 'soon' }, 'CONNECTION_SETTING_INVALID'],
  ])('%j is refused', async (settings, code) => {
    await expect(resolve(settings)).rejects.toMatchObject({ code, host: 'node1', blame: 'usage' });
  });

  test('transports', async () => {
    expect((await resolve({ ansible_connection: 'local' })).transport).toBe('local');
    expect((await resolve({ fleet_ssh_transport: 'openssh' })).transport).toBe('openssh');
    expect((await resolve({ ansible_connection: 'smart' })).transport).toBe('ssh2');
  });
});
