/**
 * Writes what is generated from the sources: docs/reference/ and schemas/. With --check it writes nothing and fails
 * where a file is stale. Run by tsx: `npm run docs`, `npm run docs -- --check`.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventJsonSchema } from '../src/engine/event.ts';
import { airgapBundleJsonSchema } from '../src/facts/airgap-bundle.ts';
import { inventorySchema } from '../src/inventory/inventory-schema.ts';
import { playbookJsonSchema } from '../src/playbook/schema.ts';
import { withPlaybookSteps } from '../src/playbook/step-library.ts';
import * as fleetSteps from '../src/steps/registry.ts';
import { commandsPage, exitCodesPage } from './reference/commands-page.ts';
import { errorsPage } from './reference/errors-page.ts';
import { eventsPage } from './reference/events-page.ts';
import { jsonOfShortLines } from './reference/json.ts';
import { stepsPages } from './reference/steps-pages.ts';
import { variablesPage } from './reference/variables-page.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Every generated file by its path. */
function generated(): ReadonlyMap<string, string> {
  const json = (value: object): string => `${JSON.stringify(value, undefined, 2)}\n`;
  const steps = withPlaybookSteps(fleetSteps).allSteps;
  return new Map([
    ['docs/reference/commands.md', commandsPage()],
    ['docs/reference/variables.md', variablesPage()],
    ['docs/reference/exit-codes.md', exitCodesPage()],
    ['docs/reference/events.md', eventsPage()],
    ['docs/reference/errors.md', errorsPage(root)],
    ...[...stepsPages()].map(([name, text]) => [`docs/reference/steps/${name}`, text] as const),
    ['schemas/airgap-bundle.schema.json', json(airgapBundleJsonSchema())],
    ['schemas/events.schema.json', json(eventJsonSchema())],
    ['schemas/inventory.schema.json', json(inventorySchema())],
    ['schemas/playbook.schema.json', jsonOfShortLines(playbookJsonSchema(steps))],
  ]);
}

/** Files that nothing generates any more: the page of a step that is gone. */
function leftOver(files: ReadonlyMap<string, string>): string[] {
  const folder = 'docs/reference/steps';
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder))
    .map((name) => `${folder}/${name}`)
    .filter((path) => !files.has(path));
}

const files = generated();
const stale = [...files].filter(([path, text]) => {
  const full = join(root, path);
  return !existsSync(full) || readFileSync(full, 'utf8') !== text;
});
const gone = leftOver(files);

if (process.argv.includes('--check')) {
  for (const [path] of stale) process.stderr.write(`stale: ${path}\n`);
  for (const path of gone) process.stderr.write(`not generated any more: ${path}\n`);
  if (stale.length + gone.length > 0) {
    process.stderr.write('Run: npm run docs\n');
    process.exitCode = 1;
  }
} else {
  for (const [path, text] of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  for (const path of gone) rmSync(join(root, path));
  process.stdout.write(`${files.size} generated files, ${stale.length} written, ${gone.length} removed\n`);
}
