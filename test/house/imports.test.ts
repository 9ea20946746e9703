import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

/** From the top down; a room may import itself and what stands below it. `docs/architecture.md` says what each is for. */
const rooms = [
  'cli',
  'ui',
  'cluster',
  'airgap',
  'playbook',
  'steps',
  'facts',
  'engine',
  'inventory',
  'k3s',
  'ssh',
  'jinja',
  'core',
];
const source = resolve(import.meta.dirname, '../../src');

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);
const texts = new Map(files.map((file) => [file, readFileSync(join(source, file), 'utf8')]));

function importsOf(file: string): string[] {
  const matches = (texts.get(file) ?? '').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return [...matches]
    .map((match) => relative(source, resolve(source, file, '..', match[1] ?? '')))
    .filter((target) => target !== '../package.json');
}

function roomOf(file: string): string {
  return file.split('/')[0] ?? '';
}

describe('the rooms under src/', () => {
  it('are the ones that the architecture names', () => {
    expect([...new Set(files.map(roomOf))].sort()).toEqual([...rooms].sort());
  });

  it('import downwards only', () => {
    const upwards = files.flatMap((file) =>
      importsOf(file)
        .filter((target) => rooms.indexOf(roomOf(target)) < rooms.indexOf(roomOf(file)))
        .map((target) => `${file} imports ${target}`),
    );
    expect(upwards).toEqual([]);
  });

  it('import nothing from outside src', () => {
    const outside = files.flatMap((file) => importsOf(file).filter((target) => target.startsWith('..')));
    expect(outside).toEqual([]);
  });

  it('end the process, and write to its streams, in cli/ alone', () => {
    const offenders = files.filter(
      (file) =>
        roomOf(file) !== 'cli' &&
        /\bprocess\.(exit\(|stdout\.write|stderr\.write)|\bconsole\.(log|error|warn)\(/.test(
          texts.get(file) ?? '',
        ),
    );
    expect(offenders).toEqual([]);
  });

  it('quote for a shell in one place', () => {
    const offenders = files.filter(
      (file) =>
        file !== 'core/shell.ts' && /replaceAll?\(\/?'\/?g?, ?[`'"]'\\\\''/.test(texts.get(file) ?? ''),
    );
    expect(offenders).toEqual([]);
  });

  it('compare versions in one place', () => {
    const importers = files.filter((file) => /from 'semver'/.test(texts.get(file) ?? ''));
    expect(importers).toEqual(['k3s/version.ts']);
  });

  it('hold no room without a name for what is in it', () => {
    const vague = files.filter((file) => /(^|\/)(utils?|helpers?|common|misc|types|index)\.ts$/.test(file));
    expect(vague).toEqual([]);
  });

  it('export no default and no enum', () => {
    const offenders = files.filter((file) =>
      /^export default|^(export )?(const )?enum /m.test(texts.get(file) ?? ''),
    );
    expect(offenders).toEqual([]);
  });
});
