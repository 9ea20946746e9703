import { clusterRun } from '../cluster-run.ts';
import type { RunCommand } from '../command.ts';
import { driveAsking, drivePlan } from '../drive.ts';

/** Stops k3s, agents before servers. */
export const stop: RunCommand = async (invocation) => {
  const wanted = await clusterRun(invocation, {
    command: 'stop',
    playbook: 'stop',
    vars: { stop_pods: invocation.flags.has('pods') },
  });
  return invocation.settings.check
    ? drivePlan(invocation, wanted)
    : driveAsking(invocation, wanted, 'Stop them?');
};
