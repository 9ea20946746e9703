import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { AnyStep, HostView } from '../../src/engine/step.ts';
import type { InUse } from '../../src/facts/k3s-in-use.ts';
import type { Installation } from '../../src/facts/k3s-installation.ts';
import type { PendingRestore, RestoreState } from '../../src/facts/k3s-restore-state.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import { k3sRestoreAsideStep } from '../../src/steps/k3s-restore-aside.ts';
import { k3sRestoreBackStep } from '../../src/steps/k3s-restore-back.ts';
import { k3sRestoreBeginStep } from '../../src/steps/k3s-restore-begin.ts';
import { k3sRestoreOverStep } from '../../src/steps/k3s-restore-over.ts';
import { k3sRestoreResetStep } from '../../src/steps/k3s-restore-reset.ts';
import { k3sRestoreStartedStep } from '../../src/steps/k3s-restore-started.ts';
import { k3sRestoreStoppedStep } from '../../src/steps/k3s-restore-stopped.ts';
import { type AnyPlan, type Nodes, nodesOf, scriptsIn } from '../k3s/inventory-of.ts';
import { running as active, member as running, stopped } from '../k3s/seen-of.ts';

const stamp = '20261121-003000';
const snapshot = 'nightly-s1-1';
const data = '/var/lib/rancher/k3s';

const nothing: RestoreState = { pending: undefined, movedAside: [], keptFolders: [] };
const at = (phase: PendingRestore['phase']): RestoreState => ({
  ...nothing,
  pending: { stamp, snapshot, phase },
});
const moved: RestoreState = { ...nothing, movedAside: [stamp] };
const member: ServerData = { ...running, running: false };
const there: Installation = {
  manager: 'systemd',
  envPath: '/etc/systemd/system/k3s.service.env',
  args: ['server'],
  env: new Map(),
  envMode: '0600',
  uninstaller: true,
  otherRole: false,
};

const three: Nodes = { servers: ['s1', 's2', 's3'] };

async function planned(
  step: AnyStep,
  args: object,
  seen: object,
  on = 's1',
  nodes = three,
): Promise<AnyPlan> {
  const host: HostView = (await nodesOf(nodes))(on);
  return step.plan(seen, args, host) as AnyPlan;
}

describe('stopping for a restore', () => {
  const stop = (service: InUse, own: RestoreState, target: RestoreState, on: string) =>
    planned(k3sRestoreStoppedStep, { target: 's1' }, { service, own, target }, on);

  it.each<[string, InUse, RestoreState, RestoreState, string, AnyPlan['verdict']]>([
    ['a server at work', active, nothing, at('begun'), 's2', 'change'],
    ['the server that is set back', active, at('begun'), at('begun'), 's1', 'change'],
    ['one that is stopped', stopped, nothing, at('begun'), 's2', 'unchanged'],
    ['the restored one, in a run that goes on', active, at('reset'), at('reset'), 's1', 'unchanged'],
    ['one that has joined it', active, moved, at('reset'), 's2', 'unchanged'],
    ['one that somebody started with the old database', active, nothing, at('reset'), 's3', 'change'],
    ['one that was moved aside, and runs before the restore', active, moved, at('begun'), 's2', 'change'],
  ])('%s', async (_what, service, own, target, on, verdict) => {
    expect((await stop(service, own, target, on)).verdict).toBe(verdict);
  });
});

describe('a database that is in the way', () => {
  const aside = (state: RestoreState, own: ServerData, service = stopped) =>
    planned(k3sRestoreAsideStep, { stamp }, { service, state, data: own }, 's2');

  it('is moved, never removed, and its snapshots stay where they are', async () => {
    const plan = await aside(nothing, member);
    expect(scriptsIn(plan)).toContain(`mv ${data}/server/db ${data}/server/db-before-restore-${stamp}`);
    expect(scriptsIn(plan)).not.toMatch(/\brm\b/);
  });

  it('ends up aside wherever the move was broken off', async () => {
    for (const broken of [0, 1, 2, 3]) {
      const folder = mkdtempSync(join(tmpdir(), 'fleet-restore-'));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const server = join(folder, 'server');
      mkdirSync(join(server, 'db', 'etcd'), { recursive: true });
      mkdirSync(join(server, 'db', 'snapshots'));
      writeFileSync(join(server, 'db', 'snapshots', 'one'), '');
      // What the script has done by then.
      if (broken > 0) mkdirSync(join(server, 'db.fleet-next'));
      if (broken > 1) renameSync(join(server, 'db', 'snapshots'), join(server, 'db.fleet-next', 'snapshots'));
      if (broken > 2) renameSync(join(server, 'db'), join(server, `db-before-restore-${stamp}`));
      const plan = await planned(
        k3sRestoreAsideStep,
        { stamp },
        { service: stopped, state: nothing, data: member },
        's2',
        { ...three, vars: { k3s_server_location: folder } },
      );
      execFileSync('sh', ['-c', scriptsIn(plan)]);
      expect(readdirSync(server).sort()).toEqual(['db', `db-before-restore-${stamp}`]);
      expect(readdirSync(join(server, 'db'))).toEqual(['snapshots']);
      expect(readdirSync(join(server, 'db', 'snapshots'))).toEqual(['one']);
      expect(readdirSync(join(server, `db-before-restore-${stamp}`))).toEqual(['etcd']);
    }
  });

  it('is not moved twice: what joined the restored cluster since stays', async () => {
    expect((await aside(moved, member)).verdict).toBe('unchanged');
    expect((await aside(nothing, { ...member, datastore: 'none' })).verdict).toBe('unchanged');
  });

  it('is not moved under a k3s that runs', async () => {
    expect(await aside(nothing, member, active)).toMatchObject({
      verdict: 'refuse',
      because: 'k3s is active',
    });
  });
});

