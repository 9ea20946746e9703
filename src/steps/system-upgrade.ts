import { Type } from '@sinclair/typebox';
import type { Action } from '../engine/action.ts';
import { ask, type Questions } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged, unchangedBut } from '../engine/step.ts';
import { type K3sTraces, k3sTraces } from '../facts/k3s-traces.ts';
import { type SystemUpgrades, systemUpgrades } from '../facts/system-upgrades.ts';
import { binaryPath } from '../k3s/paths.ts';
import { flag, optional, whole } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';
import { upgradeAllScripts } from './upgrade-all.ts';

const args = Type.Object(
  {
    wanted: optional(flag('Whether anything is done at all. Default true.')),
    nodes: optional(
      flag('Whether hosts that have k3s are upgraded too. Default false: they would all be gone at once.'),
    ),
    reboot_timeout: optional(whole('How long a reboot may take, in seconds. Default 600.', { minimum: 1 })),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly upgrades?: SystemUpgrades;
  readonly traces?: K3sTraces;
}

/** What was installed is used only after a reboot, so there is always one. */
export const systemUpgradeStep = defineStep<typeof args, Seen>({
  name: 'system_upgrade',
  summary:
    'All packages are the newest that the lists on the host know, and the host has been rebooted after that.',
  args,
  examples: ['- system_upgrade:\n', '- system_upgrade:\n    nodes: true\n'],
  look(args, host): Questions<Seen> {
    if (args.wanted === false) return {};
    const { k3sServerLocation, systemdDir } = k3sNode(host).settings;
    return { upgrades: ask(systemUpgrades), traces: ask(k3sTraces(k3sServerLocation, systemdDir)) };
  },
  plan(seen, args): Plan<Seen> {
    const { upgrades, traces } = seen;
    if (upgrades === undefined || traces === undefined) return unchanged('system_upgrade is false');
    const { manager, packages } = upgrades;
    if (manager === undefined)
      return refuse(
        'the host has no package manager that fleet knows',
        'Upgrade it by hand, and take system_upgrade out.',
      );
    if (packages.length === 0) return unchanged('all packages are the newest');
    const many = `${packages.length} ${packages.length === 1 ? 'package' : 'packages'}`;
    if (args.nodes !== true && traces.paths.includes(binaryPath)) {
      return unchangedBut(`${many} could be upgraded, but the host runs k3s`, {
        code: 'SYSTEM_UPGRADE_WAITS',
        message: `${many} could be upgraded (${packages.slice(0, 5).join(', ')}${packages.length > 5 ? ' …' : ''})`,
        fix: 'fleet play system-upgrade.yml upgrades nodes one after the other.',
      });
    }
    const upgrade: Action = {
      kind: 'run',
      what: `upgrade ${many}`,
      script: upgradeAllScripts[manager],
      survives: true,
      deadlineMs: 2 * 60 * 60_000,
    };
    const reboot: Action = {
      kind: 'reboot',
      because: 'its packages were upgraded',
      deadlineMs: (args.reboot_timeout ?? 600) * 1000,
    };
    return change(`${many} can be upgraded`, [upgrade, reboot], {
      diff: [
        { subject: 'packages to upgrade', before: packages.map((name) => `${name}\n`).join(''), after: '' },
      ],
      touches: 'everything',
      after: { upgrades: { manager, packages: [] } },
    });
  },
});
