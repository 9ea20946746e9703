import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import type { Fact } from '../../src/engine/fact.ts';
import { installedBinary } from '../../src/facts/k3s-binary.ts';
import { type InUse, inUse, withNewer } from '../../src/facts/k3s-in-use.ts';
import { installScript } from '../../src/facts/k3s-install-script.ts';
import { installation } from '../../src/facts/k3s-installation.ts';
import { apiReady, k3sNodes } from '../../src/facts/k3s-nodes.ts';
import { wantedRelease } from '../../src/facts/k3s-release.ts';
import { serverData } from '../../src/facts/k3s-server-data.ts';
import { startState } from '../../src/facts/k3s-start.ts';

/** What a fact makes of a captured answer. */
function read<Value>(fact: Fact<Value>, stdout: string, code = 0, stderr = ''): Value {
  return fact.parse({ stdout, stderr, code });
}

describe('the binary', () => {
  it.each([
    [
      'x86_64\nk3s version v1.33.4+k3s1 (148243c4)\ngo version go1.24.5\n',
      'x86_64',
      'v1.33.4+k3s1',
      undefined,
    ],
    ['aarch64\n', 'aarch64', undefined, undefined],
    [
      'armv7l\nsh: /usr/local/bin/k3s: Exec format error\nexit status 126\n',
      'armv7l',
      undefined,
      /Exec format error/,
    ],
    ['x86_64\nexit status 139\n', 'x86_64', undefined, /139/],
  ])('%j', (stdout, machine, version, broken) => {
    const seen = read(installedBinary, stdout);
    expect([seen.machine, seen.version?.text]).toEqual([machine, version]);
    if (broken === undefined) expect(seen.broken).toBeUndefined();
    else expect(seen.broken).toMatch(broken);
  });
});

describe('the service and what is newer than its start', () => {
  const fact = inUse('server', '/etc/systemd/system');

  it.each<[string, string, Partial<InUse>]>([
    [
      'running',
      'LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nInvocationID=8f1c\n',
      { state: 'active', enabled: true, needsDaemonReload: false, invocation: '8f1c', newerThanStart: [] },
    ],
    [
      'running with an old config',
      'LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=yes\nInvocationID=8f1c\n/etc/rancher/k3s/config.yaml\n/usr/local/bin/k3s\n',
      { needsDaemonReload: true, newerThanStart: ['/etc/rancher/k3s/config.yaml', '/usr/local/bin/k3s'] },
    ],
    [
      'not installed',
      'LoadState=not-found\nActiveState=inactive\nUnitFileState=\nNeedDaemonReload=no\nInvocationID=\n',
      { state: 'absent', enabled: false, invocation: '' },
    ],
    [
      'restarting again and again',
      'LoadState=loaded\nActiveState=activating\nUnitFileState=enabled\nNeedDaemonReload=no\nInvocationID=\n',
      { state: 'activating' },
    ],
    [
      'failed',
      'LoadState=loaded\nActiveState=failed\nUnitFileState=disabled\nNeedDaemonReload=no\nInvocationID=\n',
      { state: 'failed', enabled: false },
    ],
    [
      'reloading counts as running',
      'LoadState=loaded\nActiveState=reloading\nUnitFileState=enabled\nInvocationID=1\n',
      { state: 'active' },
    ],
    [
      'running under OpenRC',
      'LoadState=loaded\nOpenRC=0\nUnitFileState=enabled\nInvocationID=1234\n',
      { state: 'active', enabled: true, invocation: '1234' },
    ],
    ['stopped under OpenRC', 'LoadState=loaded\nOpenRC=3\n', { state: 'inactive', enabled: false }],
    ['crashed under OpenRC', 'LoadState=loaded\nOpenRC=32\n', { state: 'failed' }],
    ['not there under OpenRC', 'OpenRC=1\n', { state: 'absent' }],
  ])('%s', (_name, stdout, expected) => {
    expect(read(fact, stdout)).toMatchObject(expected);
  });

  it('a file that a plan will write is foreseen as newer, once, where something runs', () => {
    const running = read(fact, 'LoadState=loaded\nActiveState=active\nInvocationID=1\n');
    expect(withNewer(withNewer(running, '/a', '/b'), '/a').newerThanStart).toEqual(['/a', '/b']);
    const absent = read(fact, 'LoadState=not-found\n');
    expect(withNewer(absent, '/a')).toBe(absent);
  });
});

