import type { AnyStep } from '../engine/step.ts';
import type { Host } from '../inventory/fleet.ts';
import { readArguments } from '../steps/arguments.ts';
import { accessTo } from './access.ts';
import type { Invocation } from './command.ts';
import type { Wanted } from './drive.ts';
import type { OpenedFleet } from './open-fleet.ts';

/** A run of one step on some hosts, without a playbook around it. */
export async function singleStep(
  invocation: Invocation,
  opened: OpenedFleet,
  what: {
    readonly command: string;
    readonly step: AnyStep;
    readonly args: unknown;
    readonly hosts: readonly Host[];
    readonly name?: string;
    readonly runOnce?: boolean;
    readonly become?: boolean;
  },
): Promise<Wanted> {
  const { forks } = invocation.settings;
  const name = what.name ?? what.step.name;
  return {
    command: what.command,
    fleet: opened.fleet,
    plays: [
      {
        name,
        hosts: what.hosts,
        tasks: [
          {
            kind: 'task',
            name,
            step: what.step,
            args: what.args,
            tags: [],
            when: [],
            vars: {},
            ignoreErrors: false,
            notify: [],
            listen: [],
            runOnce: what.runOnce ?? false,
            environment: {},
            noLog: false,
            searchPath: [process.cwd()],
            ...(what.become === true ? { become: { enabled: true } } : {}),
          },
        ],
        handlers: [],
        vars: {},
        serial: [],
        anyErrorsFatal: false,
      },
    ],
    open: await accessTo(opened, invocation),
    checkArgs: (step, args, where) => readArguments(step, args, where),
    extraVars: opened.extraVars,
    decrypt: opened.decrypt,
    ...(forks === undefined ? {} : { forks }),
  };
}
