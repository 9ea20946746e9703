import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, refuse } from '../engine/step.ts';
import { type ServiceState, service } from '../facts/service.ts';
import { anything, choice, flag, optional, text } from './arguments.ts';
import { planService } from './service-change.ts';

const args = Type.Object(
  {
    name: text('The service, as the init system names it.'),
    state: optional(
      choice(
        ['started', 'stopped', 'restarted', 'reloaded'],
        'What it shall do. restarted and reloaded act on every run.',
      ),
    ),
    enabled: optional(flag('Whether it starts at boot.')),
    runlevel: optional(text('OpenRC: the runlevel to enable it in. Default default.')),
    use: optional(anything('Ignored: the init system is found out.')),
    pattern: optional(anything('Ignored: the init system is asked for the state.')),
    sleep: optional(anything("Ignored: a restart is the init system's own.")),
    arguments: optional(anything('Ignored by systemd and OpenRC.', { aliases: ['args'] })),
  },
  { additionalProperties: false },
);

/** Ansible's `service`, for systemd and OpenRC. */
export const serviceStep = defineStep<typeof args, { service: ServiceState }>({
  name: 'service',
  aliases: ['openrc'],
  summary: 'A service runs or not, and starts at boot or not.',
  args,
  examples: [`- service: name=chrony state=started enabled=true`],
  look: (args) => ({ service: ask(service(args.name)) }),
  plan(seen, args) {
    if (args.state === undefined && args.enabled === undefined) {
      return refuse(
        'neither state nor enabled is given',
        'Say what shall hold: state: started, enabled: true.',
      );
    }
    return planService(seen, args);
  },
});