const mark = '--- fleet: next file ---';

describe('what the install script left', () => {
  const unit = `[Unit]
Description=Lightweight Kubernetes

[Service]
Type=notify
EnvironmentFile=-/etc/systemd/system/k3s.service.env
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s \\
    server \\
\t'--node-label' \\
\t'a=b c' \\

`;
  const systemd = (more: Partial<Record<'uninstaller' | 'other' | 'mode' | 'unit' | 'env', string>>) =>
    `systemd\n/etc/systemd/system/k3s.service.env\n${more.uninstaller ?? 'yes'}\n${more.other ?? 'no'}\n${more.mode ?? '600'}\n${mark}\n${more.unit === undefined ? `present\n${unit}` : more.unit}\n${mark}\n${more.env ?? "K3S_TOKEN='to ken'\nHTTP_PROXY=http://p:3128\n"}`;
  const fact = installation('server', '/etc/systemd/system');

  it('under systemd', () => {
    const seen = read(fact, systemd({}));
    expect(seen).toMatchObject({
      manager: 'systemd',
      envPath: '/etc/systemd/system/k3s.service.env',
      args: ['server', '--node-label', 'a=b c'],
      envMode: '0600',
      uninstaller: true,
      otherRole: false,
    });
    expect([...(seen.env ?? [])].map(([name, value]) => [name, value.reveal()])).toEqual([
      ['K3S_TOKEN', 'to ken'],
      ['HTTP_PROXY', 'http://p:3128'],
    ]);
    expect(inspect(seen, { depth: 9 }), 'its token').not.toContain('to ken');
  });

  it('nothing', () => {
    expect(read(fact, systemd({ uninstaller: 'no', mode: 'none', unit: '', env: '' }))).toMatchObject({
      args: undefined,
      env: undefined,
      envMode: undefined,
      uninstaller: false,
    });
  });

  it('a unit without a command, made by hand', () => {
    expect(read(fact, systemd({ unit: 'present\n[Service]\n' })).args).toEqual([]);
  });

  it('the other role', () => {
    expect(read(fact, systemd({ other: 'yes' })).otherRole).toBe(true);
  });

  it('under OpenRC', () => {
    const script = `#!/sbin/openrc-run
depend() { after network-online; want cgroups; }
start_pre() { rm -f /tmp/k3s.*; }
supervisor=supervise-daemon
name=k3s
command="/usr/local/bin/k3s"
command_args="server \\
\t'--node-label' \\
\t'a=b c' \\
    >>/var/log/k3s.log 2>&1"
output_log=/var/log/k3s.log
set -o allexport
if [ -f /etc/environment ]; then sourcex /etc/environment; fi
if [ -f /etc/rancher/k3s/k3s.env ]; then sourcex /etc/rancher/k3s/k3s.env; fi
`;
    const seen = read(
      fact,
      `openrc\n/etc/rancher/k3s/k3s.env\nyes\nno\n600\n${mark}\npresent\n${script}\n${mark}\nK3S_TOKEN="a"\n`,
    );
    expect(seen).toMatchObject({ manager: 'openrc', args: ['server', '--node-label', 'a=b c'] });
  });

  it('without any service manager', () => {
    expect(read(fact, `none\n/nonexistent\nno\nno\nnone\n${mark}\n\n${mark}\n`)).toMatchObject({
      manager: 'none',
      args: undefined,
    });
  });

  it('an answer that makes no sense is no value', () => {
    expect(() => read(fact, 'upstart\n')).toThrow(/upstart/);
  });
});

