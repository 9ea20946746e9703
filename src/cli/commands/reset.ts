import { FleetError } from '../../core/errors.ts';
import { count, nameList, oneLine } from '../../ui/wording.ts';
import { clusterRun } from '../cluster-run.ts';
import type { RunCommand } from '../command.ts';
import { driveApply, drivePlan } from '../drive.ts';
import { ask, canAsk } from '../prompt.ts';

/** Removes k3s and all that the cluster held. Only who knows the cluster's name gets that far. */
export const reset: RunCommand = async (invocation) => {
  const { settings, flags, console } = invocation;
  const wanted = await clusterRun(invocation, { command: 'reset', playbook: 'reset' });
  if (settings.check) return drivePlan(invocation, wanted);
  const hosts = [...new Set(wanted.plays.flatMap((play) => play.hosts.map((host) => host.name)))];
  const given = flags.text('confirm');
  if (given === undefined && (settings.yes || !canAsk())) {
    throw new FleetError({
      code: 'NOBODY_TO_ASK',
      message: 'fleet reset destroys a cluster and wants to be told which',
      fix: `Add --yes --confirm ${wanted.clusterName}`,
      blame: 'usage',
    });
  }
  if (given === undefined) {
    console.note(
      `This removes k3s and everything in the cluster from ${count(hosts.length, 'host')}: ${nameList(hosts.map(oneLine), 12)}.`,
    );
  }
  const answer =
    given ?? (await ask(`Type the name of the cluster (${oneLine(wanted.clusterName)}) to go on`));
  if (answer !== wanted.clusterName) {
    throw new FleetError({
      code: 'WRONG_CLUSTER',
      message: `the cluster is called ${JSON.stringify(wanted.clusterName)}, not ${JSON.stringify(answer)}; nothing was changed`,
      fix: 'Check that you named the inventory you meant.',
      blame: 'usage',
    });
  }
  return driveApply(invocation, wanted);
};
