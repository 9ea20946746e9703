import { type Static, type TObject, type TProperties, Type } from '@sinclair/typebox';

/**
 * All that a run tells, append-only. What a terminal, a log, CI or the journal shows is drawn from these and from
 * nothing else; code and data are the contract, wording is not. The schema ships as schemas/events.schema.json.
 */

const host = Type.String({ description: 'Inventory name of the host.' });
const durationMs = Type.Number({ description: 'Milliseconds.' });

const place = Type.Object(
  {
    file: Type.String(),
    line: Type.Optional(Type.Integer({ minimum: 1 })),
    column: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { description: 'A place in a file; line and column count from 1.' },
);

const fault = Type.Object(
  {
    code: Type.String({ description: 'Stable identifier, see docs/errors.md.' }),
    message: Type.String(),
    fix: Type.Optional(Type.String({ description: 'What to do next.' })),
    host: Type.Optional(host),
    step: Type.Optional(Type.String()),
    where: Type.Optional(place),
  },
  { description: 'What went wrong, where, and what to do next.' },
);

const diff = Type.Object({
  subject: Type.String({ description: 'What is compared, e.g. a path.' }),
  before: Type.Optional(Type.String({ description: 'Absent where there was nothing.' })),
  after: Type.Optional(Type.String({ description: 'Absent where nothing is left.' })),
});

const task = {
  play: Type.String({ description: 'Name of the play.' }),
  host,
  task: Type.String({ description: 'Name of the task, templated.' }),
  step: Type.String({ description: 'Name of the step it uses.' }),
  item: Type.Optional(Type.String({ description: 'Label of the loop item.' })),
};

function event<Kind extends string, Properties extends TProperties>(
  kind: Kind,
  description: string,
  properties: Properties,
) {
  return Type.Object(
    { kind: Type.Literal(kind), ...properties },
    { description, additionalProperties: false },
  );
}

/** How one task ended on one host. */
export const taskStatuses = [
  'unchanged',
  'changed',
  'would-change',
  'skipped',
  'failed',
  'failed-ignored',
] as const;
export type TaskStatus = (typeof taskStatuses)[number];

export const eventSchemas = [
  event('run-started', 'A run begins.', {
    run: Type.String({ description: 'Identifier of the run, sortable by time.' }),
    command: Type.String({ description: 'The fleet command, without its arguments.' }),
    mode: Type.Union([Type.Literal('plan'), Type.Literal('apply')]),
    sources: Type.Array(Type.String(), { description: 'The inventory as the user named it.' }),
    hosts: Type.Integer({ description: 'How many hosts the plays name.' }),
  }),
  event('host-connected', 'A host answered and let us in.', { host, durationMs }),
  event('host-lost', 'A connection broke; fleet tries to reconnect.', { host, reason: Type.String() }),
  event('look-finished', 'All questions that could be asked at once were asked, in one trip per host.', {
    hosts: Type.Integer(),
    facts: Type.Integer(),
    durationMs,
  }),
  event('play-started', 'A play begins.', {
    play: Type.String(),
    hosts: Type.Array(Type.String()),
    mode: Type.Union([Type.Literal('plan'), Type.Literal('apply')]),
  }),
  event('batch-started', 'The next hosts of a play with `serial` begin.', {
    play: Type.String(),
    hosts: Type.Array(Type.String()),
    number: Type.Integer({ minimum: 1 }),
    of: Type.Integer({ minimum: 1 }),
  }),
  event(
    'waves-planned',
    'Which hosts of a play with `strategy: rolling` are next, and what is waited for between them.',
    {
      play: Type.String(),
      waves: Type.Array(
        Type.Object({
          number: Type.Integer({ minimum: 1 }),
          wave: Type.String({
            description: 'What is done, in a word: `bootstrap`, `join`, `restart`, `upgrade` …',
          }),
          hosts: Type.Array(Type.String()),
          because: Type.String(),
          awaits: Type.Array(Type.String(), { description: 'What must hold before the next wave.' }),
          disruption: Type.String({ description: 'What users of the cluster may notice.' }),
        }),
        {
          description:
            'In order. After each of them the state is looked at again, and what is left may be told anew.',
        },
      ),
      leftOut: Type.Array(Type.Object({ host, because: Type.String() }), {
        description: 'Hosts that nothing is done to.',
      }),
      strangers: Type.Array(Type.String(), {
        description: 'Nodes of the cluster that the inventory does not know. They are not touched.',
      }),
    },
  ),
  event('wave-started', 'The next hosts of a play with `strategy: rolling` begin.', {
    play: Type.String(),
    wave: Type.String({ description: 'What is done, in a word.' }),
    hosts: Type.Array(Type.String()),
    because: Type.String(),
    number: Type.Integer({ minimum: 1 }),
    of: Type.Integer({ minimum: 1 }),
  }),
  event('wave-waiting', 'Something must hold before the next wave, and does not yet.', {
    play: Type.String(),
    number: Type.Integer({ minimum: 1, description: 'The wave that it is waited behind.' }),
    host: Type.String({ description: 'The host that is asked.' }),
    what: Type.String({ description: 'What is waited for.' }),
    reason: Type.String({ description: 'Why it does not hold yet.' }),
    deadlineMs: Type.Number({ description: 'When it gives up, from the start of the wait.' }),
  }),
  event('wave-paused', 'The rollout pauses behind a wave, as `pause_after` says.', {
    play: Type.String(),
    number: Type.Integer({ minimum: 1, description: 'The wave that it pauses behind.' }),
    after: Type.String({ description: 'After whom, for a person: `the servers`.' }),
    durationMs: Type.Optional(
      Type.Number({ description: 'Milliseconds until it goes on by itself; absent where it does not.' }),
    ),
  }),
  event('task-started', 'A task that changes something begins on a host.', {
    ...task,
    because: Type.String({ description: 'Why there is something to change.' }),
  }),
  event('task-waiting', 'A task waits for something.', {
    ...task,
    what: Type.String({ description: 'What it waits for.' }),
    reason: Type.String({ description: 'Why it does not hold yet.' }),
    deadlineMs: Type.Number({ description: 'When it gives up, from the start of the wait.' }),
  }),
  event('task-progress', 'A long task tells how far it is.', {
    ...task,
    text: Type.String(),
    done: Type.Optional(Type.Number()),
    total: Type.Optional(Type.Number()),
    unit: Type.Optional(Type.Literal('bytes')),
  }),
  event('task-finished', 'A task ended on a host, or, in a plan, would end so.', {
    ...task,
    status: Type.Union(taskStatuses.map((status) => Type.Literal(status))),
    because: Type.String(),
    diff: Type.Optional(Type.Array(diff)),
    actions: Type.Optional(Type.Array(Type.String(), { description: 'What is done, in order.' })),
    knownAfterApply: Type.Optional(
      Type.Boolean({
        description: 'The decision rests on something that only an earlier change makes known.',
      }),
    ),
    output: Type.Optional(
      Type.String({
        description: 'What a command printed; its end is cut off with a note where it is long.',
      }),
    ),
    rescued: Type.Optional(
      Type.Boolean({ description: 'It failed inside a block that has a rescue, which goes on from there.' }),
    ),
    error: Type.Optional(fault),
    durationMs,
  }),
  event('message', 'Something a playbook wants said (`debug`).', { ...task, text: Type.String() }),
  event('warning', 'Something a person should know that stops nothing.', { ...fault.properties }),
  event('host-failed', 'A host leaves the run; no later task runs on it.', { host, error: fault }),
  event('run-failed', 'An error that belongs to no single host.', { error: fault }),
  event('interrupted', 'Ctrl-C: running actions are finished, nothing new is begun.', {
    running: Type.Array(Type.String({ description: '`host: task`, still at work.' })),
  }),
  event('run-finished', 'The last event of every run.', {
    status: Type.Union([
      Type.Literal('unchanged'),
      Type.Literal('changed'),
      Type.Literal('would-change'),
      Type.Literal('failed'),
      Type.Literal('interrupted'),
    ]),
    hosts: Type.Record(
      Type.String(),
      Type.Object({
        unchanged: Type.Integer(),
        changed: Type.Integer(),
        skipped: Type.Integer(),
        failed: Type.Integer(),
        ignored: Type.Integer(),
        roundTrips: Type.Integer({ description: 'Batches sent to the host after connecting.' }),
      }),
      { description: 'Per host: how many tasks ended how.' },
    ),
    durationMs,
  }),
] as const;

const stamp = {
  at: Type.String({ format: 'date-time', description: 'When it happened, UTC.' }),
  sequence: Type.Integer({ minimum: 1, description: 'Counts up by one within a run.' }),
};

/** One event as emitted, before it is stamped. */
export type Event = Static<(typeof eventSchemas)[number]>;
export type EventKind = Event['kind'];
export type EventOf<Kind extends EventKind> = Extract<Event, { kind: Kind }>;
/** One event as written: a line of `--output json` and of the journal. */
export type StampedEvent = Event & { readonly at: string; readonly sequence: number };
export type EmitEvent = (event: Event) => void;

/** The JSON Schema of one line of `--output json`. */
export function eventJsonSchema(): object {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'fleet event',
    oneOf: eventSchemas.map((schema: TObject) => ({
      ...Type.Object({ ...stamp, ...schema.properties }, { description: schema.description ?? '' }),
    })),
  };
}