describe('the nodes', () => {
  const unmarked = { labels: {}, taints: [], byFleet: { labels: [], taints: [] } };

  it('as kubectl prints the fields', () => {
    const line = (...fields: string[]) => `${fields.join('\t')}\n`;
    const seen = read(
      k3sNodes,
      line(
        's1',
        'True',
        'True',
        'v1.33.4+k3s1',
        '',
        'true',
        '10.0.0.1 s1',
        '',
        '',
        '{"disk":"ssd"}',
        '[{"effect":"NoSchedule","key":"dedicated","value":"db"},{"effect":"NoExecute","key":"gone"}]',
        '{"labels":["disk"],"taints":["dedicated:NoSchedule"]}',
        'kubelet is posting ready status',
      ) +
        line(
          's2',
          'True',
          'False',
          'v1.33.4+k3s1',
          '',
          'true',
          '10.0.0.2 fd00::2 s2',
          '',
          '',
          '',
          '',
          '',
          'x',
        ) +
        line(
          'a1',
          'Unknown',
          '',
          'v1.32.1+k3s1',
          'true',
          '',
          '10.0.0.3',
          'fleet',
          'v1.33.4+k3s1',
          '{}',
          '',
          'no JSON',
          'Kubelet stopped\tposting node status.',
        ) +
        line('a2', '', '', '', '', '', '', '', '', '', '', '', ''),
    );
    expect(seen).toEqual({
      nodes: [
        {
          name: 's1',
          ready: true,
          readyMessage: 'kubelet is posting ready status',
          etcdVoter: true,
          version: 'v1.33.4+k3s1',
          unschedulable: false,
          cordonedByFleet: false,
          drainedFor: undefined,
          controlPlane: true,
          addresses: ['10.0.0.1', 's1'],
          marks: {
            labels: { disk: 'ssd' },
            taints: [
              { key: 'dedicated', value: 'db', effect: 'NoSchedule' },
              { key: 'gone', value: '', effect: 'NoExecute' },
            ],
            byFleet: { labels: ['disk'], taints: ['dedicated:NoSchedule'] },
          },
        },
        {
          name: 's2',
          ready: true,
          readyMessage: 'x',
          etcdVoter: false,
          version: 'v1.33.4+k3s1',
          unschedulable: false,
          cordonedByFleet: false,
          drainedFor: undefined,
          controlPlane: true,
          addresses: ['10.0.0.2', 'fd00::2', 's2'],
          marks: unmarked,
        },
        {
          name: 'a1',
          ready: false,
          readyMessage: 'Kubelet stopped posting node status.',
          etcdVoter: undefined,
          version: 'v1.32.1+k3s1',
          unschedulable: true,
          cordonedByFleet: true,
          drainedFor: 'v1.33.4+k3s1',
          controlPlane: false,
          addresses: ['10.0.0.3'],
          marks: unmarked,
        },
        {
          name: 'a2',
          ready: false,
          readyMessage: '',
          etcdVoter: undefined,
          version: '',
          unschedulable: false,
          cordonedByFleet: false,
          drainedFor: undefined,
          controlPlane: false,
          addresses: [],
          marks: unmarked,
        },
      ],
    });
  });

  it('are none in an empty cluster, and unavailable where the API does not answer: two different things', () => {
    expect(read(k3sNodes, '')).toEqual({ nodes: [] });
    expect(
      read(k3sNodes, '', 1, 'E1 memcache.go: x\nThe connection to the server 127.0.0.1:6443 was refused\n'),
    ).toEqual({
      unavailable: 'The connection to the server 127.0.0.1:6443 was refused',
    });
  });

  it.each([
    ['ok', 0, '', true],
    ['ok\n', 0, '', true],
    [
      '',
      1,
      'Error from server (InternalError): etcd failed\n',
      'Error from server (InternalError): etcd failed',
    ],
    ['[-]etcd failed', 0, '', '[-]etcd failed'],
    ['', 127, '', 'exit status 127'],
  ])('readyz %j (%i, %j) is %j', (stdout, code, stderr, ready) => {
    expect(read(apiReady, stdout, code, stderr)).toBe(ready);
  });
});

