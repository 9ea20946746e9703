import { count, nameList, oneLine } from '../../ui/wording.ts';
import { clusterRun } from '../cluster-run.ts';
import type { RunCommand } from '../command.ts';
import { confirmCluster } from '../confirm-cluster.ts';
import { driveApply, drivePlan } from '../drive.ts';

/** Removes k3s and all that the cluster held. Only who knows the cluster's name gets that far. */
export const reset: RunCommand = async (invocation) => {
  const wanted = await clusterRun(invocation, { command: 'reset', playbook: 'reset' });
  if (invocation.settings.check) return drivePlan(invocation, wanted);
  const hosts = [...new Set(wanted.plays.flatMap((play) => play.hosts.map((host) => host.name)))];
  await confirmCluster(
    invocation,
    wanted.clusterName,
    'fleet reset destroys a cluster',
    `This removes k3s and everything in the cluster from ${count(hosts.length, 'host')}: ${nameList(hosts.map(oneLine), 12)}.`,
  );
  return driveApply(invocation, wanted);
};
