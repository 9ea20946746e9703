import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type SelinuxPolicy, selinuxPolicy } from '../facts/k3s-selinux-policy.ts';
import { flag, optional, whole } from './arguments.ts';
import { policyReboot, transactionalFault } from './k3s-airgap-selinux.ts';

const args = Type.Object(
  {
    allow_reboot: optional(flag('Whether the host may be rebooted. Default false.')),
    reboot_timeout: optional(
      whole('How long it may take to come back, in seconds. Default 600.', { minimum: 1 }),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly policy: SelinuxPolicy;
}

/** Among the steps of a node that has k3s, since a reboot is one of those things that nodes do one after the other. */
export const k3sPolicyBootStep = defineStep<typeof args, Seen>({
  name: 'k3s_policy_boot',
  summary:
    "Where k3s_airgap_selinux put k3s' SELinux policy into the system of the next boot, the host has been rebooted into it.",
  args,
  examples: ['- k3s_policy_boot: allow_reboot=true\n'],
  look: () => ({ policy: ask(selinuxPolicy) }),
  plan({ policy }, args): Plan<Seen> {
    if (policy.isInNextBoot !== true) return unchanged('no policy waits for the next boot');
    if (policy.mode === 'disabled') return unchanged('SELinux is off');
    if (args.allow_reboot !== true)
      return refuse(transactionalFault, 'Set allow_reboot: true, or reboot the host.');
    const { isInNextBoot: _, ...rest } = policy;
    return change(
      "the system of the next boot has k3s' SELinux policy",
      [policyReboot(args.reboot_timeout)],
      {
        after: { policy: { ...rest, installed: [...policy.installed, 'k3s-selinux'] } },
        touches: 'everything',
      },
    );
  },
});
