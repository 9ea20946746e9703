import { homedir } from 'node:os';
import { dirname, extname, isAbsolute, join, resolve } from 'node:path';
import { FleetError, FleetErrors } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { TemplateError } from '../jinja/error.ts';
import type { Lookup } from '../jinja/template.ts';
import { dictGet, isDict, isTrue, toText } from '../jinja/value.ts';
import { thisMachine } from './control-machine.ts';
import { readExtraVars } from './extra-vars.ts';
import { Findings } from './findings.ts';
import { expandHostPattern, HostRangeError } from './host-pattern.ts';
import { readIniInventory } from './ini-inventory.ts';
import { InventoryDraft } from './inventory-draft.ts';
import { type InventoryFiles, realFiles } from './inventory-files.ts';
import { type InventoryReader, inventoryReader } from './inventory-reader.ts';
import { fleetOf, type LoadedFleet, type VarsFromFiles } from './loaded-fleet.ts';
import { readLookupFile } from './lookup-file.ts';
import { readScriptAnswer } from './script-inventory.ts';
import { SourceText } from './source-text.ts';
import { readVarsFolder } from './vars-files.ts';
import { Vault } from './vault.ts';
import { type AskPassword, vaultPasswords } from './vault-passwords.ts';
import { readYamlInventory } from './yaml-inventory.ts';

export interface LoadOptions {
  /** What `-i` was given: files, folders, executables, host lists. The later win over the earlier. */
  readonly sources: readonly string[];
  /** What `-e` was given, in order. */
  readonly extraVars?: readonly string[];
  /** The folder of the playbook: its group_vars and host_vars count too, and `playbook_dir` is it. */
  readonly playbookFolder?: string;
  /** What `--vault-id` was given: `id@source`, where the source is a file, a program or `prompt`. */
  readonly vaultIds?: readonly string[];
  readonly vaultPasswordFiles?: readonly string[];
  readonly askVaultPassword?: boolean;
  /** Asks a person; for `--ask-vault-pass` and `--vault-id id@prompt`. */
  readonly ask?: AskPassword;
  /** For `lookup('env', …)` and ANSIBLE_VAULT_PASSWORD_FILE. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly files?: InventoryFiles;
  /** Hears what is doubtful where errors stop the reading, so that no fleet is there to have it in its `warnings`. */
  readonly onUnreadable?: (warnings: readonly FleetError[]) => void;
}

/**
 * Reads inventories and everything beside them into a fleet.
 * @throws FleetErrors with all that is wrong; what is only doubtful is in the fleet's `warnings`.
 */
export async function loadFleet(options: LoadOptions): Promise<LoadedFleet> {
  const findings = new Findings();
  const files = options.files ?? realFiles;
  const cwd = options.cwd ?? process.cwd();
  const env = options.env ?? process.env;
  const passwords = await vaultPasswords({
    ids: options.vaultIds ?? [],
    files: options.vaultPasswordFiles ?? [],
    askAlways: options.askVaultPassword === true,
    ...(options.ask === undefined ? {} : { ask: options.ask }),
    env,
    inputs: files,
    findings,
  });
  const reader = inventoryReader(files, new Vault(passwords));
  const draft = new InventoryDraft();
  if (options.sources.length === 0) {
    findings.error({
      code: 'INVENTORY_MISSING',
      message: 'no inventory was given',
      fix: 'Give one with -i inventory.yml, or write one with: fleet init',
    });
  }
  const folders: string[] = [];
  for (const source of options.sources) {
    const folder = await readSource(source, draft, reader, findings, cwd);
    if (folder !== undefined) folders.push(folder);
  }
  draft.reconcile();
  warnOfSharedNames(draft, findings);
  const playbookFolder = resolve(cwd, options.playbookFolder ?? '.');
  const besideInventory = await readBeside(folders, draft, reader, findings);
  const sharedWithPlaybook = options.playbookFolder === undefined || folders.includes(playbookFolder);
  const besidePlaybook = await readBeside(
    sharedWithPlaybook ? [] : [playbookFolder],
    draft,
    reader,
    findings,
  );
  const extra = await readExtraVars(options.extraVars ?? [], reader, findings);
  if (findings.errors.length > 0) options.onUnreadable?.(findings.warnings);
  FleetErrors.throwIfAny(findings.errors);
  return fleetOf({
    sources: options.sources,
    draft,
    besideInventory,
    besidePlaybook,
    extra,
    playbookFolder,
    lookups: lookupsOf(env, playbookFolder, reader),
    control: thisMachine(env, cwd),
    warnings: findings.warnings,
  });
}

