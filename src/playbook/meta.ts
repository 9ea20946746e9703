import { Type } from '@sinclair/typebox';
import { defineStep, unchanged } from '../engine/step.ts';

/** What `meta:` may ask of the run itself. */
export const metaActions = [
  'flush_handlers',
  'end_play',
  'end_host',
  'end_batch',
  'end_role',
  'clear_host_errors',
  'clear_facts',
  'noop',
  'reset_connection',
] as const;

/** The step that a `meta` task carries: it asks nothing and does nothing; the executor reads `Task.meta`. */
export const metaStep = defineStep({
  name: 'meta',
  summary: 'The run itself is told something: run handlers now, or stop here.',
  args: Type.Object(
    {
      action: Type.Union(
        metaActions.map((action) => Type.Literal(action)),
        { description: 'What to do.' },
      ),
    },
    { additionalProperties: false },
  ),
  freeForm: 'action',
  examples: ['- meta: flush_handlers'],
  look: () => ({}),
  plan: () => unchanged('it concerns the run, not the host'),
});
