/**
 * Bundles the sources into dist/ with esbuild, split along dynamic imports so that a command loads only what it needs,
 * and writes the JSON Schemas that the package ships. Run by tsx: `npm run build`.
 */

import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');

/**
 * ssh2 is faster with a native binding where one was built, and copes without. It cannot be bundled: it is looked for
 * at run time, in an ssh2 that is installed beside fleet.
 */
const nativeBinding: Plugin = {
  name: 'native-binding',
  setup: ({ onResolve }) => {
    onResolve({ filter: /sshcrypto\.node$/ }, () => ({
      path: 'ssh2/lib/protocol/crypto/build/Release/sshcrypto.node',
      external: true,
    }));
  },
};

rmSync(dist, { recursive: true, force: true });
const result = await build({
  absWorkingDir: root,
  entryPoints: {
    fleet: 'src/cli/main.ts',
    // What a user's own steps and their tests import: fleet-k3s/steps and fleet-k3s/testing.
    steps: 'src/steps/step-kit.ts',
    testing: 'src/steps/step-harness.ts',
  },
  outdir: dist,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // Names stay as they are: a stack trace in a bug report must be readable.
  minifySyntax: true,
  legalComments: 'linked',
  external: ['cpu-features'],
  plugins: [nativeBinding],
  // CommonJS packages inside the bundle still call require for node's own modules, and ask where they are.
  define: { __dirname: 'import.meta.dirname', __filename: 'import.meta.filename' },
  banner: {
    js: "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);",
  },
  chunkNames: 'chunks/[name]-[hash]',
  logLevel: 'warning',
  metafile: true,
});
chmodSync(join(dist, 'fleet.js'), 0o755);
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.types.json'], {
  cwd: root,
  stdio: 'inherit',
});
const bytes = Object.values(result.metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
process.stdout.write(
  `dist/: ${Object.keys(result.metafile.outputs).length} files, ${Math.round(bytes / 1000)} kB\n`,
);
