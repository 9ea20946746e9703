import { dirname, resolve } from 'node:path';
import { clusterWaves } from '../cluster/cluster-waves.ts';
import { FleetError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { type CompiledPlay, compilePlaybook } from '../playbook/compile.ts';
import type { PromptQuestion } from '../playbook/vars-prompt.ts';
import { readArguments } from '../steps/arguments.ts';
import { oneLine } from '../ui/wording.ts';
import { accessTo } from './access.ts';
import type { Invocation } from './command.ts';
import type { Console } from './console.ts';
import type { Wanted } from './drive.ts';
import { Interrupted } from './interrupted.ts';
import { defaultInventory, type OpenedFleet, openFleet } from './open-fleet.ts';
import { ask, askSecret, canAsk, confirm } from './prompt.ts';
import type { Settings } from './settings.ts';
import { stepsHere } from './steps-here.ts';

/** A run of a playbook, ready to be driven. */
export interface PlaybookRun extends Wanted {
  readonly plays: readonly CompiledPlay[];
}

/** Reads the inventory and the playbook, and finds all that is wrong with either before any connection. */
export async function playbookRun(
  invocation: Invocation,
  what: {
    readonly command: string;
    readonly path: string;
    readonly isShipped?: true;
    readonly lockFirst?: readonly string[];
  },
  opened?: OpenedFleet,
): Promise<PlaybookRun> {
  const { settings, flags, console } = invocation;
  const fleet = opened ?? (await openFleet(invocation, { playbook: what.path, needsCluster: false }));
  const startAt = flags.text('startAt');
  const steps = await stepsHere(dirname(resolve(what.path)));
  const plays = await compilePlaybook(what.path, {
    fleet: fleet.fleet,
    scope: fleet.scope,
    steps,
    extraVars: fleet.extraVars,
    tags: settings.tags,
    skipTags: settings.skipTags,
    commandLine: commandLineVariables(settings),
    onWarning: (warning) => {
      // The playbooks that fleet brings name both groups of a cluster, and a cluster may well have no agent.
      if (what.isShipped !== true || warning.code !== 'HOSTS_UNKNOWN') console.warn(warning);
    },
    ...(startAt === undefined ? {} : { startAt }),
    // By name: what `--limit` and `--cluster` leave, whatever pattern said so.
    limit: fleet
      .hostsOf(undefined)
      .map((host) => host.name)
      .join(','),
    decrypt: fleet.decrypt,
    ...(canAsk() ? { prompt: askFor } : {}),
  });
  const tolerateDown = flags.has('tolerateDown');
  const forceBootstrap = flags.has('forceBootstrap');
  const isRolling = plays.some(({ strategy }) => strategy === 'rolling');
  const limit = settings.limit === undefined ? undefined : fleet.hostsOf(undefined).map(({ name }) => name);
  return {
    command: what.command,
    fleet: fleet.fleet,
    plays,
    ...(isRolling
      ? {
          waves: clusterWaves(fleet.fleet, fleet.cluster(), {
            tolerateDown,
            forceBootstrap,
            limit,
            atAnyTime: flags.has('now'),
            clock: () => new Date(),
          }),
        }
      : {}),
    ...(tolerateDown ? { mayBeDown: fleet.cluster().nodes.map(({ name }) => name) } : {}),
    open: await accessTo(fleet, invocation, remoteUsersOf(plays)),
    checkArgs: (step, args, where) => readArguments(step, args, where),
    extraVars: { ...(forceBootstrap ? { force_bootstrap: true } : {}), ...fleet.extraVars },
    decrypt: fleet.decrypt,
    ...(canAsk() && settings.output === 'text'
      ? { confirmPause: (question) => console.aside(() => goesOn(question)) }
      : {}),
    ...(flags.has('step') ? { confirmTask: stepByStep(console) } : {}),
    ...(settings.forks === undefined ? {} : { forks: settings.forks }),
    ...(what.lockFirst === undefined ? {} : { lockFirst: what.lockFirst }),
  };
}

/** What a playbook may read of the command line, by Ansible's names. `ansible_limit` and `ansible_forks` are there where the flag is. */
function commandLineVariables(settings: Settings): Readonly<Record<string, unknown>> {
  const sources = settings.inventory.length > 0 ? settings.inventory : [defaultInventory];
  return {
    ansible_diff_mode: settings.diff,
    ansible_verbosity: settings.verbose ? 1 : 0,
    ansible_inventory_sources: sources.map((source) => (source.includes(',') ? source : resolve(source))),
    // There is none: fleet has flags and variables.
    ansible_config_file: null,
    ...(settings.limit === undefined ? {} : { ansible_limit: settings.limit }),
    ...(settings.forks === undefined ? {} : { ansible_forks: settings.forks }),
  };
}

/** Who logs in on a host is decided once for a run: by the first of its plays that says so. */
function remoteUsersOf(plays: readonly CompiledPlay[]): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  for (const { hosts, remoteUser } of plays) {
    if (remoteUser === undefined) continue;
    for (const { name } of hosts) if (!users.has(name)) users.set(name, remoteUser);
  }
  return users;
}

/** Whether a paused rollout goes on. Ctrl-C at the question is a no: what was done is done, and nothing is at work. */
function goesOn(question: string): Promise<boolean> {
  return confirm(oneLine(question)).catch((thrown: unknown) => {
    if (thrown instanceof Interrupted) return false;
    throw thrown;
  });
}

/** `--step`: no to this one, yes to it, or yes to all that follow. One question at a time, whoever asks. */
function stepByStep(console: Console): (name: string) => Promise<boolean> {
  if (!canAsk()) {
    throw new FleetError({
      code: 'NOBODY_TO_ASK',
      message: '--step asks before each step, and here nobody can answer',
      fix: 'Run it on a terminal, or leave out --step.',
      blame: 'usage',
    });
  }
  let goesOn = false;
  let last: Promise<unknown> = Promise.resolve();
  return (name) => {
    const answered = last.then(async () => {
      if (goesOn) return true;
      const answer = await console.aside(() =>
        ask(`Run ${oneLine(name)}? (N)o, (y)es, (c)ontinue to the end`),
      );
      goesOn = /^c/i.test(answer);
      return goesOn || /^y/i.test(answer);
    });
    last = answered.catch(() => {});
    return answered;
  };
}

/** `vars_prompt`. What is not to be shown is a secret from the start. */
async function askFor(question: PromptQuestion): Promise<string | Secret> {
  if (!question.isPrivate) return ask(question.text, question.byDefault);
  for (;;) {
    const answer = await askSecret(question.text);
    if (!question.confirm || answer === (await askSecret(`${question.text} (again)`)))
      return new Secret(answer);
    process.stderr.write('The two differ.\n');
  }
}
