/**
 * Bundles the sources with esbuild, split along dynamic imports so that a command loads only what it needs: what users install,
 * and what the tests of the command line run.
 */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin, transform } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

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

/** fleet tunnels no HTTP and serves no SSH: the modules that do cost each start more than a millisecond. */
const unusedOfSsh2: Plugin = {
  name: 'unused-of-ssh2',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^\.\/(http-agents|server)\.js$/ }, ({ importer, path }) =>
      importer.endsWith('node_modules/ssh2/lib/index.js') ? { path, namespace: 'unused' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/**
 * Makes a folder of the bundle anew: `fleet.cjs`, its chunks, and the modules that users import. Fleet's package.json and playbooks
 * are looked for in the folders above it. Returns how many files there are, and their bytes.
 */
export async function bundle(dist: string): Promise<{ readonly files: number; readonly bytes: number }> {
  const command = join(dist, 'fleet.cjs');
  // What users import is an ES module; the command and the chunks are CommonJS.
  const isImported = (path: string): boolean => dirname(path) === dist && path !== command;
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(join(dist, 'chunks'), { recursive: true });
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
    minifySyntax: true,
    legalComments: 'linked',
    external: ['cpu-features'],
    plugins: [nativeBinding, unusedOfSsh2],
    chunkNames: 'chunks/[name]-[hash]',
    outExtension: { '.js': '.cjs' },
    logLevel: 'warning',
    write: false,
  });
  for (const { path, text } of result.outputFiles) {
    if (isImported(path)) writeFileSync(path.replace(/\.cjs$/, '.js'), text);
    else writeFileSync(path, path.endsWith('.cjs') ? await asCommonJs(text) : text);
  }
  chmodSync(command, 0o755);
  const bytes = result.outputFiles.reduce((sum, { contents }) => sum + contents.length, 0);
  return { files: result.outputFiles.length, bytes };
}

/**
 * Node keeps compiled code of CommonJS only (src/cli/code-cache.ts) and starts it sooner, and esbuild splits ES modules only.
 * Code that comes from a cache cannot import, so chunks require each other, no earlier than they imported each other.
 */
async function asCommonJs(text: string): Promise<string> {
  const requiring = text.replaceAll(
    /\bimport\(("(?:\.\/|node:)[^"]+")\)/g,
    'Promise.resolve().then(() => require($1))',
  );
  const { code } = await transform(requiring, {
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    // Less to read at each start. Names and lines stay: a stack trace in a bug report must be readable.
    minifySyntax: true,
    minifyWhitespace: true,
    lineLimit: 120,
    define: {
      'import.meta.url': 'importMetaUrl',
      'import.meta.dirname': '__dirname',
      'import.meta.filename': '__filename',
    },
    banner: text.includes('import.meta.url')
      ? "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;"
      : '',
  });
  return code;
}
