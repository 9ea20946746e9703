import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FleetError } from '../core/errors.ts';
import { isFile } from './files.ts';

/**
 * The path of a playbook that the package ships, e.g. `site` or `site.yml`. The package's root is the nearest folder
 * above this code with both a package.json and playbooks/, so that it is found from src/, from dist/ and when installed.
 *
 * @throws FleetError PLAYBOOK_NOT_BUNDLED
 */
export function bundledPlaybook(name: string): string {
  const file = /\.ya?ml$/.test(name) ? name : `${name}.yml`;
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const path = join(folder, 'playbooks', file);
    if (isFile(join(folder, 'package.json')) && isFile(path)) return path;
    if (dirname(folder) === folder) break;
  }
  throw new FleetError({
    code: 'PLAYBOOK_NOT_BUNDLED',
    message: `this installation of fleet has no playbook '${file}'`,
    fix: 'Install fleet again: its playbooks/ folder is not complete.',
    blame: 'fleet',
  });
}
