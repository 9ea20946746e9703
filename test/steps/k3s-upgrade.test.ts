import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { InUse } from '../../src/facts/k3s-in-use.ts';
import type { Kept } from '../../src/facts/k3s-kept.ts';
import type { K3sNode, K3sNodes } from '../../src/facts/k3s-nodes.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import { mustParseVersion } from '../../src/k3s/version.ts';
import { k3sDrainStep } from '../../src/steps/k3s-drain.ts';
import { k3sFailedStep } from '../../src/steps/k3s-failed.ts';
import { k3sKeepStep } from '../../src/steps/k3s-keep.ts';
import { k3sOtherRoleStep } from '../../src/steps/k3s-other-role.ts';
import { k3sRollbackStep } from '../../src/steps/k3s-rollback.ts';
import { k3sSavedBeforeStep } from '../../src/steps/k3s-saved-before.ts';
import { k3sUncordonStep } from '../../src/steps/k3s-uncordon.ts';
import { k3sUpgradableStep } from '../../src/steps/k3s-upgradable.ts';
import { actionsIn, decided, type Nodes, nodesOf, scriptsIn, settled } from '../k3s/inventory-of.ts';
import { agentNode as agent, member, serverNode as node, running } from '../k3s/seen-of.ts';

const old = 'v1.33.4+k3s1';
const next = 'v1.34.1+k3s1';

const named = (inUse: string) => ({ inUse, onDisk: inUse, hasHostnamectl: true });
const told = (...nodes: readonly K3sNode[]): K3sNodes => ({ nodes });

describe('draining', () => {
  const nodes = { agents: ['a1'] };
  const drain = async (
    seen: {
      own?: Partial<K3sNode>;
      others?: readonly K3sNode[];
      wanted?: string;
      service?: InUse;
      vars?: Record<string, unknown>;
    } = {},
  ) => {
    const view = (await nodesOf({ ...nodes, vars: seen.vars ?? {} }))('a1');
    const all = {
      hostName: named('a1'),
      service: seen.service ?? running,
      wanted: mustParseVersion(seen.wanted ?? next),
      nodes: new Map([['s1', told(agent('a1', seen.own), ...(seen.others ?? [node('s1')]))]]),
    };
    return { plan: decided(k3sDrainStep, all, view), all, view };
  };

  it('comes before another minor version, through a server, and is done once', async () => {
    const { plan, all, view } = await drain();
    expect(plan).toMatchObject({
      verdict: 'change',
      actions: [{ kind: 'run', what: 'drain a1', host: 's1' }],
    });
    expect(settled(k3sDrainStep, all, view).verdict).toBe('unchanged');
  });

  it.each<[string, Parameters<typeof drain>[0], RegExp]>([
    ['the release that is wanted runs', { own: { version: next } }, /v1\.34\.1\+k3s1 runs/],
    ['another patch is wanted', { wanted: 'v1.33.9+k3s1' }, /pods run on/],
    ['drain is off', { vars: { drain: false } }, /off/],
    ['only servers are to be', { vars: { drain: 'servers' } }, /leaves agents alone/],
    ['nobody could take its pods', { others: [node('s1', { unschedulable: true })] }, /no other node/],
    ['it is alone', { others: [] }, /no other node/],
    ['its kubelet is away', { own: { ready: false } }, /not Ready/],
    ['it does not run', { service: { ...running, state: 'failed' } }, /does not run/],
  ])('is left out where %s', async (_case, seen, because) => {
    expect((await drain(seen)).plan).toMatchObject({
      verdict: 'unchanged',
      because: expect.stringMatching(because),
    });
  });

  it.each(['agents', 'all', true])('comes before another patch too with drain: %s', async (word) => {
    expect((await drain({ wanted: 'v1.33.9+k3s1', vars: { drain: word } })).plan.verdict).toBe('change');
  });

  it('marks its cordon as its own in the request that cordons', async () => {
    const script = scriptsIn((await drain()).plan);
    const patches = script.split('\n').filter((line) => line.includes('patch node'));
    expect(patches[0]).toContain('fleet.k3s/cordoned-by');
    expect(patches[0]).toContain('"unschedulable":true');
  });

  it('of a node that somebody else cordoned claims nothing, and leaves it cordoned afterwards', async () => {
    const { plan, all, view } = await drain({ own: { unschedulable: true } });
    expect(scriptsIn(plan)).not.toContain('"unschedulable"');
    const after = (plan as unknown as { after: { nodes: typeof all.nodes } }).after.nodes;
    const drained = agentIn(after);
    expect(drained).toMatchObject({ unschedulable: true, cordonedByFleet: false, drainedFor: next });
    const uncordon = decided(k3sUncordonStep, { hostName: named('a1'), nodes: after }, view);
    expect(scriptsIn(uncordon)).not.toContain('unschedulable');
    expect(uncordon).toMatchObject({ after: { nodes: expect.anything() } });
    expect(agentIn((uncordon as unknown as { after: { nodes: typeof after } }).after.nodes)).toMatchObject({
      unschedulable: true,
      drainedFor: undefined,
    });
  });

  it.each([
    [{}, ['--ignore-daemonsets', '--timeout=300s', '--delete-emptydir-data'], ['--force']],
    [
      { drain_timeout: 40, drain_force: true, drain_delete_emptydir: false },
      ['--timeout=40s', '--force'],
      ['--delete-emptydir-data'],
    ],
  ])('is asked for as %j says', async (vars, has, hasNot) => {
    const words = scriptsIn((await drain({ vars })).plan).split(/\s+/);
    for (const word of has) expect(words).toContain(word);
    for (const word of hasNot) expect(words).not.toContain(word);
  });

  it('is sh that a shell can read', async () => {
    const { status, stderr } = spawnSync('sh', ['-n'], { input: scriptsIn((await drain()).plan) });
    expect(String(stderr)).toBe('');
    expect(status).toBe(0);
  });

  function agentIn(nodes: ReadonlyMap<string, K3sNodes>): K3sNode | undefined {
    const first = nodes.get('s1');
    return first !== undefined && 'nodes' in first
      ? first.nodes.find(({ name }) => name === 'a1')
      : undefined;
  }
});

