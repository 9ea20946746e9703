import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  describes,
  entryFromK3s,
  type KubeconfigEntry,
  mergeKubeconfig,
  withoutCluster,
} from '../../src/k3s/kubeconfig.ts';

/** As k3s writes it. */
const fromK3s = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://127.0.0.1:6443
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
`;

/** As a person has it. */
const existing = `# my clusters
apiVersion: v1
kind: Config
current-context: work # the one for work
preferences: {}
clusters:
  - name: work
    cluster:
      server: https://work:6443 # behind the VPN
      insecure-skip-tls-verify: true
contexts:
  - name: work
    context: { cluster: work, user: me, namespace: team }
users:
  # from the browser
  - name: me
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        command: login
`;

const entry = entryFromK3s(fromK3s, 'home', 'https://10.0.0.1:6443') as KubeconfigEntry;

describe('the cluster in the file of k3s', () => {
  it('gets the name and the address by which it is known outside', () => {
    expect(entry).toEqual({
      name: 'home',
      cluster: { 'certificate-authority-data': 'Q0E=', server: 'https://10.0.0.1:6443' },
      user: { 'client-certificate-data': 'Q0VSVA==', 'client-key-data': 'S0VZ' },
    });
  });

  it.each(['', 'not: [yaml', 'text', '[]', 'clusters: []', 'clusters: [{cluster: {}}]'])(
    'is not in %j',
    (text) => {
      expect(entryFromK3s(text, 'home', 'https://x:6443')).toBeUndefined();
    },
  );
});

describe('merging', () => {
  it.each([undefined, '', '\n'])('into nothing (%j) makes a file that works by itself', (text) => {
    expect(parse(mergeKubeconfig(text, entry))).toEqual({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'home', cluster: entry.cluster }],
      contexts: [{ name: 'home', context: { cluster: 'home', user: 'home' } }],
      users: [{ name: 'home', user: entry.user }],
      'current-context': 'home',
    });
  });

  it('keeps every line that others wrote, comments and order too', () => {
    const lines = mergeKubeconfig(existing, entry).split('\n');
    let from = 0;
    for (const line of existing.trimEnd().split('\n')) {
      const found = lines.indexOf(line, from);
      expect(found, line).toBeGreaterThanOrEqual(from);
      from = found + 1;
    }
  });

  it('adds the cluster and leaves the current context alone', () => {
    const merged = parse(mergeKubeconfig(existing, entry));
    expect(merged['current-context']).toBe('work');
    expect(merged.contexts.map(({ name }: { name: string }) => name)).toEqual(['work', 'home']);
  });

  it('again changes nothing', () => {
    const once = mergeKubeconfig(existing, entry);
    expect(mergeKubeconfig(once, entry)).toBe(once);
  });

  it('replaces a renewed certificate and an old address, and keeps what the user put beside them', () => {
    const once = mergeKubeconfig(undefined, entry).replace('user: home', 'user: home\n      namespace: mine');
    const renewed = {
      ...entry,
      cluster: { ...entry.cluster, server: 'https://vip:6443' },
      user: { ...entry.user, 'client-key-data': 'TkVX' },
    };
    const merged = parse(mergeKubeconfig(once, renewed));
    expect(merged.clusters).toHaveLength(1);
    expect(merged.clusters[0].cluster.server).toBe('https://vip:6443');
    expect(merged.users[0].user['client-key-data']).toBe('TkVX');
    expect(merged.contexts[0].context).toEqual({ cluster: 'home', user: 'home', namespace: 'mine' });
  });

  it('fills lists that are there but empty', () => {
    const merged = parse(
      mergeKubeconfig('apiVersion: v1\nclusters: null\nusers: []\ncurrent-context: ""\n', entry),
    );
    expect([
      merged.clusters.length,
      merged.contexts.length,
      merged.users.length,
      merged['current-context'],
    ]).toEqual([1, 1, 1, 'home']);
  });

  it.each(['- a\n', 'text', 'a: [1\n'])('refuses %j, which is no kubeconfig', (text) => {
    expect(() => mergeKubeconfig(text, entry)).toThrow();
  });
});

describe('whether a file describes the cluster', () => {
  it('is so after a merge, also where the file is laid out otherwise', () => {
    expect(describes(mergeKubeconfig(existing, entry), entry)).toBe(true);
    expect(describes(JSON.stringify(parse(mergeKubeconfig(existing, entry))), entry)).toBe(true);
  });

  it.each([undefined, '', existing, fromK3s, '- a\n', 'a: [1\n'])('is not so for %j', (text) => {
    expect(describes(text, entry)).toBe(false);
  });

  it('is not so with another key', () => {
    const other = { ...entry, user: { ...entry.user, 'client-key-data': 'other' } };
    expect(describes(mergeKubeconfig(existing, other), entry)).toBe(false);
  });
});

describe('removing', () => {
  it('leaves the file as it was before', () => {
    expect(parse(withoutCluster(mergeKubeconfig(existing, entry), 'home') ?? '')).toEqual(parse(existing));
    expect(withoutCluster(mergeKubeconfig(existing, entry), 'home')).toContain('# behind the VPN');
  });

  it('of the current context leaves none, rather than another that nobody chose', () => {
    const removed = parse(withoutCluster(mergeKubeconfig(undefined, entry), 'home') ?? '');
    expect(removed['current-context']).toBe('');
    expect(removed.users).toEqual([]);
  });

  it.each([
    ['another name', existing, 'home'],
    ['no kubeconfig', '- a', 'home'],
    ['broken', 'a: [1', 'a'],
  ])('does nothing for %s', (_what, text, name) => {
    expect(withoutCluster(text, name)).toBeUndefined();
  });
});
