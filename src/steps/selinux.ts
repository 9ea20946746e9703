import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, type Diff, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type SelinuxState, selinuxState } from '../facts/selinux.ts';
import { anything, choice, optional, text } from './arguments.ts';
import { type LandingSite, landFile, siteQuestions } from './landed-file.ts';

const args = Type.Object(
  {
    state: optional(
      choice(
        ['report', 'permissive', 'enforcing', 'disabled'],
        'report (the default) changes nothing. disabled needs a reboot.',
      ),
    ),
    policy: optional(text('The policy, for instance targeted.')),
    configfile: optional(anything('Ignored: it is /etc/selinux/config.', { aliases: ['conf', 'file'] })),
    update_kernel_param: optional(anything('Ignored.')),
  },
  { additionalProperties: false },
);

const CONFIG = '/etc/selinux/config';

type Seen = LandingSite & { readonly selinux: SelinuxState };

/** ansible.posix's `selinux`. k3s runs under SELinux: nothing here turns it off unless told to. */
export const selinuxStep = defineStep<typeof args, Seen>({
  name: 'selinux',
  summary: 'SELinux is enforcing, permissive or disabled, now and after a reboot.',
  args,
  freeForm: 'state',
  examples: [`- selinux: state=enforcing policy=targeted`],
  look: () => ({ selinux: ask(selinuxState), ...siteQuestions(CONFIG) }),
  plan(seen, args): Plan<Seen> {
    const { selinux } = seen;
    const wanted = args.state ?? 'report';
    const result = { mode: selinux.inUse, config_mode: selinux.onDisk ?? 'none', policy: selinux.policy };
    if (wanted === 'report') return unchanged(`SELinux is ${selinux.inUse}`, result);
    if (seen.content.text === undefined) {
      return wanted === 'disabled' && selinux.inUse === 'disabled'
        ? unchanged('the host has no SELinux', result)
        : refuse(
            'the host has no SELinux',
            'Install its policy first, or leave this step out for this host.',
          );
    }
    const actions: Action[] = [];
    const because: string[] = [];
    const diff: Diff[] = [];
    const text = withConfig(seen.content.text, wanted, args.policy);
    let after: Partial<Seen> = {};
    if (text !== seen.content.text) {
      const landing = landFile(seen, { path: CONFIG, content: text, follow: true });
      if (landing.verdict === 'refuse') return landing;
      if (landing.verdict === 'change') {
        actions.push(...landing.actions);
        diff.push(...(landing.diff ?? []));
        because.push(`${CONFIG} says ${selinux.onDisk ?? 'nothing'}`);
        after = landing.after;
      }
    }
    if (selinux.inUse !== 'disabled' && wanted !== 'disabled' && selinux.inUse !== wanted) {
      because.push(`it is ${selinux.inUse}`);
      actions.push({
        kind: 'run',
        what: `set SELinux to ${wanted}`,
        script: sh`setenforce ${wanted === 'enforcing' ? 1 : 0}`,
      });
      after = { ...after, selinux: { ...selinux, inUse: wanted, onDisk: wanted } };
    }
    const rebootRequired = (selinux.inUse === 'disabled') !== (wanted === 'disabled');
    const [first, ...rest] = actions;
    if (first === undefined) {
      return unchanged(
        rebootRequired ? `SELinux becomes ${wanted} at the next reboot` : `SELinux is ${wanted}`,
        { ...result, reboot_required: rebootRequired },
      );
    }
    return change(because.join('; '), [first, ...rest], {
      diff,
      after,
      touches: ['selinux:*', 'host:*'],
      result: () => ({ ...result, reboot_required: rebootRequired }),
    });
  },
});

function withConfig(text: string, mode: string, policy: string | undefined): string {
  const moded = /^SELINUX=/m.test(text)
    ? text.replace(/^SELINUX=.*$/m, `SELINUX=${mode}`)
    : `${text.replace(/\n*$/, '\n')}SELINUX=${mode}\n`;
  return policy === undefined ? moded : moded.replace(/^SELINUXTYPE=.*$/m, `SELINUXTYPE=${policy}`);
}
