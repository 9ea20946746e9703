import { FleetError } from '../../core/errors.ts';
import { serverKubeconfig } from '../../facts/k3s-kubeconfig.ts';
import { entryFromK3s, mergeKubeconfig } from '../../k3s/kubeconfig.ts';
import { k3sKubeconfigStep } from '../../steps/k3s-kubeconfig.ts';
import { endpointUrl, k3sNode } from '../../steps/k3s-node.ts';
import { accessTo } from '../access.ts';
import { askHosts, asRoot } from '../ask-hosts.ts';
import type { Invocation, RunCommand } from '../command.ts';
import { driveApply, drivePlan } from '../drive.ts';
import { exit } from '../exit-codes.ts';
import { type OpenedFleet, openFleet, viewOf } from '../open-fleet.ts';
import { singleStep } from '../single-step.ts';

/** Merges the cluster's kubeconfig into the user's, or prints it. */
export const kubeconfig: RunCommand = async (invocation) => {
  const opened = await openFleet(invocation, { needsCluster: true });
  if (invocation.flags.has('print')) {
    invocation.console.revealed(await printed(invocation, opened));
    return exit.ok;
  }
  const wanted = await singleStep(invocation, opened, {
    command: 'kubeconfig',
    name: 'Merge the kubeconfig',
    step: k3sKubeconfigStep,
    args: {},
    hosts: opened.cluster().servers,
    runOnce: true,
    become: true,
  });
  return invocation.settings.check ? drivePlan(invocation, wanted) : driveApply(invocation, wanted);
};

/** The kubeconfig as the first server that has one tells it, named and addressed as in the inventory. */
async function printed(invocation: Invocation, opened: OpenedFleet): Promise<string> {
  const { servers } = opened.cluster();
  const answers = await askHosts(
    await accessTo(opened, invocation),
    new Map(servers.map((host) => [host.name, [serverKubeconfig]])),
    asRoot,
  );
  const answer = answers.find((one) => one.of(serverKubeconfig) !== undefined);
  const host = servers.find(({ name }) => name === answer?.host);
  const text = answer?.of(serverKubeconfig);
  if (host === undefined || text === undefined) {
    const failed = answers.find((one) => one.failed !== undefined)?.failed;
    throw (
      failed ??
      new FleetError({
        code: 'NO_KUBECONFIG',
        message: 'no server has a kubeconfig yet',
        fix: 'Bring the servers up first: fleet up.',
      })
    );
  }
  const node = k3sNode(viewOf(host, opened.fleet));
  const entry = entryFromK3s(text.reveal(), node.settings.clusterContext, endpointUrl(node));
  if (entry === undefined) {
    throw new FleetError({
      code: 'NO_KUBECONFIG',
      message: `the kubeconfig of ${host.name} holds no cluster`,
      fix: 'Look at /etc/rancher/k3s/k3s.yaml there.',
      host: host.name,
    });
  }
  return mergeKubeconfig(undefined, entry);
}
