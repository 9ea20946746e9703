import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type CgroupBoot, cgroupBoot } from '../facts/cgroup-boot.ts';
import { flag, optional, whole } from './arguments.ts';

const args = Type.Object(
  {
    allow_reboot: optional(
      flag('Edits the command line of a Raspberry Pi and reboots it. Default false: says what to do.'),
    ),
    reboot_timeout: optional(
      whole('How long it may take to come back, in seconds. Default 600.', { minimum: 1 }),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly boot: CgroupBoot;
}

/** What the kernel of a Raspberry Pi has to be told, for its firmware switches the controller off. */
const flags = ['cgroup_enable=cpuset', 'cgroup_memory=1', 'cgroup_enable=memory'];

/** Without the memory controller k3s starts and then waits for ever. Whether it is there is asked of the kernel, not of a file. */
export const k3sCgroupsStep = defineStep<typeof args, Seen>({
  name: 'k3s_cgroups',
  summary: 'The kernel can limit memory, which kubelets need; a Raspberry Pi is told to, if that is allowed.',
  args,
  examples: ['- k3s_cgroups:\n', '- k3s_cgroups: allow_reboot=true\n'],
  look: () => ({ boot: ask(cgroupBoot) }),
  plan(seen, args): Plan<Seen> {
    const { boot } = seen;
    if (boot.memory) return unchanged('the kernel has the cgroup controller memory');
    const missing = 'the kernel has no cgroup controller memory, which k3s needs';
    const { file } = boot;
    if (file === undefined || boot.line === '') {
      if (boot.ubootScript !== undefined) {
        return refuse(
          missing,
          `Add ${flags.join(' ')} to the bootargs in ${boot.ubootScript}, run mkscr in its folder, and reboot.`,
        );
      }
      return refuse(
        missing,
        `Add ${flags.join(' ')} to the command line of the kernel, in the settings of its boot loader, and reboot.`,
      );
    }
    const line = withFlags(boot.line);
    const isEdited = line === boot.line;
    if (args.allow_reboot !== true) {
      return refuse(
        isEdited ? `${missing}; ${file} asks for it since the last boot` : missing,
        isEdited
          ? 'Reboot the host, or set allow_reboot: true.'
          : `Set allow_reboot: true, or make this the one line of ${file} and reboot: ${line}`,
      );
    }
    const because = `${missing}${isEdited ? ` (${file} asks for it already)` : ''}`;
    const reboot = {
      kind: 'reboot' as const,
      because: 'the kernel must start with the cgroup controller memory',
      deadlineMs: (args.reboot_timeout ?? 600) * 1000,
    };
    if (isEdited) return change(because, [reboot], { touches: 'everything' });
    return change(
      because,
      [
        {
          kind: 'write',
          path: file,
          content: `${line}\n`,
          mode: '0755',
          owner: 'root',
          group: 'root',
          backup: true,
        },
        reboot,
      ],
      {
        diff: [{ subject: file, before: `${boot.line}\n`, after: `${line}\n` }],
        after: { boot: { ...boot, memory: true, line } },
        touches: 'everything',
      },
    );
  },
});

/** The command line with what is missing at its end, and without what says the opposite. */
export function withFlags(line: string): string {
  const words = line.split(/\s+/).filter((word) => word !== '' && word !== 'cgroup_disable=memory');
  return [...words, ...flags.filter((flag) => !words.includes(flag))].join(' ');
}
