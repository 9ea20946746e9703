import { clusterRun } from '../cluster-run.ts';
import type { RunCommand } from '../command.ts';
import { driveAsking, drivePlan } from '../drive.ts';

/** Takes back what a run that was broken off has left. */
export const repair: RunCommand = async (invocation) => {
  const wanted = await clusterRun(invocation, { command: 'repair', playbook: 'repair' });
  return invocation.settings.check ? drivePlan(invocation, wanted) : driveAsking(invocation, wanted);
};