describe('uncordoning', () => {
  const uncordon = async (own: Partial<K3sNode>) => {
    const view = (await nodesOf({ agents: ['a1'] }))('a1');
    return decided(
      k3sUncordonStep,
      { hostName: named('a1'), nodes: new Map([['s1', told(node('s1'), agent('a1', own))]]) },
      view,
    );
  };

  it('heals what a broken-off run left', async () => {
    expect(actionsIn(await uncordon({ unschedulable: true, cordonedByFleet: true })).join()).toMatch(
      /uncordon a1/,
    );
  });

  it('leaves alone what somebody else cordoned, and what takes pods', async () => {
    expect((await uncordon({ unschedulable: true })).verdict).toBe('unchanged');
    expect((await uncordon({})).verdict).toBe('unchanged');
  });
});

describe('what runs well', () => {
  const kept: Kept = { version: old, invocation: 'before', differs: [] };
  const keep = async (service: InUse, found: Kept | undefined) =>
    decided(k3sKeepStep, { service, kept: found }, (await nodesOf())('s1'));

  it('is kept once, and again when it has started with something else', async () => {
    const restarted = { ...running, invocation: 'after' };
    expect((await keep(running, undefined)).verdict).toBe('change');
    expect((await keep(running, kept)).verdict).toBe('unchanged');
    expect((await keep(restarted, { ...kept, differs: ['/usr/local/bin/k3s'] })).verdict).toBe('change');
  });

  it('is not given up for a file that was deleted since, which the process that runs still has', async () => {
    const without = { ...kept, differs: ['/etc/systemd/system/k3s.service.env'] };
    expect((await keep(running, without)).verdict).toBe('unchanged');
    expect((await keep({ ...running, invocation: '' }, { ...without, invocation: '' })).verdict).toBe(
      'change',
    );
  });

  it('is not what only lies on the disk', async () => {
    const waiting = { ...running, newerThanStart: ['/etc/rancher/k3s/config.yaml'] };
    expect((await keep(waiting, { ...kept, differs: ['/etc/rancher/k3s/config.yaml'] })).verdict).toBe(
      'unchanged',
    );
    expect((await keep({ ...running, state: 'activating' }, undefined)).verdict).toBe('unchanged');
  });

  it('will be kept anew where a plan foresees a start with other files, and only there', async () => {
    expect((await keep({ ...running, readAnew: ['/usr/local/bin/k3s'] }, kept)).verdict).toBe('change');
    expect((await keep({ ...running, readAnew: [] }, kept)).verdict).toBe('unchanged');
  });
});

