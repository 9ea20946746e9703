import { clusterRun } from '../cluster-run.ts';
import type { RunCommand } from '../command.ts';
import { driveAsking, drivePlan } from '../drive.ts';

/** Restarts k3s, servers one at a time. */
export const restart: RunCommand = async (invocation) => {
  const wanted = await clusterRun(invocation, { command: 'restart', playbook: 'restart' });
  return invocation.settings.check
    ? drivePlan(invocation, wanted)
    : driveAsking(invocation, wanted, 'Restart them?');
};
