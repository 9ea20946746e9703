import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the installed package, or of the sources: where playbooks/ and schemas/ are. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('fleet does not find its own package.json');
    folder = parent;
  }
  return folder;
}

/** A playbook that fleet ships: `site.yml`. */
export function shippedPlaybook(name: string): string {
  return join(packageRoot(), 'playbooks', name);
}
