import { Type } from '@sinclair/typebox';
import { lines, sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type Timezone, timezone } from '../facts/clock.ts';
import { choice, optional, text } from './arguments.ts';

const args = Type.Object(
  {
    name: text('The zone, for instance Europe/Berlin.'),
    hwclock: optional(
      choice(['UTC', 'local'], 'Ignored: the hardware clock is left alone.', { aliases: ['rtc'] }),
    ),
  },
  { additionalProperties: false },
);

/** community.general's `timezone`. */
export const timezoneStep = defineStep<typeof args, { zone: Timezone }>({
  name: 'timezone',
  summary: 'The clock of the host shows the time of a zone.',
  args,
  freeForm: 'name',
  examples: [`- timezone: name=Etc/UTC`],
  look: (args) => ({ zone: ask(timezone(args.name)) }),
  plan(seen, args): Plan<{ zone: Timezone }> {
    const { zone } = seen;
    const wanted = args.name;
    const noted = zone.noted === undefined || zone.noted === wanted;
    if (zone.name === wanted && noted) return unchanged(`the zone is ${wanted}`);
    if (!zone.known)
      return refuse(
        `the host knows no zone ${wanted}`,
        'Correct the name, or install the package tzdata first.',
      );
    return change(
      zone.name === wanted ? `/etc/timezone says ${zone.noted}` : `the zone is ${zone.name || 'not set'}`,
      [
        {
          kind: 'run',
          what: `set the time zone to ${wanted}`,
          script: lines(
            sh`set -e`,
            sh`ln -s -- ${`/usr/share/zoneinfo/${wanted}`} /etc/localtime.fleet~`,
            sh`mv -f /etc/localtime.fleet~ /etc/localtime`,
            sh`if [ -f /etc/timezone ]; then printf '%s\\n' ${wanted} >/etc/timezone; fi`,
          ),
        },
      ],
      {
        diff: [{ subject: 'time zone', before: zone.name, after: wanted }],
        after: { zone: { ...zone, name: wanted, noted: zone.noted === undefined ? undefined : wanted } },
        touches: ['clock:*', 'host:*', 'file:/etc/localtime', 'file:/etc/timezone', 'content:/etc/timezone'],
      },
    );
  },
});
