import { clusterRun, siteVars } from '../cluster-run.ts';
import type { RunCommand } from '../command.ts';
import { drivePlan } from '../drive.ts';
import { exit } from '../exit-codes.ts';
import { listInstead } from '../list-instead.ts';

/** `up` without acting. */
export const plan: RunCommand = async (invocation) => {
  const wanted = await clusterRun(invocation, {
    command: 'plan',
    playbook: 'site',
    vars: siteVars(invocation.flags),
  });
  return listInstead(invocation, wanted.plays) ? exit.ok : drivePlan(invocation, wanted);
};
