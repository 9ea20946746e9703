import { clusterRun } from '../cluster-run.ts';
import type { RunCommand } from '../command.ts';
import { driveAsking, drivePlan } from '../drive.ts';

/** Reboots the nodes, servers one at a time. */
export const reboot: RunCommand = async (invocation) => {
  const wanted = await clusterRun(invocation, { command: 'reboot', playbook: 'reboot' });
  return invocation.settings.check
    ? drivePlan(invocation, wanted)
    : driveAsking(invocation, wanted, 'Reboot them?');
};
