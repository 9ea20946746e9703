import { Type } from '@sinclair/typebox';
import { raw } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { change, defineStep } from '../engine/step.ts';
import { anything, optional, text, whole } from './arguments.ts';

const args = Type.Object(
  {
    reboot_timeout: optional(
      whole('How long the host may take to come back, in seconds. Default 600.', {
        minimum: 1,
        aliases: ['reboot_timeout_sec'],
      }),
    ),
    msg: optional(text('Why, as the plan shows it.')),
    pre_reboot_delay: optional(
      whole('Seconds to wait before.', { minimum: 0, aliases: ['pre_reboot_delay_sec'] }),
    ),
    post_reboot_delay: optional(
      whole('Seconds to wait after it is back.', { minimum: 0, aliases: ['post_reboot_delay_sec'] }),
    ),
    test_command: optional(text('A command that must succeed once it is back.')),
    connect_timeout: optional(
      anything('Ignored: fleet keeps asking until reboot_timeout.', { aliases: ['connect_timeout_sec'] }),
    ),
    boot_time_command: optional(anything("Ignored: the kernel's boot id is compared.")),
    search_paths: optional(anything('Ignored.')),
    reboot_command: optional(anything('Ignored: the init system is asked.')),
  },
  { additionalProperties: false },
);

/** Ansible's `reboot`. */
export const rebootStep = defineStep<typeof args, Record<never, never>>({
  name: 'reboot',
  summary: 'The host has been rebooted and answers again, with a new boot id.',
  args,
  examples: [`- reboot: reboot_timeout=300\n  when: cmdline.changed`],
  look: () => ({}),
  plan(_seen, args) {
    const because = args.msg ?? 'a reboot is asked for';
    const deadlineMs = (args.reboot_timeout ?? 600) * 1000;
    const actions: Action[] = [{ kind: 'reboot', because, deadlineMs }];
    if (args.pre_reboot_delay) actions.unshift({ kind: 'pause', durationMs: args.pre_reboot_delay * 1000 });
    if (args.post_reboot_delay) actions.push({ kind: 'pause', durationMs: args.post_reboot_delay * 1000 });
    if (args.test_command !== undefined) {
      actions.push({
        kind: 'run',
        what: `test with ${args.test_command}`,
        script: raw(args.test_command),
        deadlineMs,
      });
    }
    const [first, ...rest] = actions;
    return change(because, [first ?? { kind: 'reboot', because, deadlineMs }, ...rest], {
      imperative: true,
      touches: 'everything',
      result: () => ({ rebooted: true }),
    });
  },
});
