import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Type } from '@sinclair/typebox';
import { onTestFinished } from 'vitest';
import { asFleetErrors, FleetError } from '../../src/core/errors.ts';
import type { Entry, Task } from '../../src/engine/play.ts';
import { type AnyStep, defineStep, unchanged } from '../../src/engine/step.ts';
import type { Fleet, Host, Variables } from '../../src/inventory/fleet.ts';
import { type CompiledPlay, type CompileOptions, compilePlaybook } from '../../src/playbook/compile.ts';
import type { StepLibrary } from '../../src/playbook/step-library.ts';

/** Variables that know `{{ name }}` and `{{ name.key }}`, which is all that these tests template. */
export function fakeVariables(values: Readonly<Record<string, unknown>>): Variables {
  const lookUp = (expression: string): unknown => {
    const found = expression
      .trim()
      .split('.')
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], values);
    if (found === undefined) {
      throw new FleetError({
        code: 'TEMPLATE_UNDEFINED',
        message: `'${expression.trim()}' is undefined`,
        blame: 'usage',
      });
    }
    return template(found);
  };
  const template = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(template);
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, template(item)]));
    }
    if (typeof value !== 'string') return value;
    const sole = /^\{\{([^{}]*)\}\}$/.exec(value);
    if (sole !== null) return lookUp(sole[1] ?? '');
    return value.replace(/\{\{(.*?)\}\}/g, (_, expression: string) => String(lookUp(expression)));
  };
  return {
    names: () => Object.keys(values).sort(),
    has: (name) => name in values,
    raw: (name) => values[name],
    where: () => undefined,
    get: (name) => template(values[name]),
    levels: (name) => (name in values ? [template(values[name])] : []),
    with: (more) => fakeVariables({ ...values, ...more }),
    template,
    test: (expression) => (typeof expression === 'boolean' ? expression : Boolean(lookUp(expression))),
  };
}

const groups: Readonly<Record<string, readonly string[]>> = {
  all: ['s1', 's2', 'a1', 'a2'],
  server: ['s1', 's2'],
  agent: ['a1', 'a2'],
};

/** Four hosts in two groups. */
export function fakeFleet(): Fleet {
  const names = groups.all ?? [];
  const hosts = new Map<string, Host>(
    names.map((name) => [name, { name, groups: [], vars: fakeVariables({ inventory_hostname: name }) }]),
  );
  return {
    sources: ['inventory.yml'],
    vars: fakeVariables({ groups }),
    warnings: [],
    hosts,
    groups: new Map(
      Object.entries(groups).map(([name, members]) => [
        name,
        { name, hosts: members, ownHosts: members, children: [], parents: [], writtenBelow: [] },
      ]),
    ),
    select: (pattern) => {
      const wanted = new Set(
        pattern.split(/[,:]/).flatMap((part) => {
          const members = groups[part.trim()] ?? (hosts.has(part.trim()) ? [part.trim()] : undefined);
          if (members === undefined) {
            throw new FleetError({
              code: 'HOST_UNKNOWN',
              message: `no host or group '${part}'`,
              fix: 'Name one that there is.',
              blame: 'usage',
            });
          }
          return members;
        }),
      );
      return [...hosts.values()].filter((host) => wanted.has(host.name));
    },
  };
}

function step(name: string, properties: Parameters<typeof Type.Object>[0], freeForm?: string): AnyStep {
  return defineStep({
    name,
    summary: 'A step for tests.',
    args: Type.Object(properties, { additionalProperties: false }),
    ...(freeForm === undefined ? {} : { freeForm }),
    examples: [`- ${name}:`],
    look: () => ({}),
    plan: () => unchanged('tests change nothing'),
  }) as AnyStep;
}

const text = (): ReturnType<typeof Type.Optional> => Type.Optional(Type.String());
const command = { cmd: Type.String(), creates: text(), removes: text(), chdir: text() };

export const fakeSteps: readonly AnyStep[] = [
  step('command', command, 'cmd'),
  step('shell', command, 'cmd'),
  step('copy', {
    src: text(),
    content: text(),
    dest: Type.String(),
    mode: text(),
    backup: Type.Optional(Type.Boolean()),
  }),
  step('service', {
    name: Type.String(),
    state: Type.Optional(Type.Union([Type.Literal('started'), Type.Literal('stopped')])),
    enabled: Type.Optional(Type.Boolean()),
  }),
  step('template', { src: Type.String(), dest: Type.String() }),
  step('ping', {}),
];

export const fakeLibrary: StepLibrary = {
  stepNamed: (name) => fakeSteps.find((known) => known.name === name),
  allSteps: fakeSteps,
};

export type ProjectFiles = Readonly<Record<string, string>>;

/** Writes files to a folder of their own that goes away with the test. */
export function writeProject(files: ProjectFiles): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'fleet-playbook-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

export function testOptions(more: Partial<CompileOptions> = {}): CompileOptions {
  return { fleet: fakeFleet(), steps: fakeLibrary, ...more };
}

/** Compiles `site.yml` of a project; one text is that file. */
export async function compiled(
  files: string | ProjectFiles,
  more: Partial<CompileOptions> = {},
): Promise<readonly CompiledPlay[]> {
  const folder = writeProject(typeof files === 'string' ? { 'site.yml': files } : files);
  return compilePlaybook(join(folder, 'site.yml'), testOptions(more));
}

/** The tasks of one play on all hosts. */
export async function tasksOf(tasks: string, more: Partial<CompileOptions> = {}): Promise<readonly Entry[]> {
  const indented = tasks.replace(/^/gm, '    ');
  const [play] = await compiled(`- hosts: all\n  tasks:\n${indented}\n`, more);
  return play?.tasks ?? [];
}

export async function firstTask(tasks: string, more: Partial<CompileOptions> = {}): Promise<Task> {
  const [entry] = await tasksOf(tasks, more);
  if (entry?.kind !== 'task') throw new Error(`no task but ${entry?.kind}`);
  return entry;
}

/** What compiling complains about: `CODE line:column message | fix`. */
export async function faultsOf(
  files: string | ProjectFiles,
  more: Partial<CompileOptions> = {},
): Promise<readonly string[]> {
  try {
    await compiled(files, more);
    return [];
  } catch (thrown) {
    return asFleetErrors(thrown).map(
      ({ code, where, message, fix }) => `${code} ${where?.line}:${where?.column} ${message} | ${fix}`,
    );
  }
}

/** Names of the tasks that are left, blocks flattened. */
export function namesIn(entries: readonly Entry[]): readonly string[] {
  return entries.flatMap((entry) =>
    entry.kind === 'block'
      ? [...namesIn(entry.tasks), ...namesIn(entry.rescue), ...namesIn(entry.always)]
      : [entry.name],
  );
}