const IGNORED_NAMES = /^\.|^(?:host_vars|group_vars|vars_plugins)$/;
const IGNORED_EXTENSIONS = [
  '.pyc',
  '.pyo',
  '.swp',
  '.bak',
  '.rpm',
  '.md',
  '.txt',
  '.rst',
  '.orig',
  '.cfg',
  '.retry',
  '~',
];
/** Read when it is named, yet not as one of a folder, where it is mostly the configuration of a program beside it. */
const NOT_IN_FOLDERS = '.ini';
const YAML_EXTENSIONS = ['.yml', '.yaml', '.json'];
const TERRAFORM = /\.(?:tf|tfvars|tftpl|tpl|tmpl|hcl)$/;

/** Reads one `-i`; gives the folder whose group_vars and host_vars belong to it. */
async function readSource(
  source: string,
  draft: InventoryDraft,
  reader: InventoryReader,
  findings: Findings,
  cwd: string,
): Promise<string | undefined> {
  const path = isAbsolute(source) ? source : resolve(cwd, expandHome(source));
  const kind = await reader.files.kind(path);
  if (kind === 'missing' && source.includes(',')) {
    readHostList(source, draft, findings);
    return undefined;
  }
  if (kind === 'missing') {
    findings.error({
      code: 'INVENTORY_NOT_FOUND',
      message: `there is no inventory ${source}`,
      fix: 'Correct the path given by -i, or write one with: fleet init',
    });
    return undefined;
  }
  if (kind === 'folder') {
    await readFolder(path, draft, reader, findings, 0);
    return path;
  }
  await readFile(path, draft, reader, findings);
  return dirname(path);
}

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}

async function readFolder(
  folder: string,
  draft: InventoryDraft,
  reader: InventoryReader,
  findings: Findings,
  depth: number,
): Promise<void> {
  if (depth > 20) return;
  for (const entry of await reader.files.list(folder)) {
    if (IGNORED_NAMES.test(entry) || IGNORED_EXTENSIONS.some((extension) => entry.endsWith(extension)))
      continue;
    const path = join(folder, entry);
    if (entry.endsWith(NOT_IN_FOLDERS)) {
      findings.warn({
        code: 'INVENTORY_FILE_SKIPPED',
        message: `${path} is not read: Ansible leaves *${NOT_IN_FOLDERS} files of a folder out`,
        fix: `Rename it (hosts, *.yml), or name it: -i ${path}`,
        where: { file: path },
      });
    } else if ((await reader.files.kind(path)) === 'folder')
      await readFolder(path, draft, reader, findings, depth + 1);
    else await readFile(path, draft, reader, findings);
  }
}

