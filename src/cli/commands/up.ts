import { clusterRun, siteVars } from '../cluster-run.ts';
import type { RunCommand } from '../command.ts';
import { driveAsking, drivePlan } from '../drive.ts';
import { exit } from '../exit-codes.ts';
import { listInstead } from '../list-instead.ts';

/** Makes the cluster what the inventory says. */
export const up: RunCommand = async (invocation) => {
  const wanted = await clusterRun(invocation, {
    command: 'up',
    playbook: 'site',
    vars: siteVars(invocation.flags),
  });
  if (listInstead(invocation, wanted.plays)) return exit.ok;
  return invocation.settings.check ? drivePlan(invocation, wanted) : driveAsking(invocation, wanted);
};
