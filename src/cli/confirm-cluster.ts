import { FleetError } from '../core/errors.ts';
import { oneLine } from '../ui/wording.ts';
import type { Invocation } from './command.ts';
import { ask, canAsk } from './prompt.ts';

/**
 * Asks for the name of the cluster: only who knows which one it is gets on.
 * @param what what fleet is about to do, for who is not asked: `fleet reset destroys a cluster`
 * @param warning said before the question
 * @throws FleetError NOBODY_TO_ASK or WRONG_CLUSTER
 */
export async function confirmCluster(
  { settings, flags, console }: Invocation,
  clusterName: string,
  what: string,
  warning: string,
): Promise<void> {
  const given = flags.text('confirm');
  if (given === undefined && (settings.yes || !canAsk())) {
    throw new FleetError({
      code: 'NOBODY_TO_ASK',
      message: `${what} and wants to be told which`,
      fix: `Add --yes --confirm ${clusterName}`,
      blame: 'usage',
    });
  }
  if (given === undefined) console.note(warning);
  const answer = given ?? (await ask(`Type the name of the cluster (${oneLine(clusterName)}) to go on`));
  if (answer !== clusterName) {
    throw new FleetError({
      code: 'WRONG_CLUSTER',
      message: `the cluster is called ${JSON.stringify(clusterName)}, not ${JSON.stringify(answer)}; nothing was changed`,
      fix: 'Check that you named the inventory you meant.',
      blame: 'usage',
    });
  }
}
