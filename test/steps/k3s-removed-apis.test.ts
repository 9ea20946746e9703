import { describe, expect, it } from 'vitest';
import { deprecatedRequests } from '../../src/facts/deprecated-apis.ts';
import { removedFor, replacementOf } from '../../src/k3s/removed-apis.ts';
import { mustParseVersion } from '../../src/k3s/version.ts';
import { k3sRemovedApisStep } from '../../src/steps/k3s-removed-apis.ts';
import { nodesOf } from '../k3s/inventory-of.ts';

const v31 = mustParseVersion('v1.31.5+k3s1');
const v32 = mustParseVersion('v1.32.3+k3s1');

describe('what a release does not serve', () => {
  it.each<[string, string, string | undefined]>([
    ['flowcontrol.apiserver.k8s.io/v1beta3', 'FlowSchema', 'v1.32'],
    ['flowcontrol.apiserver.k8s.io/v1', 'FlowSchema', undefined],
    ['policy/v1beta1', 'PodDisruptionBudget', 'v1.25'],
    ['policy/v1beta1', 'PodSecurityPolicy', 'v1.25'],
    ['extensions/v1beta1', 'Ingress', 'v1.22'],
    ['extensions/v1beta1', 'Deployment', 'v1.16'],
    ['v1', 'Pod', undefined],
    ['example.com/v1beta1', 'CronJob', undefined],
  ])('%s %s: since %s', (apiVersion, kind, since) => {
    const found = removedFor(apiVersion, kind, v32);
    expect(found && `v1.${found.removedIn}`).toBe(since);
  });

  it('but the release before it does', () => {
    expect(removedFor('flowcontrol.apiserver.k8s.io/v1beta3', 'FlowSchema', v31)).toBeUndefined();
  });

  it.each([
    ['policy', 'v1beta1', 'poddisruptionbudgets', 'policy/v1'],
    ['policy', 'v1beta1', 'podsecuritypolicies', undefined],
    ['networking.k8s.io', 'v1beta1', 'ingressclasses', 'networking.k8s.io/v1'],
    ['extensions', 'v1beta1', 'networkpolicies', 'networking.k8s.io/v1'],
    ['autoscaling', 'v2beta2', 'horizontalpodautoscalers', 'autoscaling/v2'],
    ['mine', 'v1', 'things', undefined],
  ])('%s/%s %s: now %s', (group, version, resource, replacement) => {
    expect(replacementOf(group, version, resource)).toBe(replacement);
  });
});

const metrics = `apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",subresource="",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="",removed_release="",resource="componentstatuses",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="later.k8s.io",removed_release="1.37",resource="things",subresource="",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="batch",removed_release="1.25",resource="cronjobs",subresource="",version="v1beta1"} 0
`;
const asked = deprecatedRequests('v1.32').parse({ stdout: metrics, stderr: '', code: 0 });

describe('before an upgrade', () => {
  const decide = async (
    seen: {
      wanted?: typeof v32;
      manifest?: string;
      requests?: ReadonlyMap<string, typeof asked | undefined>;
    },
    allow?: boolean,
  ) => {
    const view = (await nodesOf({ servers: ['s1', 's2', 's3'] }))('s1');
    const local =
      seen.manifest === undefined
        ? []
        : [{ path: '/home/me/things.yaml', content: seen.manifest, sha256: '' }];
    const all = { wanted: seen.wanted ?? v32, local, requests: seen.requests ?? new Map() };
    return k3sRemovedApisStep.plan(all, allow === undefined ? {} : { allow }, view);
  };

  it('requests are counted per API server, and told once, with who was asked and what to use', async () => {
    expect(asked.map(({ resource, removedIn }) => [resource, removedIn])).toEqual([
      ['flowschemas', 32],
      ['things', 37],
    ]);
    const requests = new Map([
      ['s1', asked],
      ['s2', []],
      ['s3', asked],
      ['s4', undefined],
    ]);
    const plan = await decide({ requests });
    expect(plan.verdict).toBe('unchanged');
    expect(plan.verdict === 'unchanged' && plan.warning).toMatchObject({ code: 'REMOVED_API' });
    expect(plan.verdict === 'unchanged' && plan.warning?.message).toBe(
      'v1.32 does not serve APIs that clients have asked for since the servers started: flowcontrol.apiserver.k8s.io/v1beta3 flowschemas, gone since v1.32 (now flowcontrol.apiserver.k8s.io/v1), asked of s1, s3',
    );
    const patch = await decide({ requests, wanted: v31 });
    expect(patch).not.toHaveProperty('warning');
  });

  const manifest = `apiVersion: v1
kind: List
items:
- {apiVersion: policy/v1beta1, kind: PodDisruptionBudget, metadata: {name: keep}}
- {apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: well}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1beta3
kind: FlowSchema
metadata: {name: mine}
`;

  it('manifests of ours that the release cannot apply are refused, each with its object', async () => {
    expect(await decide({ manifest })).toMatchObject({
      verdict: 'refuse',
      code: 'REMOVED_API',
      because:
        'extra_manifests have objects that v1.32 does not serve: things.yaml: PodDisruptionBudget keep is policy/v1beta1, gone since v1.25 (now policy/v1); things.yaml: FlowSchema mine is flowcontrol.apiserver.k8s.io/v1beta3, gone since v1.32 (now flowcontrol.apiserver.k8s.io/v1)',
    });
    expect(await decide({ manifest, wanted: v31 })).toMatchObject({ verdict: 'refuse' });
    expect(await decide({ manifest: manifest.replaceAll(/v1beta\d/g, 'v1') })).toMatchObject({
      verdict: 'unchanged',
    });
    expect(await decide({ manifest }, true)).toMatchObject({
      verdict: 'unchanged',
      warning: { code: 'REMOVED_API' },
    });
  });

  it.each(['', '- just\n- a list', 'a: [', 'text', '{"apiVersion": 1, "kind": null}'])(
    'what is no manifest is for k3s to say: %j',
    async (text) => {
      expect(await decide({ manifest: text })).toMatchObject({ verdict: 'unchanged' });
    },
  );
});
