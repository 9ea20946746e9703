import { join } from 'node:path';
import { isMap } from 'yaml';
import { offsetOf } from '../jinja/yaml-read.ts';
import type { Findings } from './findings.ts';
import type { InventoryReader } from './inventory-reader.ts';
import { SourceText } from './source-text.ts';
import type { WrittenValue } from './written-value.ts';
import { readYamlFile } from './yaml-file.ts';

const EXTENSIONS = ['.yml', '.yaml', '.json'];

/** Variables by name. */
export type VarLayer = ReadonlyMap<string, WrittenValue>;

/**
 * The `group_vars` or `host_vars` of one folder, by the name of the group or host. Ansible takes the first that exists of
 * `NAME` (a file, or a folder of files), `NAME.yml`, `NAME.yaml`, `NAME.json`.
 */
export async function readVarsFolder(
  reader: InventoryReader,
  folder: string,
  names: Iterable<string>,
  findings: Findings,
): Promise<ReadonlyMap<string, VarLayer>> {
  const layers = new Map<string, VarLayer>();
  const kind = await reader.files.kind(folder);
  if (kind !== 'folder') {
    if (kind === 'file') {
      findings.warn({
        code: 'VARS_FOLDER',
        message: `${folder} is a file, so its variables are ignored`,
        fix: 'It must be a folder with one file for each group or host.',
        where: { file: folder },
      });
    }
    return layers;
  }
  const entries = new Set(await reader.files.list(folder));
  for (const name of names) {
    // Names may have slashes (chroot paths), and must not lead out of the folder.
    if (name.includes('/') || name === '.' || name === '..') continue;
    const found = ['', ...EXTENSIONS]
      .map((extension) => name + extension)
      .find((entry) => entries.has(entry));
    if (found === undefined) continue;
    const layer = new Map<string, WrittenValue>();
    for (const file of await varsFiles(reader, join(folder, found), true)) {
      for (const [key, value] of await readVarsFile(reader, file, findings)) layer.set(key, value);
    }
    layers.set(name, layer);
  }
  return layers;
}

async function varsFiles(
  reader: InventoryReader,
  path: string,
  top: boolean,
  depth = 0,
): Promise<readonly string[]> {
  if ((await reader.files.kind(path)) !== 'folder') return [path];
  if (depth > 20) return [];
  const files: string[] = [];
  for (const entry of await reader.files.list(path)) {
    if (entry.startsWith('.') || entry.endsWith('~')) continue;
    const full = join(path, entry);
    const extension = /\.[^.]*$/.exec(entry)?.[0] ?? '';
    const kind = await reader.files.kind(full);
    if (kind === 'folder' && (extension === '' || top === false))
      files.push(...(await varsFiles(reader, full, false, depth + 1)));
    else if (kind === 'file' && (extension === '' || EXTENSIONS.includes(extension))) files.push(full);
  }
  return files;
}

/** The variables of one file: YAML or JSON, encrypted as a whole by ansible-vault or sops, or not. */
export async function readVarsFile(
  reader: InventoryReader,
  path: string,
  findings: Findings,
): Promise<ReadonlyMap<string, WrittenValue>> {
  const vars = new Map<string, WrittenValue>();
  const read = await reader.readText(path, findings);
  if (read === undefined) return vars;
  const source = new SourceText(path, read.text);
  const file = readYamlFile(source, reader.vault, findings);
  if (file === undefined) return vars;
  const root = file.values.resolve(file.root);
  if (!isMap(root)) {
    if (file.values.value(file.root) !== null) {
      findings.error({
        code: 'VARS_SHAPE',
        message: `${path} must be a dict of variables`,
        fix: 'Write "name: value" lines.',
        where: { file: path, line: 1 },
      });
    }
    return vars;
  }
  const pairs = file.values.pairs(root);
  if (pairs.some(({ key, valueNode }) => key === 'sops' && isSopsBlock(file.values.value(valueNode)))) {
    const plain = await reader.decryptSops(path, findings);
    return plain === undefined ? vars : parsedVars(plain, path, reader, findings);
  }
  for (const { key, keyNode, valueNode } of pairs) {
    const value = read.encrypted
      ? reader.secretly(file.values.value(valueNode))
      : file.values.value(valueNode);
    vars.set(String(key), { value, source, offset: offsetOf(keyNode) });
  }
  file.finish();
  return vars;
}

function isSopsBlock(value: unknown): boolean {
  return value !== null && typeof value === 'object' && 'mac' in value && 'version' in value;
}

function parsedVars(
  plain: string,
  path: string,
  reader: InventoryReader,
  findings: Findings,
): ReadonlyMap<string, WrittenValue> {
  const vars = new Map<string, WrittenValue>();
  const file = readYamlFile(new SourceText(path, plain), reader.vault, findings);
  const root = file?.values.resolve(file.root);
  if (file === undefined || !isMap(root)) return vars;
  for (const { key, valueNode } of file.values.pairs(root)) {
    // Lines of the decrypted text are not those of the file, so only the file is named.
    vars.set(String(key), { value: reader.secretly(file.values.value(valueNode)), where: { file: path } });
  }
  return vars;
}
