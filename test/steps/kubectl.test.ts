import { describe, expect, test } from 'vitest';
import { parseObjects, parseObjectsDiff } from '../../src/facts/kubernetes.ts';
import { objectReady } from '../../src/k3s/object-readiness.ts';
import { stepNamed } from '../../src/steps/registry.ts';
import { harnessOf } from '../../src/steps/step-harness.ts';

function step(name: string) {
  const found = stepNamed(name);
  if (found === undefined) throw new Error(name);
  return harnessOf(found);
}

const kubectl = step('kubernetes.core.k8s');
const info = step('k8s_info');
const definition = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data: { a: "it's" } };
const same = { kind: 'same' };
const deployment = (availableReplicas: number) => ({
  kind: 'Deployment',
  metadata: { name: 'web', generation: 2 },
  spec: { replicas: 2 },
  status: { observedGeneration: 2, updatedReplicas: 2, availableReplicas },
});

describe('kubectl', () => {
  test('asks the server for the difference, with the objects on standard input', () => {
    const { diff } = kubectl.questions({ definition, namespace: 'web' });
    expect(diff?.script).toContain(
      '/usr/local/bin/k3s kubectl --cache-dir=/run/k3s/fleet-kubectl diff -n web -f -',
    );
    expect(diff?.script).toMatch(/^printf %s '\{"apiVersion"/);
    expect(kubectl.questions({ src: '/srv/app.yaml' }).now?.script).toBe(
      '/usr/local/bin/k3s kubectl --cache-dir=/run/k3s/fleet-kubectl get --ignore-not-found -o json  -f /srv/app.yaml',
    );
  });

  test('applies what differs, and nothing else', () => {
    expect(kubectl.plan({ definition }, { diff: same, now: { objects: [definition] } })).toMatchObject({
      verdict: 'unchanged',
    });
    const diff = {
      kind: 'different',
      diff: 'diff -u a b\n--- a\n+++ b\n@@ -1 +1 @@\n kind: X\n-a: 1\n+a: 2\n',
    };
    expect(kubectl.plan({ definition }, { diff, now: { objects: [definition] } })).toMatchObject({
      verdict: 'change',
      diff: [{ before: 'kind: X\na: 1\n', after: 'kind: X\na: 2\n' }],
      actions: [{ kind: 'run', what: 'kubectl apply' }],
    });
  });

  test('waits for what is not ready, which is no change', () => {
    const now = { objects: [deployment(1)] };
    expect(kubectl.plan({ definition, wait: true }, { diff: same, now })).toMatchObject({
      verdict: 'change',
      changesNothing: true,
      because: 'Deployment web: 1 of 2 replicas are ready',
      actions: [{ kind: 'wait', deadlineMs: 120_000 }],
    });
    expect(
      kubectl.plan({ definition, wait: true }, { diff: same, now: { objects: [deployment(2)] } }),
    ).toMatchObject({ verdict: 'unchanged' });
  });

  test('removes what is there', () => {
    const absent = { kind: 'Namespace', name: 'web', state: 'absent' };
    expect(kubectl.plan(absent, { diff: same, now: { objects: [] } })).toMatchObject({
      verdict: 'unchanged',
    });
    expect(
      kubectl.plan(absent, {
        diff: same,
        now: { objects: [{ kind: 'Namespace', metadata: { name: 'web' } }] },
      }),
    ).toMatchObject({ because: 'Namespace web is there', actions: [{ kind: 'run' }] });
  });

  test('refuses what the server refuses, and arguments that say two things', () => {
    const now = { objects: [] };
    const error = { kind: 'error', message: 'no matches for kind "Foo"' };
    expect(kubectl.plan({ definition }, { diff: error, now })).toMatchObject({
      verdict: 'refuse',
      because: 'the server refuses the objects: no matches for kind "Foo"',
    });
    expect(kubectl.plan({ definition, src: '/x' }, { diff: same, now })).toMatchObject({ verdict: 'refuse' });
    expect(kubectl.plan({ kind: 'Pod' }, { diff: same, now })).toMatchObject({ because: 'name is missing' });
  });

  test.each([
    [{ code: 0, stdout: '', stderr: '' }, { kind: 'same' }],
    [
      { code: 1, stdout: '-a\n+b\n', stderr: '' },
      { kind: 'different', diff: '-a\n+b\n' },
    ],
    [
      { code: 1, stdout: '', stderr: 'Error from server (NotFound): namespaces "web" not found\n' },
      { kind: 'different', diff: '' },
    ],
    [
      { code: 1, stdout: '', stderr: 'error: no such kind\n' },
      { kind: 'error', message: 'error: no such kind' },
    ],
  ])('reads how kubectl diff ended: %j', (answer, expected) => {
    expect(parseObjectsDiff(answer)).toEqual(expected);
  });
});

describe('k8s_info', () => {
  test('asks for kinds by version and group, names, labels and fields', () => {
    const asked = {
      kind: 'Deployment',
      api_version: 'apps/v1',
      namespace: 'web',
      label_selectors: ['a=b', 'c'],
    };
    expect(info.questions(asked).found?.script).toContain('Deployment.v1.apps -n web -l a=b,c');
    expect(info.questions({ kind: 'Pod' }).found?.script).toContain('Pod --all-namespaces');
  });

  test('gives resources', () => {
    const found = parseObjects({ code: 0, stdout: '{"kind":"List","items":[{"kind":"Pod"}]}', stderr: '' });
    expect(info.plan({ kind: 'Pod' }, { found })).toMatchObject({
      verdict: 'unchanged',
      result: { resources: [{ kind: 'Pod' }] },
    });
    expect(info.plan({ kind: 'Pod', name: 'x', wait: true }, { found: { objects: [] } })).toMatchObject({
      because: 'there is no Pod x',
      changesNothing: true,
    });
  });
});

test.each([
  [{ kind: 'Pod', status: { phase: 'Succeeded' } }, true],
  [{ kind: 'Pod', metadata: { name: 'p' } }, 'Pod p has no condition Ready'],
  [{ kind: 'Job', status: { conditions: [{ type: 'Complete', status: 'True' }] } }, true],
  [
    {
      kind: 'DaemonSet',
      metadata: { name: 'd' },
      status: { desiredNumberScheduled: 3, updatedNumberScheduled: 1 },
    },
    'DaemonSet d: 1 of 3 nodes are updated',
  ],
  [{ kind: 'ConfigMap' }, true],
])('%j is ready: %s', (object, expected) => {
  expect(objectReady(object)).toBe(expected);
});
