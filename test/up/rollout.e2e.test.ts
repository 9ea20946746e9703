import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ofKind } from './fleet-cli.ts';
import { on, serviceStarts } from './lab.ts';
import { startUpgradeLab, type UpgradeLab } from './upgrade-lab.ts';

/** When a rollout may begin, where it pauses, and what it says of APIs that the release takes away. */

const old = 'v1.31.5+k3s1';
/** No longer serves `flowcontrol.apiserver.k8s.io/v1beta3`. */
const next = 'v1.32.3+k3s1';

/** A window by the clock of now: begun, or to begin, some hours from now. */
function window(inHours: number): string {
  const from = new Date(Date.now() + inHours * 3_600_000);
  const until = new Date(from.getTime() + 2 * 3_600_000);
  const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
  const said = (at: Date): string => `${days[at.getUTCDay()]} ${at.toISOString().slice(11, 16)}`;
  return `${said(from)}-${said(until)} UTC`;
}

describe('a server and an agent', () => {
  let lab: UpgradeLab;

  beforeAll(async () => {
    lab = await startUpgradeLab({ servers: 1, agents: 1, user: 'root' }, [old, next]);
    // A cluster that is not there yet is begun at any time.
    await lab.write({ k3s_version: old, maintenance_window: window(12) });
    await lab.cli.up();
  });

  afterAll(async () => {
    await lab?.stop();
  });

  const started = async () =>
    Promise.all(
      lab.nodes.nodes.map(async (node) =>
        Object.entries(await serviceStarts(lab, node)).filter(([name]) => name.startsWith('k3s')),
      ),
    );

  test('a manifest of ours that the release cannot apply is refused before anything is done', async () => {
    const manifest = path.join(lab.nodes.directory, 'flow.yaml');
    await writeFile(
      manifest,
      'apiVersion: flowcontrol.apiserver.k8s.io/v1beta3\nkind: FlowSchema\nmetadata: {name: mine}\n',
    );
    await lab.write({ k3s_version: next, extra_manifests: [manifest] });
    const up = await lab.cli.up({ expect: 1 });
    expect(ofKind(up.events, 'host-failed').map(({ error }) => error.code)).toContain('REMOVED_API');
    expect(ofKind(up.events, 'task-started')).toEqual([]);
    const allowed = await lab.cli.run(['plan', '--output', 'json', '--allow-removed-apis'], { expect: 2 });
    expect(ofKind(allowed.events, 'warning').map(({ code }) => code)).toContain('REMOVED_API');
  });

  test('outside the window nothing is restarted, and the plan says when; who asks for removed APIs is told', async () => {
    const before = await started();
    await on(lab, 'server-1', 'k3s kubectl get flowschemas.v1beta3.flowcontrol.apiserver.k8s.io');
    await lab.write({ k3s_version: next, maintenance_window: window(12) });
    const plan = await lab.cli.plan({ expect: 2 });
    const told = ofKind(plan.events, 'warning');
    expect(told.find(({ code }) => code === 'REMOVED_API')?.message).toMatch(
      /v1\.32 does not serve .*flowcontrol\.apiserver\.k8s\.io\/v1beta3 flowschemas, gone since v1\.32 \(now flowcontrol\.apiserver\.k8s\.io\/v1\), asked of server-1$/,
    );
    expect(told.find(({ code }) => code === 'OUTSIDE_WINDOW')?.fix).toMatch(
      /The next window opens .* UTC \(in 1[12] h/,
    );
    expect(ofKind(plan.events, 'waves-planned')[0]?.waves.map(({ hosts }) => hosts.join())).toEqual([
      'server-1',
      'agent-1',
    ]);
    const up = await lab.cli.up({ expect: 1 });
    expect(ofKind(up.events, 'run-failed')[0]?.error).toMatchObject({ code: 'OUTSIDE_WINDOW' });
    expect(await lab.versions()).toEqual({ 'server-1': old, 'agent-1': old });
    expect(await started()).toEqual(before);
    // The release is there already, for when it is time.
    expect(await on(lab, 'server-1', 'ls /usr/local/bin/.k3s-staged-by-fleet | wc -l')).toBe('1');
  });

  test('inside it the rollout pauses after the servers, and the next run goes on', async () => {
    await lab.write({
      k3s_version: next,
      maintenance_window: window(-1),
      pause_after: { servers: 'ask' },
      drain: false,
    });
    const paused = await lab.cli.up({ expect: 1 });
    expect(ofKind(paused.events, 'wave-paused')).toMatchObject([{ after: 'the servers', number: 1 }]);
    expect(ofKind(paused.events, 'run-failed')[0]?.error).toMatchObject({ code: 'PAUSED' });
    expect(await lab.versions()).toEqual({ 'server-1': next, 'agent-1': old });
    const rest = await lab.cli.up();
    expect(ofKind(rest.events, 'wave-paused')).toEqual([]);
    expect(await lab.versions()).toEqual({ 'server-1': next, 'agent-1': next });
  });

  test('--now does it at any time', async () => {
    await lab.write({
      k3s_version: next,
      maintenance_window: window(12),
      server_config_yaml: 'debug: true\n',
    });
    const before = await started();
    const refused = await lab.cli.up({ expect: 1 });
    expect(ofKind(refused.events, 'run-failed')[0]?.error.message).toMatch(
      /disturbs server-1: what it runs with changes/,
    );
    await lab.cli.up({ args: ['--now'] });
    expect((await started())[0]).not.toEqual(before[0]);
    await lab.cli.plan({ expect: 0 });
  });
});
