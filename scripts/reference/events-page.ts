import { eventSchemas } from '../../src/engine/event.ts';
import { type ShownSchema, typeWords } from '../../src/ui/schema-words.ts';
import { cell, code, page, table } from './markdown.ts';

/** docs/reference/events.md */
export function eventsPage(): string {
  const schemas = eventSchemas as unknown as readonly (ShownSchema & {
    readonly properties: Record<string, ShownSchema>;
  })[];
  return page('Events', 'src/engine/event.ts', [
    '`--output json` writes one event per line to stdout, and `.fleet/journal/RUN.jsonl` keeps them. Fields and kinds are a ' +
      'contract (schemas/events.schema.json); the wording of texts is not. New kinds and fields may be added.',
    'Every event also has `at` (when it happened, UTC) and `sequence` (counts up by one within a run). Secrets are masked.',
    ...schemas.map((schema) => {
      const { kind, ...rest } = schema.properties;
      const required = new Set(schema.required ?? []);
      const rows = Object.entries(rest).map(([name, field]) => [
        code(name) + (required.has(name) ? '' : ' (optional)'),
        cell(typeWords(field)),
        cell(field.description ?? ''),
      ]);
      return [
        `## ${String(kind?.const)}`,
        schema.description ?? '',
        table(['Field', 'Value', 'Meaning'], rows),
      ].join('\n\n');
    }),
  ]);
}
