import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { asFleetErrors } from '../../src/core/errors.ts';
import { userSteps, withUserSteps } from '../../src/playbook/user-steps.ts';
import { allSteps, stepNamed } from '../../src/steps/registry.ts';
import { stepsUnderTest } from '../../src/steps/step-harness.ts';
import { stepKit } from '../../src/steps/step-kit.ts';
import { emptyFolder, fleet } from '../cli/run-fleet.ts';
// @ts-expect-error: a step file is JavaScript, typed by its own comment.
import { steps } from './own-steps/steps/motd.mjs';

const example = join(import.meta.dirname, 'own-steps');
const isRoot = process.getuid?.() === 0;

describe('a step of a user', () => {
  test.skipIf(!isRoot)('runs beside its playbook, changes once, and is in a plan what it is in a run', () => {
    const cwd = emptyFolder();
    cpSync(example, cwd, { recursive: true });
    const where = [
      'play',
      'site.yml',
      '-i',
      'a,',
      '-e',
      'ansible_connection=local',
      '-e',
      'ansible_become=false',
    ];
    const planned = fleet([...where, '--check', '--diff'], { cwd });
    expect(planned.code).toBe(2);
    expect(planned.out).toContain('+ Managed by a.');
    expect(fleet(where, { cwd }).code).toBe(0);
    expect(readFileSync(join(cwd, 'motd'), 'utf8')).toBe('Managed by a.\n');
    expect(fleet([...where, '--check'], { cwd }).code).toBe(0);
  });

  test.skipIf(!isRoot)('has its arguments checked before the run, as any other', () => {
    const cwd = emptyFolder();
    cpSync(example, cwd, { recursive: true });
    writeFileSync(join(cwd, 'site.yml'), '- hosts: all\n  tasks:\n    - motd: {lines: x}\n');
    const { code, err } = fleet(['play', 'site.yml', '-i', 'a,'], { cwd });
    expect(code).toBe(64);
    expect(err).toContain('Write line instead of lines.');
    expect(err).toContain('site.yml:3:14');
  });

  test('is explained by fleet doc where its file is', () => {
    const cwd = emptyFolder();
    cpSync(example, cwd, { recursive: true });
    const { code, out } = fleet(['doc', 'motd'], { cwd });
    expect(code).toBe(0);
    expect(out).toContain('motd: The message of the day ends with one line.');
    expect(out).toMatch(/line \(text; required\)\n {6}The line\./);
    expect(fleet(['doc'], { cwd }).out).toMatch(/^motd +The message of the day/m);
    expect(fleet(['doc', 'motd']).err).toContain('there is no step "motd"');
  });

  test.skipIf(!isRoot)('is done by fleet run', () => {
    const cwd = emptyFolder();
    cpSync(example, cwd, { recursive: true });
    const local = ['-i', 'a,', '-e', 'ansible_connection=local', '-e', 'ansible_become=false'];
    const run = (text: string) => fleet(['run', ...local, '-m', 'motd', '-a', text], { cwd });
    expect(run(`line=hello file=${cwd}/said`)).toMatchObject({ code: 0 });
    expect(readFileSync(join(cwd, 'said'), 'utf8')).toBe('hello\n');
    expect(run('line=hello fil=x')).toMatchObject({
      code: 64,
      err: expect.stringContaining('Write file instead of fil.'),
    });
  });

  test('is tested without a host', () => {
    const motd = stepsUnderTest(steps).motd;
    if (motd === undefined) throw new Error('no step');
    expect(motd.questions({ line: 'x' }).motd?.key).toBe('content:/etc/motd');
    expect(motd.plan('x', { motd: { text: 'hello\nx\n' } })).toMatchObject({ verdict: 'unchanged' });
    expect(motd.plan('x', { motd: { text: 'hello\n' } })).toMatchObject({
      verdict: 'change',
      diff: [{ after: 'hello\nx\n' }],
    });
    motd.settles('x', { motd: { text: 'hello\n' } });
    expect(() => motd.plan({ lin: 'x' }, {})).toThrow('no argument lin');
  });

  test('that the docs show is this one', () => {
    const docs = readFileSync(join(import.meta.dirname, '../../docs/steps-of-your-own.md'), 'utf8');
    for (const file of ['steps/motd.mjs', 'site.yml']) {
      expect(docs).toContain(readFileSync(join(example, file), 'utf8'));
    }
  });
});

describe('a file of steps that is wrong is refused with its line:', () => {
  const good = "args: args({}), summary: 's', examples: ['- x:'], look: () => ({}), plan: () => ({})";
  const cases: readonly (readonly [string, string, string])[] = [
    ['no steps', 'export const step = 1;\n', "1:1 it exports no function 'steps'"],
    ['no list', '\nexport const steps = () => 1;\n', "2:14 'steps' gives no list"],
    ['a syntax error', 'export const steps = () => [\n', 'the file cannot be loaded'],
    ['an error while loading', '\n\nnull.x;\n', '3:6 the file cannot be loaded'],
    [
      'no name',
      `export const steps = ({ defineStep, args }) => [\n  defineStep({ ${good} }),\n];\n`,
      'a step has no name',
    ],
    [
      'no plan',
      "export const steps = ({ args }) => [\n  { name: 'x', summary: 's', args: args({}), examples: ['x'], look: () => ({}) },\n];\n",
      '2:5 step x has no function plan',
    ],
    [
      'an argument without a description',
      `export const steps = () => [\n  { ${good.replace('args({})', "{ type: 'object', properties: { a: {} } }")}, name: 'x' },\n];\n`,
      'step x does not describe its argument a',
    ],
  ];
  test.each(cases)('%s', async (_, text, said) => {
    const folder = emptyFolder();
    mkdirSync(join(folder, 'steps'));
    writeFileSync(join(folder, 'steps', 'x.mjs'), text);
    const errors = await userSteps(folder, stepKit).then(
      () => [],
      (error: unknown) => asFleetErrors(error),
    );
    expect(
      errors.map(({ where, message }) => `${where?.line}:${where?.column} ${message}`).join('\n'),
    ).toContain(said);
  });

  test('a name that is taken', async () => {
    const folder = emptyFolder();
    mkdirSync(join(folder, 'steps'));
    writeFileSync(
      join(folder, 'steps', 'x.mjs'),
      `export const steps = ({ args }) => [{ name: 'copy', ${good} }];\n`,
    );
    const own = await userSteps(folder, stepKit);
    expect(() => withUserSteps({ allSteps, stepNamed }, own)).toThrow('a step is called copy already');
  });
});
