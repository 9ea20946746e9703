/** Bundles the sources into dist/, with the types of what users import. Run by tsx: `npm run build`. */

import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const { files, bytes } = await bundle(join(root, 'dist'));
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.types.json'], {
  cwd: root,
  stdio: 'inherit',
});
process.stdout.write(`dist/: ${files} files, ${Math.round(bytes / 1000)} kB\n`);
