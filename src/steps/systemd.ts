import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse } from '../engine/step.ts';
import { type ServiceState, service } from '../facts/service.ts';
import { choice, flag, optional, text } from './arguments.ts';
import { planService } from './service-change.ts';

const args = Type.Object(
  {
    name: optional(text('The unit; `.service` may be left out.', { aliases: ['service', 'unit'] })),
    state: optional(
      choice(
        ['started', 'stopped', 'restarted', 'reloaded'],
        'What it shall do. restarted and reloaded act on every run.',
      ),
    ),
    enabled: optional(flag('Whether it starts at boot.')),
    masked: optional(flag('Whether it is kept from being started at all.')),
    daemon_reload: optional(
      flag(
        'Makes systemd read its unit files first, when one that this unit uses changed; without a name, always.',
        { aliases: ['daemon-reload'] },
      ),
    ),
    daemon_reexec: optional(
      flag('Replaces the running systemd by the installed one, on every run.', {
        aliases: ['daemon-reexec'],
      }),
    ),
    no_block: optional(flag('Does not wait for the service to have started or stopped.')),
    force: optional(flag('Ignored: a link in the way is an error of systemctl.')),
    scope: optional(choice(['system'], 'Only units of the system are managed.')),
  },
  { additionalProperties: false },
);

/** Ansible's `systemd` and `systemd_service`. */
export const systemdStep = defineStep<typeof args, { service?: ServiceState }>({
  name: 'systemd',
  aliases: ['systemd_service'],
  summary: 'A systemd unit runs or not, is enabled, masked or not; systemd has read its unit files.',
  args,
  examples: [
    `- systemd:
    name: k3s
    state: started
    enabled: true
    daemon_reload: true`,
    `- systemd: daemon_reload=true`,
  ],
  look: (args) => (args.name === undefined ? {} : { service: ask(service(args.name)) }),
  plan(seen, args): Plan<{ service?: ServiceState }> {
    const { name } = args;
    if (name === undefined || seen.service === undefined) {
      if (args.daemon_reload !== true && args.daemon_reexec !== true) {
        return refuse('neither a name nor daemon_reload is given', 'Say which unit is meant: name: k3s.');
      }
      const verb = args.daemon_reexec === true ? 'daemon-reexec' : 'daemon-reload';
      return change(
        `${verb} is asked for`,
        [{ kind: 'run', what: `systemctl ${verb}`, script: sh`systemctl ${verb}` }],
        {
          imperative: true,
          touches: ['service:*'],
        },
      );
    }
    if (seen.service.manager !== 'systemd')
      return refuse('the host does not run systemd', 'Use service, which knows OpenRC too.');
    return planService(
      { service: seen.service },
      {
        name,
        state: args.state,
        enabled: args.enabled,
        masked: args.masked,
        daemonReload: args.daemon_reload,
        noBlock: args.no_block,
      },
    ) as Plan<{ service?: ServiceState }>;
  },
});
