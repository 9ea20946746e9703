import { clusterRun } from '../cluster-run.ts';
import type { RunCommand } from '../command.ts';
import { driveApply, drivePlan } from '../drive.ts';

/** Starts k3s where it is stopped, all servers together. It takes nothing away, so nothing is asked. */
export const start: RunCommand = async (invocation) => {
  const wanted = await clusterRun(invocation, { command: 'start', playbook: 'start' });
  return invocation.settings.check ? drivePlan(invocation, wanted) : driveApply(invocation, wanted);
};
