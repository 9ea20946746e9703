import { closeSync, fstatSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { FleetError, type Place } from '../core/errors.ts';
import { type Located, type ReadYamlOptions, readYaml } from './located.ts';
import { meant } from './nearest.ts';

/** Larger than any playbook; a wrong path to an image must not fill the memory. */
const largestBytes = 4 * 1024 * 1024;

/** The files of one compilation, each read at most once. Nothing is read but what a playbook names. */
export class PlaybookFiles {
  readonly #read = new Map<string, Located>();
  readonly #encrypted = new Set<string>();

  constructor(private readonly options: ReadYamlOptions = {}) {}

  /** @throws FleetError */
  yaml(path: string, namedAt?: Place): Located {
    const known = this.#read.get(path);
    if (known !== undefined) return known;
    let text = readText(path, namedAt);
    if (text.startsWith('$ANSIBLE_VAULT;')) {
      text = this.#open(text, path);
      this.#encrypted.add(path);
    }
    const located = readYaml(text, path, this.options);
    this.#read.set(path, located);
    return located;
  }

  /** Whether a file that was read is vault text as a whole: what it holds is secret. */
  isEncrypted(path: string): boolean {
    return this.#encrypted.has(path);
  }

  #open(text: string, path: string): string {
    const where = { file: path, line: 1, column: 1 };
    if (this.options.decrypt === undefined) {
      throw usage(
        'PLAYBOOK_VAULT',
        `${path} is encrypted and no vault password was given`,
        'Give one with --vault-password-file or --vault-id.',
        where,
      );
    }
    const opened = this.options.decrypt(text, where);
    return typeof opened === 'object' && opened !== null && 'reveal' in opened
      ? String((opened as { reveal(): string }).reveal())
      : String(opened);
  }
}

function readText(path: string, namedAt: Place | undefined): string {
  const where = namedAt ?? { file: path };
  let handle: number | undefined;
  try {
    // Asked before it is opened: opening a FIFO would wait for ever.
    if (!statSync(path).isFile()) {
      throw usage('PLAYBOOK_FILE_UNREADABLE', `${path} is not a file`, 'Name a YAML file.', where);
    }
    handle = openSync(path, 'r');
    const { size } = fstatSync(handle);
    if (size > largestBytes) {
      throw usage(
        'PLAYBOOK_TOO_LARGE',
        `${path} has ${size} bytes; the most is ${largestBytes}`,
        'Split it.',
        where,
      );
    }
    const bytes = readFileSync(handle);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof FleetError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw missing(path, [], where);
    const reason =
      code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is not UTF-8 text' : (code ?? String(error));
    throw usage(
      'PLAYBOOK_FILE_UNREADABLE',
      `${path} cannot be read: ${reason}`,
      'Check its permissions and encoding.',
      where,
    );
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/**
 * The first of the folders in which a named file exists, as an absolute path.
 * @throws FleetError PLAYBOOK_FILE_MISSING that names where it was looked for and the nearest name there
 */
export function locate(name: string, folders: readonly string[], where: Place | undefined): string {
  const candidates = isAbsolute(name) ? [name] : [...new Set(folders.map((folder) => resolve(folder, name)))];
  const found = candidates.find(isFile);
  if (found !== undefined) return found;
  throw missing(name, candidates, where);
}

function missing(name: string, candidates: readonly string[], where: Place | undefined): FleetError {
  const looked = candidates.length === 0 ? [name] : candidates;
  const neighbours = [...new Set(looked.map((path) => dirname(path)))].flatMap((folder) =>
    namesIn(folder).map((entry) => join(dirname(name), entry)),
  );
  return usage(
    'PLAYBOOK_FILE_MISSING',
    `no file '${name}'`,
    meant(
      name,
      neighbours.filter((entry) => basename(entry) !== basename(name)),
      `Looked for ${looked.slice(0, 4).join(', ')}.`,
    ),
    where,
  );
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).slice(0, 2000);
  } catch {
    return [];
  }
}

/** Whether there is a regular file (or a link to one). */
export function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Whether there is a folder (or a link to one). */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function usage(code: string, message: string, fix: string, where: Place | undefined): FleetError {
  return new FleetError({ code, message, fix, blame: 'usage', ...(where === undefined ? {} : { where }) });
}