describe('setting etcd back', () => {
  const servers = (...others: (ServerData | undefined)[]) =>
    new Map([['s1', member], ...others.map((one, index) => [`s${index + 2}`, one] as const)]);
  const emptied = { ...member, datastore: 'none' as const };
  const seen = (more: object = {}) => ({
    state: at('begun'),
    there,
    service: stopped,
    servers: servers(emptied, emptied),
    fleetConfig: { text: undefined },
    ...more,
  });
  const reset = (more: object = {}, nodes: Nodes = three, args: object = {}) =>
    planned(k3sRestoreResetStep, { snapshot, stamp, ...args }, seen(more), 's1', nodes);

  it('is one run of k3s with the arguments of its unit, and no token in a command line', async () => {
    const script = scriptsIn(await reset());
    expect(script).toContain(
      `k3s server --cluster-reset --cluster-reset-restore-path=${data}/server/db/snapshots/${snapshot} >`,
    );
    expect(script).toContain('set -a; . /etc/systemd/system/k3s.service.env; set +a');
  });

  it('of a server that once joined another asks for no join', async () => {
    const script = scriptsIn(await reset({ fleetConfig: { text: 'server: https://10.0.0.2:6443\n' } }));
    expect(script).toContain('server --server= --cluster-reset');
  });

  it('reads the file, not the object store that the config names; unless it is said to be there', async () => {
    const vars = { server_config_yaml: 'etcd-s3: true\netcd-snapshot-dir: /backup\n' };
    expect(scriptsIn(await reset({}, { ...three, vars }))).toContain(
      `--cluster-reset-restore-path=/backup/${snapshot} --etcd-s3=false`,
    );
    expect(scriptsIn(await reset({}, { ...three, vars }, { stored: true }))).toContain(
      `--cluster-reset-restore-path=${snapshot} >`,
    );
  });

  it('is refused while another server still has the old database: there would be two clusters', async () => {
    expect(await reset({ servers: servers(emptied, member) })).toMatchObject({
      verdict: 'refuse',
      because: expect.stringMatching(/s3 still has the database from before/),
    });
  });

  it('is not done twice', async () => {
    expect((await reset({ state: at('reset') })).verdict).toBe('unchanged');
  });

  it('is refused where nothing has begun, or k3s runs', async () => {
    expect((await reset({ state: nothing })).verdict).toBe('refuse');
    expect((await reset({ service: active })).verdict).toBe('refuse');
  });
});

describe('the beginning', () => {
  const file = { name: snapshot, sizeBytes: 7, at: new Date(0) };
  const begin = (state: RestoreState, files: readonly object[], args: object = {}, local?: object) =>
    planned(
      k3sRestoreBeginStep,
      { snapshot, stamp, ...args },
      { state, there, snapshots: { folder: `${data}/server/db/snapshots`, files }, local },
    );

  it('sends a file that is not there, and only then', async () => {
    const sent = async (files: readonly object[]): Promise<boolean> => {
      const plan = await begin(nothing, files, { file: '/backup/nightly-s1-1' }, { sizeBytes: 7 });
      return plan.verdict === 'change' && plan.actions.some(({ kind }) => kind === 'upload');
    };
    expect([await sent([]), await sent([{ ...file, sizeBytes: 6 }]), await sent([file])]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('is not written again over what was done since', async () => {
    expect((await begin(at('reset'), [file])).verdict).toBe('unchanged');
  });

  it('is refused for a snapshot that nobody has', async () => {
    expect((await begin(nothing, [])).verdict).toBe('refuse');
  });
});

describe('a machine in the place of an older one', () => {
  const started = (service: InUse) =>
    planned(
      k3sRestoreStartedStep,
      {},
      { hostName: { inUse: 'S1', onDisk: 'S1', hasHostnamectl: true }, service },
    );

  it('is let in under its name: the password of the old one is forgotten, where k3s says that it is in the way', async () => {
    const script = scriptsIn(await started(stopped));
    expect(script).toContain('start --no-block k3s');
    expect(script).toContain('delete secret s1.node-password.k3s');
    expect(script.indexOf('Node password rejected')).toBeLessThan(script.indexOf('delete secret'));
  });

  it('is not started twice, and left alone once it runs', async () => {
    expect(scriptsIn(await started({ ...stopped, state: 'activating' }))).not.toContain('start --no-block');
    expect((await started(active)).verdict).toBe('unchanged');
  });
});

describe('fleet up', () => {
  const over = (state: RestoreState) =>
    planned(
      k3sRestoreOverStep,
      {},
      {
        servers: new Map([
          ['s1', state],
          ['s2', undefined],
        ]),
      },
      's2',
    );

  it('waits for nobody while a restore is broken off, and says how it ends', async () => {
    expect(await over(at('begun'))).toMatchObject({
      verdict: 'refuse',
      fix: expect.stringContaining('fleet snapshot restore --back'),
    });
    // From there on the others can join what was restored.
    expect((await over(at('reset'))).verdict).toBe('unchanged');
    expect((await over(nothing)).verdict).toBe('unchanged');
  });
});

describe('going back', () => {
  const back = (state: RestoreState, service = stopped) =>
    planned(k3sRestoreBackStep, { stamp }, { service, state });

  it('is for servers that this restore has touched', async () => {
    expect([
      (await back(moved)).verdict,
      (await back(at('begun'))).verdict,
      (await back(nothing)).verdict,
      (await back(moved, active)).verdict,
    ]).toEqual(['change', 'change', 'unchanged', 'refuse']);
  });
});
