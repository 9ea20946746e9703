import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { Script } from 'node:vm';

/** What Node does not declare: where it compiles CommonJS, and the cache that it brings itself from 22.8 on. */
interface NodeModules {
  readonly prototype: { _compile(this: unknown, content: string, file: string): unknown };
  enableCompileCache?(): void;
}

/** The compiled chunks of one command: their names, which are hashes of their contents, and V8's code for each. */
type CompiledChunks = Map<string, Buffer>;

/** V8 no longer knows whose code it is once it comes from a cache: an import() in it would have nobody to ask. */
const importCall = /(?<![#.\w$])import\(/;

const nodeModules = Module as unknown as NodeModules;

/**
 * Loads fleet's own chunks as V8 compiled them last time, which saves a quarter of a short run. From Node 22.8 on
 * Node does that itself; before it, the code of each command is kept in the user's cache folder. What V8 cannot use (another
 * version of Node, other flags) it refuses, and the code is compiled and kept anew. Where nothing can be kept, nothing is.
 * @param command names the file that is kept: each command needs other functions
 * @see https://nodejs.org/api/module.html#moduleenablecompilecachecachedir
 */
export function keepCompiledCode(command: string): void {
  if (process.env.NODE_DISABLE_COMPILE_CACHE !== undefined) return;
  if (nodeModules.enableCompileCache !== undefined) {
    nodeModules.enableCompileCache();
    return;
  }
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'fleet', 'code');
  const file = join(
    folder,
    `${command.replace(/[^a-z-]/g, '') || 'fleet'}.${process.version}.${process.arch}`,
  );
  const kept = readChunks(file);
  const compiled = new Map<string, Script>();
  let isNew = false;
  const loaded = new Map<string, { exports: unknown }>();
  const requireOther = createRequire(import.meta.filename);

  /** `require` without looking for what is known to be there: that takes longer than most chunks need to run. */
  const requireChunk = (specifier: string): unknown => {
    if (!specifier.startsWith('./')) return requireOther(specifier);
    const path = join(import.meta.dirname, specifier);
    const known = loaded.get(path) ?? requireOther.cache[path];
    if (known !== undefined) return known.exports;
    const content = readFileSync(path, 'utf8');
    if (importCall.test(content)) return requireOther(path);
    const module = { exports: {} };
    run(content, path, module);
    return module.exports;
  };

  const run = (content: string, path: string, module: { exports: unknown }): unknown => {
    loaded.set(path, module);
    const name = basename(path);
    const cachedData = kept.get(name);
    const script = new Script(Module.wrap(content), {
      filename: path,
      ...(cachedData === undefined ? {} : { cachedData }),
    });
    compiled.set(name, script);
    isNew ||= cachedData === undefined || script.cachedDataRejected === true;
    const load = script.runInThisContext() as (...args: unknown[]) => unknown;
    return load.call(module.exports, module.exports, requireChunk, module, path, import.meta.dirname);
  };

  const compile = nodeModules.prototype._compile;
  nodeModules.prototype._compile = function (content, path) {
    const isCached = path.startsWith(import.meta.dirname) && !importCall.test(content);
    return isCached ? run(content, path, this as NodeJS.Module) : compile.call(this, content, path);
  };
  process.once('exit', () => {
    if (isNew) writeChunks(folder, file, kept, compiled);
  });
}

/** V8 believes what it is given: one damaged byte, and the process crashes. */
function digestOf(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

const digestBytes = 32;

/** Nothing where there is no such file, or where somebody else could have written it. */
function readChunks(file: string): CompiledChunks {
  const chunks: CompiledChunks = new Map();
  try {
    const { uid, mode } = lstatSync(file);
    if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return chunks;
    const whole = readFileSync(file);
    const [digest, bytes] = [whole.subarray(0, digestBytes), whole.subarray(digestBytes)];
    if (!digest.equals(digestOf(bytes))) return chunks;
    const headerEnd = bytes.indexOf('\n');
    let offset = headerEnd + 1;
    for (const [name, length] of JSON.parse(bytes.toString('utf8', 0, headerEnd)) as [string, number][]) {
      chunks.set(name, bytes.subarray(offset, offset + length));
      offset += length;
    }
    return chunks;
  } catch {
    return new Map();
  }
}

/** What was kept and not needed this time stays, unless another build has replaced it. A cache that cannot be written is not missed. */
function writeChunks(
  folder: string,
  file: string,
  kept: CompiledChunks,
  compiled: ReadonlyMap<string, Script>,
): void {
  try {
    const chunks = new Map([
      ...[...kept].filter(([name]) => existsSync(join(import.meta.dirname, name))),
      ...[...compiled].map(([name, script]) => [name, script.createCachedData()] as const),
    ]);
    const header = JSON.stringify([...chunks].map(([name, { length }]) => [name, length]));
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const temporary = `${file}.${process.pid}`;
    const bytes = Buffer.concat([Buffer.from(`${header}\n`), ...chunks.values()]);
    writeFileSync(temporary, Buffer.concat([digestOf(bytes), bytes]), { mode: 0o600, flag: 'wx' });
    renameSync(temporary, file);
  } catch {
    // A read-only home, a full disk: the next start compiles again.
  }
}
