import { Type } from '@sinclair/typebox';
import { ask, type Questions } from '../engine/fact.ts';
import { defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type Timezone, timezone } from '../facts/clock.ts';
import { text } from './arguments.ts';
import { timezoneStep } from './timezone.ts';

const args = Type.Object(
  { name: text('The zone, for instance Europe/Berlin; empty: the one it has.') },
  { additionalProperties: false },
);

interface Seen {
  readonly zone?: Timezone;
}

/** `timezone`, for a setting that may be left out. */
export const k3sTimeZoneStep = defineStep<typeof args, Seen>({
  name: 'k3s_time_zone',
  summary: 'The clock of the host shows the time of a zone, where one is asked for.',
  args,
  freeForm: 'name',
  examples: ['- k3s_time_zone: name="{{ timezone | default(\'\') }}"\n'],
  look: (args): Questions<Seen> => (args.name === '' ? {} : { zone: ask(timezone(args.name)) }),
  plan({ zone }, args, host): Plan<Seen> {
    if (zone === undefined) return unchanged('timezone is not set');
    return timezoneStep.plan({ zone }, { name: args.name }, host) as Plan<Seen>;
  },
});