describe('putting back', () => {
  const kept: Kept = {
    version: old,
    invocation: 'before',
    differs: ['/usr/local/bin/k3s', '/etc/rancher/k3s/config.yaml'],
  };
  const rollback = async (service: InUse, found: Kept | undefined, ready = false) =>
    decided(
      k3sRollbackStep,
      { service, kept: found, hostName: named('s1'), nodes: new Map([['s1', told(node('s1', { ready }))]]) },
      (await nodesOf())('s1'),
    );
  const dead: InUse = { ...running, state: 'failed', invocation: 'after' };

  it('restarts with what was kept and waits until the node does its part', async () => {
    const plan = await rollback(dead, kept);
    expect(actionsIn(plan).join('\n')).toMatch(
      /put back .*\n.*restart k3s\n.*k3s to start\n.*API of s1.*\n.*a voter/,
    );
    expect(scriptsIn(plan)).toContain('touch "$temporary"');
  });

  it('restarts nothing where the very process that was well still runs', async () => {
    const plan = await rollback({ ...running, newerThanStart: ['/usr/local/bin/k3s'] }, kept);
    expect(actionsIn(plan)).toHaveLength(1);
    expect(scriptsIn(plan)).not.toContain('touch "$temporary"');
  });

  it.each<[string, InUse, Kept | undefined, boolean]>([
    ['nothing was kept', dead, undefined, false],
    ['nothing was changed', dead, { ...kept, differs: [] }, false],
    ['the node is well', { ...running, invocation: 'after' }, kept, true],
  ])('is left out where %s', async (_case, service, found, ready) => {
    expect((await rollback(service, found, ready)).verdict).toBe('unchanged');
  });
});

describe('the end of a failed change', () => {
  const error = {
    code: 'WAIT_TIMED_OUT',
    message: 'waited 9 s for k3s to start',
    fix: 'Look.',
    step: 'k3s_service',
  };
  const failed = async (rollback: unknown) =>
    k3sFailedStep.plan({}, { error, rollback }, (await nodesOf())('s1'));

  it('is the error that it failed with where nothing was put back', async () => {
    for (const rollback of [undefined, {}, { changed: false }, { skipped: true, changed: false }]) {
      expect(await failed(rollback)).toEqual({
        verdict: 'refuse',
        because: error.message,
        fix: error.fix,
        code: error.code,
        origin: { step: 'k3s_service' },
      });
    }
  });

  it('names what was put back, why, and where to look', async () => {
    const refused = await failed({
      changed: true,
      put_back: ['/usr/local/bin/k3s', '/etc/rancher/k3s/config.yaml'],
      version: old,
    });
    expect(refused).toMatchObject({ verdict: 'refuse', code: 'ROLLED_BACK' });
    expect(JSON.stringify(refused)).toMatch(/waited 9 s.*rejected/s);
  });
});

describe('a way back for the data', () => {
  const save = async (
    seen: {
      data?: Partial<ServerData>;
      files?: readonly string[];
      copies?: readonly string[];
      wanted?: string;
    },
    nodes: Nodes = { servers: ['s1', 's2', 's3'] },
  ) => {
    const view = (await nodesOf(nodes))('s1');
    const folder = (names: readonly string[] = []) => ({
      folder: '/snapshots',
      files: names.map((name) => ({ name, sizeBytes: 1, at: new Date(0) })),
    });
    const all = {
      hostName: named('s1'),
      wanted: mustParseVersion(seen.wanted ?? next),
      servers: new Map([['s1', { ...member, ...seen.data }]]),
      nodes: new Map([['s1', told(node('s1'))]]),
      snapshots: new Map([['s2', folder(seen.files)]]),
      copies: folder(seen.copies),
    };
    return { plan: decided(k3sSavedBeforeStep, all, view), all, view };
  };

  it('is a snapshot before another release, once for the cluster', async () => {
    const { plan, all, view } = await save({});
    expect(scriptsIn(plan)).toMatch(/etcd-snapshot save +--name fleet-before-v1\.34\.1-k3s1$/);
    expect(settled(k3sSavedBeforeStep, all, view).verdict).toBe('unchanged');
    expect((await save({ files: ['fleet-before-v1.34.1-k3s1-s2-1'] })).plan.verdict).toBe('unchanged');
    expect((await save({ files: ['fleet-before-v1.34.1-k3s10-s2-1'] })).plan.verdict).toBe('change');
    expect((await save({ wanted: old })).plan.verdict).toBe('unchanged');
  });

  it('is a copy of SQLite before another release, and before it becomes etcd', async () => {
    const sqlite = { datastore: 'sqlite' as const };
    const one = { servers: ['s1'] };
    expect(scriptsIn((await save({ data: sqlite }, one)).plan)).toContain('fleet-before-v1.34.1-k3s1.tar');
    expect((await save({ data: sqlite, wanted: old }, one)).plan.verdict).toBe('unchanged');
    expect(scriptsIn((await save({ data: sqlite, wanted: old })).plan)).toContain('fleet-before-etcd.tar');
    const copied = await save({ data: sqlite, wanted: old, copies: ['fleet-before-etcd.tar'] });
    expect(copied.plan.verdict).toBe('unchanged');
  });

  it('of another database is asked of those whose it is', async () => {
    expect((await save({ data: { datastore: 'external' } })).plan).toMatchObject({
      verdict: 'unchanged',
      warning: { code: 'EXTERNAL_DATASTORE' },
    });
  });

  it('lets k3s go on however the copy ends', async () => {
    const script = scriptsIn((await save({ data: { datastore: 'sqlite' } }, { servers: ['s1'] })).plan);
    expect(script.indexOf('kill -CONT')).toBeLessThan(script.indexOf('kill -STOP'));
    expect(spawnSync('sh', ['-n'], { input: script }).status).toBe(0);
  });
});

