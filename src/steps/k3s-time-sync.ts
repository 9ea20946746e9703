import { Type } from '@sinclair/typebox';
import { lines, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, type Questions } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type PackageManager, type PackageState, packageEffects, packages } from '../facts/package.ts';
import { type TimeService, timeService } from '../facts/time-service.ts';
import { flag, optional } from './arguments.ts';
import { planPackages } from './package-change.ts';

const args = Type.Object(
  { wanted: optional(flag('Whether anything is done at all. Default true.')) },
  { additionalProperties: false },
);

interface Seen {
  readonly time?: TimeService;
  readonly packages?: PackageState;
}

/** The package of each family, and the service that it brings. */
const usual: Readonly<Record<PackageManager, { readonly package: string; readonly service: string }>> = {
  apt: { package: 'systemd-timesyncd', service: 'systemd-timesyncd' },
  dnf: { package: 'chrony', service: 'chronyd' },
  yum: { package: 'chrony', service: 'chronyd' },
  zypper: { package: 'chrony', service: 'chronyd' },
  // systemd itself brings it on Arch.
  pacman: { package: 'systemd', service: 'systemd-timesyncd' },
  apk: { package: 'chrony', service: 'chronyd' },
};

/** Certificates and etcd need clocks that agree. Whichever service runs already is left alone. */
export const k3sTimeSyncStep = defineStep<typeof args, Seen>({
  name: 'k3s_time_sync',
  summary: "A time service runs; where there is none, the system's own is installed and started.",
  args,
  examples: ['- k3s_time_sync:\n'],
  look(args): Questions<Seen> {
    if (args.wanted === false) return {};
    const names = [...new Set(Object.values(usual).map((each) => each.package))];
    return { time: ask(timeService), packages: ask(packages(names, undefined, false)) };
  },
  plan(seen): Plan<Seen> {
    const { time, packages: state } = seen;
    if (time === undefined || state === undefined) return unchanged('time_sync is false');
    if (time.guest) return unchanged('its clock is set from outside');
    const [active] = time.active;
    if (active !== undefined) return unchanged(`${active} runs`);
    const [installed] = time.installed;
    if (installed !== undefined) {
      return change(`${installed} does not run`, [startOf(installed)], {
        after: { time: { ...time, active: [installed] } },
        touches: ['service:*'],
      });
    }
    const { manager } = state;
    if (manager === undefined) {
      return refuse(
        'no time service runs, and the host has no package manager that fleet knows',
        'Install chrony or another by hand.',
      );
    }
    const { package: name, service } = usual[manager];
    const plan = planPackages({ packages: state }, { names: [name], state: 'present' });
    if (plan.verdict === 'refuse') return plan;
    const [first, ...rest] = [...(plan.verdict === 'change' ? plan.actions : []), startOf(service)];
    if (first === undefined) return unchanged('a time service runs');
    return change('no time service is installed', [first, ...rest], {
      ...(plan.verdict === 'change' && plan.diff !== undefined ? { diff: plan.diff } : {}),
      touches: packageEffects,
    });
  },
});

function startOf(service: string): Action {
  return {
    kind: 'run',
    what: `start ${service}, now and at boot`,
    script: lines(
      sh`if [ -d /run/systemd/system ]; then systemctl enable -q --now ${`${service}.service`}`,
      sh`else rc-update add ${service} default >/dev/null && rc-service ${service} start; fi`,
    ),
  };
}
