import { readdirSync } from 'node:fs';
import { extname, isAbsolute, join, resolve } from 'node:path';
import { Type } from '@sinclair/typebox';
import { FleetError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { askControl } from '../engine/fact.ts';
import { type AnyStep, defineStep, type HostView, unchanged } from '../engine/step.ts';
import { isFile, isFolder, locate, PlaybookFiles } from './files.ts';
import type { ReadYamlOptions } from './located.ts';

type Values = Readonly<Record<string, unknown>>;

/** Reads a file, or a folder, of variables on the control node into the host's variables. Values stay templates until they are used. */
export function includeVarsStep(options: ReadYamlOptions = {}): AnyStep {
  return defineStep({
    name: 'include_vars',
    summary: 'The variables of a file are known to the tasks that follow.',
    args: Type.Object(
      {
        file: Type.Optional(Type.String({ description: 'A YAML or JSON file of variables.' })),
        dir: Type.Optional(
          Type.String({ description: 'A folder of such files, read in the order of their names.' }),
        ),
        name: Type.Optional(Type.String({ description: 'Puts the variables into a mapping of this name.' })),
        depth: Type.Optional(
          Type.Integer({ description: 'How deep folders are read; 0 is all the way.', minimum: 0 }),
        ),
        extensions: Type.Optional(
          Type.Array(Type.String(), {
            description: 'File name extensions that count. Default: yaml, yml, json.',
          }),
        ),
        ignore_files: Type.Optional(Type.Array(Type.String(), { description: 'File names to leave out.' })),
      },
      { additionalProperties: false },
    ),
    freeForm: 'file',
    examples: [
      '- include_vars: "{{ ansible_distribution }}.yml"',
      '- include_vars:\n    dir: vars\n    name: settings',
    ],
    readsOnly: true,
    look: (args, host: HostView) => ({
      values: askControl<Values>({
        key: `vars:${JSON.stringify([args, host.searchPath])}`,
        read: async () => readVariables(args, host.searchPath, new PlaybookFiles(options)),
      }),
    }),
    plan: ({ values }, args) =>
      unchanged('variables are read', {
        ansible_facts: args.name === undefined ? values : { [args.name]: values },
      }),
  }) as AnyStep;
}

/** What `include_vars` is told. */
export interface IncludeVarsArgs {
  readonly file?: string;
  readonly dir?: string;
  readonly depth?: number;
  readonly extensions?: readonly string[];
  readonly ignore_files?: readonly string[];
}

/** @throws FleetError for what is not there or no mapping of variables. */
export function readVariables(
  args: IncludeVarsArgs,
  folders: readonly string[],
  files: PlaybookFiles,
): Values {
  if (args.dir !== undefined) {
    const { dir } = args;
    const folder = (isAbsolute(dir) ? [dir] : folders.map((base) => resolve(base, dir))).find(isFolder);
    if (folder === undefined) throw fault('PLAYBOOK_FILE_MISSING', `no folder '${dir}'`);
    const parts = filesUnder(folder, args, 1).map((path) => variablesOfFile(path, files));
    return Object.assign({}, ...parts) as Values;
  }
  if (args.file === undefined) throw fault('PLAYBOOK_ARGS', "include_vars needs 'file' or 'dir'");
  return variablesOfFile(locate(args.file, folders, undefined), files);
}

/** The variables that a file holds; an empty file holds none. */
export function variablesOfFile(path: string, files: PlaybookFiles): Values {
  const located = files.yaml(path);
  if (located.value === null) return {};
  if (located.entries === undefined) {
    throw new FleetError({
      code: 'PLAYBOOK_VARIABLES',
      message: `${path} is no mapping of variable names to values`,
      fix: "Write 'name: value' lines.",
      where: located.place,
      blame: 'usage',
    });
  }
  return (files.isEncrypted(path) ? asSecrets(located.value) : located.value) as Values;
}

/** Every text in an encrypted file is a secret, as in the inventory's; a template is one once it is filled in. */
function asSecrets(value: unknown): unknown {
  if (typeof value === 'string') return new Secret(value);
  if (Array.isArray(value)) return value.map(asSecrets);
  if (value === null || typeof value !== 'object' || value instanceof Secret) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asSecrets(item)]));
}

function filesUnder(folder: string, args: IncludeVarsArgs, level: number): readonly string[] {
  const extensions = args.extensions ?? ['yaml', 'yml', 'json'];
  const names = readdirSync(folder).sort();
  const here = names
    .filter(
      (name) => extensions.includes(extname(name).slice(1)) && args.ignore_files?.includes(name) !== true,
    )
    .map((name) => join(folder, name))
    .filter(isFile);
  const deeper = args.depth === undefined || args.depth === 0 ? level < 20 : level < args.depth;
  const below = deeper ? names.map((name) => join(folder, name)).filter(isFolder) : [];
  return [...here, ...below.flatMap((path) => filesUnder(path, args, level + 1))];
}

function fault(code: string, message: string): FleetError {
  return new FleetError({ code, message, fix: 'Correct the name.', blame: 'usage' });
}
