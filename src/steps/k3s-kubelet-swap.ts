import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type HostFacts, hostFacts } from '../facts/host.ts';
import { configFolder } from '../k3s/paths.ts';
import { k3sNode } from './k3s-node.ts';
import { type LandingSite, landFile, siteQuestions } from './landed-file.ts';

/** The kubelet's own configuration, which `config.yaml.d/90-fleet.yaml` names where pods may swap. */
export const kubeletSwapPath = posix.join(configFolder, 'fleet-kubelet.yaml');

const content = `# Written by fleet (swap: limited): burstable pods may swap in proportion to the memory that they ask for.
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failSwapOn: false
memorySwap:
  swapBehavior: LimitedSwap
`;

type Seen = LandingSite & { readonly facts: HostFacts };

/** @see https://kubernetes.io/docs/concepts/cluster-administration/swap-memory-management/ */
export const k3sKubeletSwapStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_kubelet_swap',
  summary:
    'With `swap: limited` there is a kubelet configuration that lets burstable pods swap; else there is none.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_kubelet_swap:\n'],
  look: () => ({ facts: ask(hostFacts), ...siteQuestions(kubeletSwapPath) }),
  plan(seen, _args, host): Plan<Seen> {
    if (!k3sNode(host).settings.swapLimited) {
      if (seen.file.self === undefined) return unchanged('swap is not limited');
      return change('swap is limited no more', [{ kind: 'remove', path: kubeletSwapPath }], {
        diff: [{ subject: kubeletSwapPath, before: seen.content.text, after: undefined }],
        touches: ['file:*', 'content:*'],
      });
    }
    if (seen.facts.cgroupVersion === 1) {
      return refuse(
        'swap: limited needs cgroup v2, and the host has v1',
        'Boot it with systemd.unified_cgroup_hierarchy=1, or set swap: off.',
      );
    }
    return landFile(seen, {
      path: kubeletSwapPath,
      content,
      mode: '0644',
      owner: 'root',
      group: 'root',
      makeParents: true,
    });
  },
});
