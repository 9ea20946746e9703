import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { AnyStep } from '../../src/engine/step.ts';
import type { InUse } from '../../src/facts/k3s-in-use.ts';
import type { Installation } from '../../src/facts/k3s-installation.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import { parseVersion } from '../../src/k3s/version.ts';
import { k3sCaRotationStep } from '../../src/steps/k3s-ca-rotation.ts';
import { k3sCaRotationEndStep } from '../../src/steps/k3s-ca-rotation-end.ts';
import { k3sCaRotationOverStep } from '../../src/steps/k3s-ca-rotation-over.ts';
import { k3sEncryptionKeysStep } from '../../src/steps/k3s-encryption-keys.ts';
import { k3sSnapshotStep } from '../../src/steps/k3s-snapshot.ts';
import { k3sTokenHeldStep } from '../../src/steps/k3s-token-held.ts';
import { k3sTokenMovableStep } from '../../src/steps/k3s-token-movable.ts';
import { k3sTokenRotationStep } from '../../src/steps/k3s-token-rotation.ts';
import {
  type AnyPlan,
  actionsIn,
  type Nodes,
  nodesOf,
  scriptsIn,
  shownOf,
  writtenBy,
} from '../k3s/inventory-of.ts';

const env = '/etc/systemd/system/k3s.service.env';
const running: InUse = {
  state: 'active',
  enabled: true,
  needsDaemonReload: false,
  invocation: '1',
  newerThanStart: [],
};
const ca = 'a'.repeat(64);
const full = (password: string, hash = ca): string => `K10${hash}::server:${password}`;
const fresh = 'the-fresh-password';
const old = 'the-old-password';

function source(password: string, more: Partial<ServerData> = {}): ServerData {
  return { datastore: 'etcd', token: new Secret(full(password)), running: true, hostName: 's1', ...more };
}

function installed(variables: Readonly<Record<string, string>>): Installation {
  return {
    manager: 'systemd',
    envPath: env,
    args: ['server'],
    env: new Map(Object.entries(variables).map(([name, value]) => [name, new Secret(value)])),
    envMode: '0600',
    uninstaller: true,
    otherRole: false,
  };
}

async function planned(
  step: AnyStep,
  args: object,
  seen: object,
  on = 's1',
  nodes: Nodes = {},
): Promise<AnyPlan> {
  return step.plan(
    seen,
    args,
    (await nodesOf({ servers: ['s1', 's2'], agents: ['a1'], ...nodes }))(on),
  ) as AnyPlan;
}

describe('the token that a node holds', () => {
  const held = (
    variables: Readonly<Record<string, string>>,
    { on = 's2', nodes = {}, from = source(fresh), file = undefined as Secret | undefined, args = {} } = {},
  ) =>
    planned(
      k3sTokenHeldStep,
      { from: 's1', ...args },
      { there: installed(variables), inUse: running, source: from, file },
      on,
      nodes,
    );

  it('is replaced where it is another; everything else in the file stays', async () => {
    const plan = await held({ K3S_TOKEN: full(old), HTTPS_PROXY: 'http://proxy:3128' });
    expect(writtenBy(plan, env)).toEqual({
      text: `HTTPS_PROXY=http://proxy:3128\nK3S_TOKEN=${full(fresh)}\n`,
      mode: '0600 root:root',
    });
    expect(shownOf(plan)).not.toContain(fresh);
  });

  it.each<[string, Readonly<Record<string, string>>, object, AnyPlan['verdict']]>([
    ['the same in the short form', { K3S_TOKEN: fresh }, {}, 'unchanged'],
    ['the same password of another CA', { K3S_TOKEN: full(fresh, 'b'.repeat(64)) }, {}, 'change'],
    ['none on a server that joined', {}, {}, 'change'],
    ['none on the server that made it, which keeps it itself', {}, { on: 's1' }, 'unchanged'],
    ['an agent with the old one', { K3S_TOKEN: full(old) }, { on: 'a1' }, 'change'],
  ])('%s', async (_what, variables, more, verdict) => {
    expect((await held(variables, more)).verdict).toBe(verdict);
  });

  it('of an agent may be the agent-token, which a rotation does not change', async () => {
    const from = source(fresh, { agentToken: new Secret(`K10${ca}::node:for-agents`) });
    expect((await held({ K3S_TOKEN: 'for-agents' }, { on: 'a1', from })).verdict).toBe('unchanged');
    const plan = await held({ K3S_TOKEN: full(old) }, { on: 'a1', from });
    expect(writtenBy(plan, env).text).toContain('::node:for-agents');
  });

  it('in the file of `token-file` is replaced there', async () => {
    const nodes = { vars: { server_config_yaml: 'token-file: /etc/k3s-token\n' } };
    const plan = await held({}, { nodes, file: new Secret(old) });
    expect(writtenBy(plan, '/etc/k3s-token')).toEqual({ text: `${full(fresh)}\n`, mode: '0600 root:root' });
    expect((await held({}, { nodes, file: new Secret(fresh) })).verdict).toBe('unchanged');
  });

  it('in the user’s own config is his to change', async () => {
    const nodes = { vars: { server_config_yaml: `token: ${old}\n` } };
    expect(await held({}, { nodes })).toMatchObject({
      verdict: 'refuse',
      because: expect.stringMatching(/server_config_yaml/),
    });
  });

  it('of a snapshot is set before any server has it', async () => {
    const plan = await held({ K3S_TOKEN: fresh }, { on: 's1', args: { token: new Secret(full(old)) } });
    expect(writtenBy(plan, env).text).toBe(`K3S_TOKEN=${full(old)}\n`);
  });
});

