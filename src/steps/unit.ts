import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type ServiceState, service } from '../facts/service.ts';
import { choice, flag, optional, path, secretText, text } from './arguments.ts';
import { attributeArguments } from './file-attributes.ts';
import { type LandingSite, landFile, siteQuestions } from './landed-file.ts';
import { planService } from './service-change.ts';

const args = Type.Object(
  {
    name: text(
      'The unit with its suffix, or a drop-in of one: k3s.service, fstrim.timer, k3s.service.d/10-limits.conf.',
    ),
    content: optional(secretText('The text of the unit file.')),
    directory: optional(path('Where unit files are. Default /etc/systemd/system.')),
    ...attributeArguments,
    state: optional(
      choice(
        ['present', 'absent', 'started', 'stopped'],
        'There (the default), there and running, there and stopped, or gone.',
      ),
    ),
    enabled: optional(flag('Whether it starts at boot.')),
  },
  { additionalProperties: false },
);

type Seen = LandingSite & { readonly service: ServiceState };

/** A unit file and that systemd knows it. A running service is not restarted: that is `systemd: state=restarted`, by `notify`. */
export const unitStep = defineStep<typeof args, Seen>({
  name: 'unit',
  aliases: ['systemd_unit'],
  summary: 'A systemd unit file has a content, and systemd has read it.',
  args,
  examples: [
    `- unit:
    name: cleanup.timer
    content: |
      [Timer]
      OnCalendar=daily
      [Install]
      WantedBy=timers.target
    state: started
    enabled: true`,
  ],
  look: (args) => ({
    ...siteQuestions(fileOf(args), args.mode?.endsWith('0')),
    service: ask(service(unitOf(args.name))),
  }),
  plan(seen, args): Plan<Seen> {
    if (seen.service.manager !== 'systemd')
      return refuse('the host does not run systemd', 'Unit files need systemd.');
    const file = fileOf(args);
    const unit = unitOf(args.name);
    const reload: Action = {
      kind: 'run',
      what: 'make systemd read its unit files',
      script: sh`systemctl daemon-reload`,
    };
    if (args.state === 'absent') {
      if (seen.file.self === undefined) return unchanged(`${file} is not there`);
      const stop: Action[] =
        unit === args.name && seen.service.exists
          ? [
              {
                kind: 'run',
                what: `stop and disable ${unit}`,
                script: sh`systemctl disable --now -- ${unit} 2>/dev/null || systemctl stop -- ${unit}`,
              },
            ]
          : [];
      const [first, ...rest] = [...stop, { kind: 'remove', path: file } satisfies Action, reload];
      return change(`${file} is there`, [first ?? reload, ...rest], { touches: ['service:*'] });
    }
    if (args.content === undefined) return refuse('content is missing', 'Write the text of the unit file.');
    const landing = landFile(seen, {
      path: file,
      content: args.content,
      mode: args.mode,
      owner: args.owner,
      group: args.group,
      makeParents: true,
    });
    if (landing.verdict === 'refuse') return landing;
    const lands = landing.verdict === 'change';
    const actions: Action[] = lands
      ? [...landing.actions, reload]
      : seen.service.needsDaemonReload
        ? [reload]
        : [];
    const because = lands
      ? [landing.because]
      : actions.length > 0
        ? ['its unit file changed since systemd read it']
        : [];
    const state = args.state === 'started' || args.state === 'stopped' ? args.state : undefined;
    if (state !== undefined || args.enabled !== undefined) {
      const known = { ...seen.service, exists: true, needsDaemonReload: false };
      const further = planService({ service: known }, { name: unit, state, enabled: args.enabled });
      if (further.verdict === 'refuse') return further;
      if (further.verdict === 'change') {
        actions.push(...further.actions);
        because.push(further.because);
      }
    }
    const [first, ...rest] = actions;
    if (first === undefined) return unchanged(`${file} is as wanted and systemd has read it`);
    return change(because.join('; '), [first, ...rest], {
      ...(lands && landing.diff !== undefined ? { diff: landing.diff } : {}),
      ...(lands ? { after: landing.after } : {}),
      touches: ['service:*', `file:${posix.dirname(file)}`],
    });
  },
});

function fileOf(args: { name: string; directory?: string }): string {
  return posix.join(args.directory ?? '/etc/systemd/system', args.name);
}

/** The unit that a drop-in belongs to. */
function unitOf(name: string): string {
  return name.replace(/\.d\/[^/]+$/, '');
}