async function readFile(
  path: string,
  draft: InventoryDraft,
  reader: InventoryReader,
  findings: Findings,
): Promise<void> {
  draft.source = path;
  if (TERRAFORM.test(path)) {
    findings.error({
      code: 'INVENTORY_TERRAFORM',
      message: `${path} belongs to Terraform, which makes inventories but is none`,
      fix: 'Run terraform apply and give fleet the file that it writes.',
      where: { file: path },
    });
    return;
  }
  if (await reader.files.isExecutable(path)) {
    const text = await reader.readText(path, new Findings());
    // A YAML file with its executable bit set by accident is still YAML, as in Ansible once the script has failed.
    if (
      text?.text.startsWith('#!') === true ||
      text === undefined ||
      !YAML_EXTENSIONS.includes(extname(path))
    ) {
      await readProgram(path, draft, reader, findings);
      return;
    }
  }
  const read = await reader.readText(path, findings);
  if (read === undefined) return;
  const source = new SourceText(path, read.text);
  if (/^\s*%\{\s*(?:for|if)\b/m.test(read.text)) {
    findings.error({
      code: 'INVENTORY_TERRAFORM',
      message: `${path} is a Terraform template of an inventory`,
      fix: 'Run terraform apply and give fleet the file that it writes.',
      where: { file: path },
    });
    return;
  }
  if (looksLikeYaml(path, read.text)) readYamlInventory(source, draft, reader.vault, findings);
  else readIniInventory(source, draft, findings);
}

/**
 * By its name, but for a `.yml` that begins with a `[section]`, as no YAML inventory can; a name without an extension is decided
 * by the first line that means something.
 */
function looksLikeYaml(path: string, text: string): boolean {
  const extension = extname(path);
  if (extension === '.json') return true;
  const isCalledYaml = YAML_EXTENSIONS.includes(extension);
  if (extension !== '' && !isCalledYaml) return false;
  const first = text.split('\n').find((line) => line.trim() !== '' && !/^\s*[#;]/.test(line)) ?? '';
  if (isCalledYaml) return !/^\s*\[[\w.-]+(?::\w+)?\]\s*(?:[#;].*)?$/.test(first);
  return /^(?:---|\{|%YAML)|^["']?[\p{L}\p{N}_.-]+["']?\s*:(?:\s|$)/u.test(first.trimEnd());
}

async function readProgram(
  path: string,
  draft: InventoryDraft,
  reader: InventoryReader,
  findings: Findings,
): Promise<void> {
  try {
    const answer = await reader.files.run(path, ['--list'], 'the inventory program');
    await readScriptAnswer(path, answer, draft, findings, (host) =>
      reader.files.run(path, ['--host', host], 'the inventory program'),
    );
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    findings.errors.push(error);
  }
}

function readHostList(source: string, draft: InventoryDraft, findings: Findings): void {
  draft.source = source;
  const group = draft.addGroup('ungrouped');
  for (const entry of source.split(',').map((part) => part.trim())) {
    if (entry === '') continue;
    try {
      const { names, port } = expandHostPattern(entry);
      for (const name of names) {
        const known = draft.hosts.has(name);
        const host = draft.addHost(name, group);
        if (port !== undefined && !known) host.vars.set('ansible_port', { value: port });
      }
    } catch (error) {
      if (!(error instanceof HostRangeError)) throw error;
      findings.error({
        code: 'INVENTORY_RANGE',
        message: `"${entry}" given by -i: ${error.message}`,
        fix: 'Write a range as node[1:3], node[01:10:2] or db[a:c].',
      });
    }
  }
}

async function readBeside(
  folders: readonly string[],
  draft: InventoryDraft,
  reader: InventoryReader,
  findings: Findings,
): Promise<VarsFromFiles> {
  const groups = [];
  const hosts = [];
  for (const folder of folders) {
    groups.push(await readVarsFolder(reader, join(folder, 'group_vars'), draft.groups.keys(), findings));
    hosts.push(await readVarsFolder(reader, join(folder, 'host_vars'), draft.hosts.keys(), findings));
  }
  return { groups, hosts };
}

function warnOfSharedNames(draft: InventoryDraft, findings: Findings): void {
  for (const [name, host] of draft.hosts) {
    if (!draft.groups.has(name)) continue;
    findings.warn({
      code: 'INVENTORY_NAME_SHARED',
      message: `"${name}" names both a host and a group`,
      fix: 'Rename one: patterns take such a name for the host.',
      ...(host.where === undefined ? {} : { where: host.where }),
    });
  }
}

/** The names that one term of `first_found` stands for: a name, or `files` below `paths`. */
function namesToTry(term: unknown): readonly string[] {
  if (!isDict(term)) return [toText(term)];
  const listOf = (value: unknown): readonly string[] =>
    value === undefined || value === null
      ? []
      : Array.isArray(value)
        ? value.map(toText)
        : toText(value).split(/[,;]/);
  const [files, paths] = [listOf(dictGet(term, 'files')), listOf(dictGet(term, 'paths'))];
  return paths.length === 0 ? files : paths.flatMap((path) => files.map((name) => join(path, name)));
}

/** The only ways out of a template: environment variables and files of the control machine, each asked for by name. */
function lookupsOf(
  env: NodeJS.ProcessEnv,
  playbookFolder: string,
  reader: InventoryReader,
): ReadonlyMap<string, Lookup> {
  const machine = thisMachine(env, playbookFolder);
  /** Where Ansible looks for the files of a role's tasks and of a playbook's, nearest first. */
  const foldersFor = (variable: (name: string) => unknown): readonly string[] => {
    const role = variable('role_path');
    const homes = [...(typeof role === 'string' ? [role] : []), playbookFolder];
    return homes.flatMap((home) => [join(home, 'files'), home]);
  };
  const found = (name: string, variable: (name: string) => unknown): string | undefined => {
    const path = expandHome(name);
    const places = isAbsolute(path) ? [path] : foldersFor(variable).map((folder) => resolve(folder, path));
    return places.find((place) => machine.stateOf(place).kind === 'file');
  };
  const read = (term: unknown, variable: (name: string) => unknown) =>
    readLookupFile(
      found(toText(term), variable) ?? resolve(playbookFolder, expandHome(toText(term))),
      reader.vault,
    );
  // As it is, to the last newline.
  const unvault: Lookup = (terms, _options, variable) =>
    terms.map((term) => {
      const { text, encrypted } = read(term, variable);
      return encrypted ? new Secret(text) : text;
    });
  const file: Lookup = (terms, options, variable) =>
    terms.map((term) => {
      const { text, encrypted } = read(term, variable);
      const rstrip = options.get('rstrip');
      const lstrip = options.get('lstrip');
      let content = rstrip === undefined || isTrue(rstrip) ? text.trimEnd() : text;
      if (lstrip !== undefined && isTrue(lstrip)) content = content.trimStart();
      return encrypted ? new Secret(content) : content;
    });
  const fileglob: Lookup = (terms, _options, variable) =>
    terms.flatMap((term) => {
      const pattern = expandHome(toText(term));
      const places = isAbsolute(pattern)
        ? [pattern]
        : foldersFor(variable).map((folder) => resolve(folder, pattern));
      const matches = places.map((place) =>
        machine.matching(place).filter((path) => machine.stateOf(path).kind === 'file'),
      );
      return matches.find((paths) => paths.length > 0) ?? [];
    });
  const firstFound: Lookup = (terms, options, variable) => {
    const wanted = [...(options.has('files') ? [Object.fromEntries(options)] : []), ...terms].flatMap(
      namesToTry,
    );
    const path = wanted.map((name) => found(name, variable)).find((one) => one !== undefined);
    const mayBeNone = [Object.fromEntries(options), ...terms].some(
      (term) => isDict(term) && dictGet(term, 'skip') === true,
    );
    if (path === undefined && !mayBeNone)
      throw new TemplateError(
        'failed',
        `lookup('first_found') finds none of ${wanted.slice(0, 6).join(', ')}`,
      );
    return path === undefined ? [] : [path];
  };
  const environment: Lookup = (terms, options) =>
    terms.map((term) => {
      const name = toText(term).split(' ')[0] ?? '';
      const value = env[name] ?? options.get('default');
      return value ?? '';
    });
  const refused = (name: string, instead: string): [string, Lookup] => [
    name,
    () => {
      throw new TemplateError('failed', `lookup('${name}') is not here: ${instead}`);
    },
  ];
  return new Map<string, Lookup>([
    ['env', environment],
    ['file', file],
    ['unvault', unvault],
    ['fileglob', fileglob],
    ['first_found', firstFound],
    refused('pipe', 'templates run no programs; use a dynamic inventory or -e'),
    refused('password', "keep the password in a vault, or use lookup('file', …)"),
    refused('template', 'use the template step'),
    refused('url', 'templates make no network calls'),
  ]);
}
