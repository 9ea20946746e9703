import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { lines, sh } from '../core/shell.ts';
import { ask, type Fact } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { choice, optional } from './arguments.ts';

const args = Type.Object(
  {
    state: optional(
      choice(['stopped', 'restored'], 'stopped (the default), or restored: what was stopped is as before.'),
    ),
  },
  { additionalProperties: false },
);

const units = ['nm-cloud-setup.timer', 'nm-cloud-setup.service'] as const;

/** Where fleet notes what it has disabled. */
const note = '/var/lib/fleet/cloud-network-disabled';

interface CloudNetwork {
  /** Units that run, or will at the next boot. */
  readonly busy: readonly string[];
  /** What fleet disabled, by its note. */
  readonly disabled: readonly string[];
}

/** Source: systemctl, fleet's own note. */
const cloudNetwork: Fact<CloudNetwork> = {
  key: 'service:nm-cloud-setup',
  // systemctl takes milliseconds to say that it knows no such unit.
  sh: sh`if [ -d /run/systemd/system ]; then for u in ${[...units]}; do
  [ -e "/usr/lib/systemd/system/$u" ] || [ -e "/lib/systemd/system/$u" ] || [ -e "/etc/systemd/system/$u" ] || continue
  if [ "$(systemctl is-enabled "$u" 2>/dev/null)" = enabled ] || systemctl is-active -q "$u"; then echo "busy $u"; fi
done; fi
sed 's/^/disabled /' ${note} 2>/dev/null; true`,
  parse: ({ stdout }) => ({
    busy: [...stdout.matchAll(/^busy (\S+)$/gm)].map(([, unit = '']) => unit),
    disabled: [...stdout.matchAll(/^disabled (\S+)$/gm)].map(([, unit = '']) => unit),
  }),
};

/**
 * The agent of RHEL's cloud images takes away the routes that the pods' network has made.
 * @see https://docs.k3s.io/installation/requirements#operating-systems
 */
export const k3sCloudNetworkStep = defineStep<typeof args, { readonly network: CloudNetwork }>({
  name: 'k3s_cloud_network',
  summary: 'nm-cloud-setup, which rewrites routes behind the back of k3s, neither runs nor starts at boot.',
  args,
  examples: ['- k3s_cloud_network:\n', '- k3s_cloud_network: state=restored\n'],
  look: () => ({ network: ask(cloudNetwork) }),
  plan({ network }, args): Plan<{ readonly network: CloudNetwork }> {
    const { busy, disabled } = network;
    if (args.state === 'restored') {
      if (disabled.length === 0) return unchanged('fleet has stopped no such agent');
      return change(
        `fleet has disabled ${disabled.join(', ')}`,
        [
          {
            kind: 'run',
            what: `enable ${disabled.join(' ')}`,
            script: lines(
              sh`systemctl enable -q --now -- ${disabled}`,
              sh`rm -f ${note}; rmdir ${posix.dirname(note)} 2>/dev/null; true`,
            ),
          },
        ],
        { touches: ['service:*', 'file:*'] },
      );
    }
    if (busy.length === 0) return unchanged('no such agent is there');
    const all = [...new Set([...disabled, ...busy])];
    return change(
      `${busy.join(', ')} would rewrite routes`,
      [
        {
          kind: 'run',
          what: `disable ${busy.join(' ')}`,
          script: lines(
            sh`set -e; mkdir -p ${posix.dirname(note)}`,
            sh`printf '%s\\n' ${all} >${note}`,
            sh`systemctl disable -q --now -- ${busy}`,
          ),
        },
      ],
      { after: { network: { busy: [], disabled: all } }, touches: ['service:*', 'file:*'] },
    );
  },
});