describe('a host of the other role', () => {
  const leave = async (on: string, nodes: Nodes, others: readonly K3sNode[], otherRole = true) => {
    const view = (await nodesOf(nodes))(on);
    const servers = (nodes.servers ?? []).filter((name) => name !== on);
    const seen = {
      there: { otherRole },
      service: running,
      data: { datastore: 'none', token: undefined, running: true, hostName: on },
      traces: { serverUninstaller: true, agentUninstaller: false, paths: ['/etc/rancher/k3s'], folders: [] },
      hostName: named(on),
      nodes: new Map(servers.map((name) => [name, told(...others)])),
    };
    return decided(k3sOtherRoleStep, seen, view);
  };

  it('leaves the cluster before k3s is removed from it', async () => {
    const shown = actionsIn(
      await leave('a1', { servers: ['s1', 's2', 's3'], agents: ['a1'] }, [
        node('s1'),
        node('s2'),
        node('s3'),
        node('a1'),
      ]),
    ).join('\n');
    expect(shown).toMatch(
      /drain a1[\s\S]*stop k3s[\s\S]*delete the node a1[\s\S]*k3s-uninstall\.sh[\s\S]*\/etc\/rancher\/k3s/,
    );
  });

  it('is left alone where it is none', async () => {
    expect((await leave('a1', { agents: ['a1'] }, [node('s1')], false)).verdict).toBe('unchanged');
  });

  it.each<[string, readonly K3sNode[]]>([
    ['the quorum would be lost', [node('s1'), node('s2', { ready: false }), node('a1')]],
    ['it is the last server', [agent('s1'), node('a1')]],
  ])('is refused where %s', async (_case, others) => {
    const plan = await leave('a1', { servers: ['s1', 's2'], agents: ['a1'] }, others);
    expect(plan).toMatchObject({ verdict: 'refuse', fix: expect.stringMatching(/old group/) });
  });
});

describe('a cluster that is to be upgraded', () => {
  const upgradable = async (nodes: K3sNodes | undefined) =>
    decided(
      k3sUpgradableStep,
      { wanted: mustParseVersion(next), nodes: new Map([['s1', nodes]]) },
      (await nodesOf())('s1'),
    );

  it('is well', async () => {
    expect((await upgradable(told(node('s1'), agent('a1', { version: 'v1.32.1+k3s1' })))).verdict).toBe(
      'unchanged',
    );
  });

  it.each<[string, K3sNodes | undefined, RegExp]>([
    ['does not answer', undefined, /no server answers/],
    ['has a node that is away', told(node('s1'), agent('a1', { ready: false })), /a1 is NotReady/],
    [
      'has a member that does not vote',
      told(node('s1'), node('s2', { etcdVoter: false })),
      /s2 does not vote/,
    ],
    ['would skip a minor version', told(node('s1', { version: 'v1.32.1+k3s1' })), /skip a minor/],
    ['would go back', told(node('s1', { version: 'v1.35.1+k3s1' })), /cannot go back/],
  ])('is refused where it %s', async (_case, nodes, because) => {
    expect(await upgradable(nodes)).toMatchObject({
      verdict: 'refuse',
      code: 'NOT_UPGRADABLE',
      because: expect.stringMatching(because),
    });
  });
});