describe('a new token', () => {
  const rotation = (state: string, service = running) =>
    planned(k3sTokenRotationStep, {}, { data: source(old), service, rotation: state });

  it('is made by k3s: none stands in a command line, nor in the plan', async () => {
    const script = scriptsIn(await rotation('none'));
    expect(script).toContain('/usr/local/bin/k3s token rotate  ');
    expect(script).not.toContain('--new-token');
    expect(script).not.toContain(old);
  });

  it('is made once: a run that comes back hands out the one that is there', async () => {
    expect((await rotation('rotated')).verdict).toBe('unchanged');
    expect((await rotation('begun')).verdict).toBe('change');
  });

  it('is not asked of a server that does not run', async () => {
    expect((await rotation('none', { ...running, state: 'inactive' })).verdict).toBe('refuse');
  });
});

describe('new authorities', () => {
  const rotation = (state: string, service = running) =>
    planned(k3sCaRotationStep, {}, { service, rotation: state, own: undefined });

  it('are made and loaded, and loaded alone where a run was broken off between the two', async () => {
    expect(actionsIn(await rotation('none'))).toEqual([
      expect.stringContaining('make new authorities'),
      expect.stringContaining('put them into the datastore'),
    ]);
    expect(actionsIn(await rotation('made'))).toEqual([
      expect.stringContaining('put them into the datastore'),
    ]);
    expect((await rotation('loaded')).verdict).toBe('unchanged');
  });

  it('are checked by k3s against the old ones: it is never forced', async () => {
    const script = scriptsIn(await rotation('none'));
    expect(script).toContain('certificate rotate-ca');
    expect(script).not.toContain('--force');
    expect(script).toMatch(/^umask 077; set -e/);
  });

  it('are not asked of a server that does not run', async () => {
    expect((await rotation('none', { ...running, state: 'inactive' })).verdict).toBe('refuse');
  });

  it('keep everything else waiting until every node has them', async () => {
    const over = (state: string) => planned(k3sCaRotationOverStep, {}, { servers: new Map([['s1', state]]) });
    expect((await over('none')).verdict).toBe('unchanged');
    expect((await over('made')).verdict).toBe('unchanged');
    expect(await over('loaded')).toMatchObject({ verdict: 'refuse', code: 'CA_ROTATION_BROKEN_OFF' });
  });

  it('are not begun where a node keeps a full token in a place of its own: it would name the old ones', async () => {
    const movable = async (written: string) => {
      const view = (await nodesOf({ vars: { server_config_yaml: `token: ${written}\n` } }))('s1');
      const seen = { config: { text: undefined, sha256: undefined }, source: source(old), rotation: 'none' };
      return k3sTokenMovableStep.plan(seen as never, { from: 's1', full: true }, view);
    };
    expect((await movable(full(old))).verdict).toBe('refuse');
    expect((await movable(old)).verdict).toBe('unchanged');
  });

  it('leave no key behind once every node has them', async () => {
    expect((await planned(k3sCaRotationEndStep, {}, { rotation: 'none' })).verdict).toBe('unchanged');
    const plan = await planned(k3sCaRotationEndStep, {}, { rotation: 'loaded' });
    expect(plan).toMatchObject({
      actions: [{ kind: 'remove', path: '/var/lib/rancher/k3s/server/fleet-ca-rotation', recursive: true }],
    });
  });
});

describe('a new encryption key', () => {
  const keys = (status: object, version = 'v1.33.4+k3s1') =>
    planned(
      k3sEncryptionKeysStep,
      {},
      { status, installed: { machine: 'x86_64', version: parseVersion(version), broken: undefined } },
    );
  const ready = { enabled: true, stage: 'start', activeKey: 'one', hashesMatch: true };

  it.each<[string, object, AnyPlan['verdict']]>([
    ['a cluster that encrypts', ready, 'change'],
    ['once more', { ...ready, stage: 'reencrypt_finished' }, 'change'],
    [
      'servers that still wait for their restart',
      { ...ready, stage: 'reencrypt_finished', hashesMatch: false },
      'unchanged',
    ],
    ['a cluster that does not encrypt', { ...ready, enabled: false }, 'refuse'],
    ['a rotation that somebody began the old way', { ...ready, stage: 'prepare' }, 'refuse'],
    ['k3s that does not tell', { unavailable: 'refused' }, 'refuse'],
  ])('%s', async (_what, status, verdict) => {
    expect((await keys(status)).verdict).toBe(verdict);
  });

  it('that is being spread is waited for, not followed by another one', async () => {
    expect(actionsIn(await keys({ ...ready, stage: 'reencrypt_active' }))).toEqual([
      expect.stringMatching(/^wait .* all Secrets to be encrypted anew$/),
    ]);
  });

  it('is refused for releases that need the old way', async () => {
    expect((await keys(ready, 'v1.29.9+k3s1')).verdict).toBe('refuse');
  });
});

describe('a snapshot', () => {
  const save = (datastore: ServerData['datastore'], required?: boolean) =>
    planned(
      k3sSnapshotStep,
      { name: 'nightly', ...(required === undefined ? {} : { required }) },
      { data: { ...source(old), datastore }, api: true },
    );

  it('is one of etcd; other datastores are told what to do instead', async () => {
    expect(scriptsIn(await save('etcd'))).toContain('k3s etcd-snapshot save  --name nightly');
    expect(await save('sqlite')).toMatchObject({
      verdict: 'refuse',
      fix: expect.stringMatching(/server\/db and server\/token/),
    });
    expect(await save('external')).toMatchObject({
      verdict: 'refuse',
      fix: expect.stringMatching(/tools of that database/),
    });
  });

  it('before something else is left out where there can be none', async () => {
    expect((await save('sqlite', false)).verdict).toBe('unchanged');
  });
});
