import { FleetError } from '../../core/errors.ts';
import type { AnyStep } from '../../engine/step.ts';
import { nearest } from '../../playbook/nearest.ts';
import type { StepLibrary } from '../../playbook/step-library.ts';
import { checkArguments } from '../../steps/arguments.ts';
import { AdhocRenderer } from '../../ui/adhoc.ts';
import type { Invocation, RunCommand } from '../command.ts';
import { driveApply, drivePlan } from '../drive.ts';
import { exit } from '../exit-codes.ts';
import { openFleet } from '../open-fleet.ts';
import { singleStep } from '../single-step.ts';
import { stepsHere } from '../steps-here.ts';

/** Runs one command, or one step, on the hosts of a pattern. */
export const run: RunCommand = async (invocation) => {
  const { settings, flags, console } = invocation;
  const { step, args } = wantedStep(invocation, await stepsHere());
  const faults = checkArguments(step, args);
  if (faults.length > 0) {
    console.errors(faults);
    return exit.usage;
  }
  const opened = await openFleet(invocation, { needsCluster: false });
  const hosts = opened.hostsOf(invocation.arguments[0]);
  const wanted = await singleStep(invocation, opened, {
    command: 'run',
    step,
    args,
    hosts,
    become: flags.has('become'),
  });
  if (settings.check) return drivePlan(invocation, wanted);
  if (settings.output === 'json') return driveApply(invocation, wanted);
  const { out, err, outPalette, errPalette } = console;
  return driveApply(
    invocation,
    wanted,
    new AdhocRenderer({ out, err, outPalette, errPalette, isOneHost: hosts.length === 1 }),
  );
};

/** `-- CMD` is the shell step; `-m STEP -a ARGS` any other. */
function wantedStep(
  { trailing, flags }: Invocation,
  { allSteps, stepNamed }: StepLibrary,
): { step: AnyStep; args: unknown } {
  const module = flags.text('module');
  const given = flags.text('args');
  if (trailing !== undefined && (module !== undefined || given !== undefined)) {
    throw new FleetError({
      code: 'USAGE',
      message: 'fleet run takes a command after --, or a step with -m and -a, not both',
      fix: 'Leave one of them out.',
      blame: 'usage',
    });
  }
  const name = module ?? 'shell';
  const step = stepNamed(name);
  if (step === undefined) {
    const near = nearest(
      name,
      allSteps.map((one) => one.name),
    );
    throw new FleetError({
      code: 'STEP_UNKNOWN',
      message: `there is no step ${JSON.stringify(name)}`,
      fix: near === undefined ? 'See `fleet doc` for all of them.' : `Did you mean ${near}?`,
      blame: 'usage',
    });
  }
  // A shell of ours took the words apart; joined again they are the command line that the hosts' shells read.
  const args = trailing === undefined ? given : { cmd: trailing.join(' ') };
  if (name === 'shell' && (args === undefined || trailing?.length === 0)) {
    throw new FleetError({
      code: 'MISSING_ARGUMENT',
      message: 'fleet run needs a command',
      fix: 'Write it after --: `fleet run server -- uptime`.',
      blame: 'usage',
    });
  }
  return { step, args };
}
