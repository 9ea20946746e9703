import { describe, expect, it } from 'vitest';
import { disagreements, unknownSettings } from '../../src/k3s/known-flags.ts';
import type { Role } from '../../src/k3s/paths.ts';
import { mustParseVersion } from '../../src/k3s/version.ts';

const found = (role: Role, version: string, config: Record<string, unknown>, args: string[] = []) =>
  unknownSettings(role, mustParseVersion(version), config, args);

describe('settings that k3s does not have', () => {
  it.each<[string, Role, Record<string, unknown>, string[]]>([
    [
      'of a server',
      'server',
      { 'tls-san+': ['a'], disable: ['traefik'], 'kubelet-arg': ['v=2'] },
      ['--cluster-init'],
    ],
    [
      'of an agent',
      'agent',
      { 'node-label': ['a=b'], server: 'https://x:6443' },
      ['--node-ip=10.0.0.1', '-t', 'x'],
    ],
    [
      'of another program',
      'server',
      {},
      ['--kubelet-arg', '--max-pods=9', '--etcd-arg=--quota-backend-bytes=1'],
    ],
  ])('are not those %s', (_case, role, config, args) => {
    expect(found(role, 'v1.33.4+k3s1', config, args)).toEqual([]);
  });

  it.each<[string, Role, string, Record<string, unknown>, RegExp, RegExp]>([
    ['misspelt', 'server', 'v1.33.4+k3s1', { 'tls-sans': 'a' }, /no setting/, /`tls-san`/],
    ['with underscores', 'agent', 'v1.33.4+k3s1', { node_label: 'a' }, /no setting/, /`node-label`/],
    ['removed', 'server', 'v1.26.1+k3s1', { 'no-deploy': 'traefik' }, /removed in v1\.26/, /`disable`/],
    ['not there yet', 'server', 'v1.28.5+k3s1', { 'embedded-registry': true }, /not in v1\.28\.5/, /upgrade/],
    [
      'of servers, on an agent',
      'agent',
      'v1.33.4+k3s1',
      { 'tls-san': 'a' },
      /of servers/,
      /server_config_yaml/,
    ],
  ])('are told: %s', (_case, role, version, config, because, fix) => {
    expect(found(role, version, config)).toEqual([
      expect.objectContaining({
        because: expect.stringMatching(because),
        fix: expect.stringMatching(fix),
        isFatal: true,
      }),
    ]);
  });

  it('are there where they were still, or had come', () => {
    expect(found('server', 'v1.25.9+k3s1', { 'no-deploy': 'traefik' })).toEqual([]);
    for (const version of ['v1.28.6+k3s1', 'v1.29.1+k3s1', 'v1.34.1+k3s1'])
      expect(found('server', version, { 'embedded-registry': true })).toEqual([]);
    expect(found('server', 'v1.29.0+k3s1', { 'embedded-registry': true })).toHaveLength(1);
  });

  it('end an agent, while a server skips those of its file that are like no other', () => {
    const odd = { 'quite-something-else': 1 };
    expect(found('agent', 'v1.33.4+k3s1', odd)[0]?.isFatal).toBe(true);
    expect(found('server', 'v1.33.4+k3s1', odd)[0]?.isFatal).toBe(false);
    expect(found('server', 'v1.33.4+k3s1', {}, ['--quite-something-else'])[0]?.isFatal).toBe(true);
  });

  it('are not judged for releases that nobody knows yet', () => {
    expect(found('agent', 'v1.99.0+k3s1', { 'quite-something-else': 1 })).toEqual([]);
  });
});

describe('what must be the same on all servers', () => {
  const server = (host: string, config: Record<string, unknown>, args: string[] = []) => ({
    host,
    config,
    args,
  });

  it('is, whichever way it is written', () => {
    expect(
      disagreements([
        server('s1', { 'cluster-cidr': '10.42.0.0/16,fd00::/56', 'disable-network-policy': true }),
        server('s2', { 'cluster-cidr': ['10.42.0.0/16', 'fd00::/56'] }, ['--disable-network-policy']),
        server('s3', { 'disable-network-policy': 'true' }, ['--cluster-cidr=10.42.0.0/16,fd00::/56']),
      ]),
    ).toEqual([]);
    expect(disagreements([server('s1', { 'flannel-backend': 'vxlan' }), server('s2', {})])).toEqual([]);
    expect(disagreements([server('s1', { disable: ['traefik'] }), server('s2', {})])).toEqual([]);
  });

  it.each([
    ['cluster-cidr', { 'cluster-cidr': '10.44.0.0/16' }, '10.44.0.0/16'],
    ['flannel-backend', { 'flannel-backend': 'none' }, 'none'],
    ['secrets-encryption', { 'secrets-encryption': true }, 'true'],
    ['embedded-registry', { 'embedded-registry': true }, 'true'],
    ['disable: servicelb', { disable: ['traefik', 'servicelb'] }, 'off'],
  ])('is not: %s', (setting, config, value) => {
    const [found, ...more] = disagreements([server('s1', config), server('s2', {})]);
    expect(found?.setting).toBe(setting);
    expect(found?.values.get('s1')).toBe(value);
    expect(more).toEqual([]);
  });
});