describe('the data of a server', () => {
  const fact = serverData('/var/lib/rancher/k3s');

  it('holds its token as a secret', () => {
    const seen = read(fact, `etcd\nrunning\nNode-1\nK10${'a'.repeat(64)}::server:hunter2\n`);
    expect(seen).toMatchObject({ datastore: 'etcd', running: true, hostName: 'node-1' });
    expect(seen.token?.reveal()).toContain('hunter2');
    expect(inspect(seen, { depth: 9 }) + JSON.stringify(seen)).not.toContain('hunter2');
  });

  it('none of it', () => {
    expect(read(fact, 'none\nstopped\ns1\n')).toEqual({
      datastore: 'none',
      token: undefined,
      running: false,
      hostName: 's1',
    });
  });

  it('an answer that makes no sense is no value, least of all "no data"', () => {
    expect(() => read(fact, '')).toThrow(/datastore/);
  });
});

describe('a start in progress', () => {
  const fact = startState('agent');

  it.each([
    [
      'ActiveState=activating\nInvocationID=ab\nNRestarts=3\nLog=time="2026-01-01T00:00:00Z" level=error msg="Failed to validate connection to cluster at https://s1:6443: \\"x\\""\n',
      {
        state: 'activating',
        invocation: 'ab',
        restarts: 3,
        lastLog: 'Failed to validate connection to cluster at https://s1:6443: "x"',
      },
    ],
    ['ActiveState=active\nInvocationID=ab\nNRestarts=0\nLog=', { state: 'active', restarts: 0, lastLog: '' }],
    [
      'ActiveState=failed\nInvocationID=\nNRestarts=0\nLog=plain text = here\n',
      { state: 'failed', invocation: '', lastLog: 'plain text = here' },
    ],
  ])('%j', (stdout, expected) => {
    expect(read(fact, stdout)).toMatchObject(expected);
  });

  it('shows no more of a line than a person wants to read', () => {
    expect(read(fact, `ActiveState=active\nLog=${'x'.repeat(5000)}\n`).lastLog.length).toBeLessThan(400);
  });
});

describe('questions to the control node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-facts-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const script = '#!/bin/sh\n# INSTALL_K3S_EXEC and so on\n';

  it('the release that is meant, where it is one', async () => {
    expect((await wantedRelease('v1.33.4+k3s1', 'https://unused.invalid').read()).text).toBe('v1.33.4+k3s1');
    await expect(wantedRelease('v1.33.4', 'https://unused.invalid').read()).rejects.toMatchObject({
      code: 'K3S_VERSION_FORM',
    });
  });

  it('the install script is read, and checked', async () => {
    const path = join(folder, 'install.sh');
    writeFileSync(path, script);
    expect(await installScript({ from: path }).read()).toBe(script);
    await expect(installScript({ from: path, sha256: 'a'.repeat(64) }).read()).rejects.toMatchObject({
      code: 'INSTALL_SCRIPT_WRONG',
      message: expect.stringContaining('sha256'),
    });
    await expect(installScript({ from: join(folder, 'none') }).read()).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
  });

  it.each([
    ['an error page', '<html>404</html>'],
    ['another script', '#!/bin/sh\nrm -rf /\n'],
    ['no script', 'INSTALL_K3S_EXEC'],
    ['an endless one', `${script}${'#'.repeat(1024 * 1024)}`],
  ])('%s is not run as the install script', async (_what, text) => {
    const path = join(folder, 'wrong.sh');
    writeFileSync(path, text);
    await expect(installScript({ from: path }).read()).rejects.toMatchObject({
      code: 'INSTALL_SCRIPT_WRONG',
    });
  });
});
