import { bundledPlaybook } from '../../playbook/bundled.ts';
import { isFile } from '../../playbook/files.ts';
import type { RunCommand } from '../command.ts';
import { driveApply, drivePlan } from '../drive.ts';
import { exit } from '../exit-codes.ts';
import { listInstead } from '../list-instead.ts';
import { playbookRun } from '../playbook-run.ts';

/** The one playbook that the package brings and no command runs. */
const bundled = 'system-upgrade.yml';

/** Runs a playbook of the user's own. Who names a playbook wants it run, as with Ansible: nothing is asked. */
export const play: RunCommand = async (invocation) => {
  const [file = ''] = invocation.arguments;
  const isOurs = file === bundled && !isFile(file);
  const wanted = await playbookRun(invocation, {
    command: 'play',
    path: isOurs ? bundledPlaybook(bundled) : file,
  });
  if (listInstead(invocation, wanted.plays)) return exit.ok;
  return invocation.settings.check ? drivePlan(invocation, wanted) : driveApply(invocation, wanted);
};
