import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { Plan } from '../../src/engine/step.ts';
import { type FileStat, type FileState, noContent, noFile, sha256Of } from '../../src/facts/file.ts';
import type { Identity } from '../../src/facts/identity.ts';
import { copyStep } from '../../src/steps/copy.ts';
import { fileStep } from '../../src/steps/file.ts';
import { resolveMode } from '../../src/steps/file-attributes.ts';
import { hostView } from './here.ts';

const me: Identity = { user: 'root', group: 'root', uid: 0, home: '/root' };
const stat = (type: FileStat['type'], mode = '0644', owner = 'root'): FileStat => ({
  type,
  mode,
  owner,
  group: 'root',
  uid: owner === 'root' ? 0 : 1000,
  gid: 0,
});
const present = (one: FileStat): FileState => ({ self: one, followed: one });
const directory = present(stat('directory', '0755'));
const link = (target: string, followed?: FileStat): FileState => ({
  self: stat('link', '0777'),
  followed,
  linkTarget: target,
  realPath: '/real',
});

function scripts(plan: Plan<never>): string {
  if (plan.verdict !== 'change') return '';
  return plan.actions
    .map((action) =>
      action.kind === 'run' ? action.script.text : `${action.kind} ${'path' in action ? action.path : ''}`,
    )
    .join('\n');
}

describe('file', () => {
  const rows: [
    string,
    FileState,
    Record<string, unknown>,
    'unchanged' | 'change' | 'refuse',
    RegExp,
    RegExp?,
  ][] = [
    ['a directory that is there', directory, { state: 'directory' }, 'unchanged', /is a directory/],
    [
      'a directory of another mode',
      directory,
      { state: 'directory', mode: '0700' },
      'change',
      /mode 0755 → 0700/,
      /chmod 0700 \/p/,
    ],
    [
      'a directory that is missing',
      noFile,
      { state: 'directory', owner: 'k3s' },
      'change',
      /does not exist/,
      /chown k3s \/p\nchmod 0755 \/p/,
    ],
    [
      'a file where a directory shall be',
      present(stat('file')),
      { state: 'directory' },
      'refuse',
      /is a file, not a directory/,
    ],
    [
      'a link to a directory',
      link('/real', stat('directory', '0755')),
      { state: 'directory' },
      'unchanged',
      /directory/,
    ],
    ['attributes of a missing file', noFile, { mode: '0600' }, 'refuse', /does not exist/],
    [
      'attributes that are right, the owner by number',
      present(stat('file')),
      { mode: '0644', owner: '0' },
      'unchanged',
      /wanted/,
    ],
    [
      'another owner',
      present(stat('file')),
      { owner: 'k3s', group: 'k3s' },
      'change',
      /owner root → k3s, group root → k3s/,
      /chown k3s:k3s \/p/,
    ],
    [
      'setuid survives a chown',
      present(stat('file', '4755')),
      { owner: 'k3s' },
      'change',
      /owner/,
      /chown k3s \/p\nchmod 4755 \/p/,
    ],
    ['gone already', noFile, { state: 'absent' }, 'unchanged', /not there/],
    ['a tree that shall go', directory, { state: 'absent' }, 'change', /is there/, /remove \/p/],
    [
      'a broken link that shall go',
      link('/nowhere'),
      { state: 'absent' },
      'change',
      /is there \(link\)/,
      /remove \/p/,
    ],
    [
      'a link that is right',
      link('k3s', stat('file')),
      { state: 'link', src: 'k3s' },
      'unchanged',
      /points to k3s/,
    ],
    [
      'a link to elsewhere',
      link('other', stat('file')),
      { state: 'link', src: 'k3s' },
      'change',
      /points to other/,
      /ln -s -- k3s \S+\nmv -f/,
    ],
    [
      'a file where a link shall be',
      present(stat('file')),
      { state: 'link', src: 'k3s' },
      'refuse',
      /is a file, not a link/,
    ],
    [
      'a file that a link may replace',
      present(stat('file')),
      { state: 'link', src: 'k3s', force: true },
      'change',
      /is a file/,
    ],
    ['src alone means a link', noFile, { src: 'k3s' }, 'change', /does not exist/, /ln -s/],
    [
      'a touched file that is missing',
      noFile,
      { state: 'touch', mode: '0600' },
      'change',
      /does not exist/,
      /write \/p/,
    ],
    ['recurse on a file', noFile, { recurse: true }, 'refuse', /directories only/],
  ];
  test.each(rows)('%s', (_what, file, args, verdict, because, script) => {
    const plan = fileStep.plan({ file, me }, { path: '/p', ...args } as never, hostView());
    expect(plan.verdict).toBe(verdict);
    expect(plan.because).toMatch(because);
    if (script !== undefined) expect(scripts(plan as Plan<never>)).toMatch(script);
  });

  test('nobody removes /', () => {
    expect(fileStep.plan({ file: directory, me }, { path: '/', state: 'absent' }, hostView()).verdict).toBe(
      'refuse',
    );
  });

  test('what a directory will be is foreseen for later steps', () => {
    const plan = fileStep.plan(
      { file: noFile, me },
      { path: '/p/q/r', state: 'directory', mode: '0700' },
      hostView(),
    );
    expect(plan).toMatchObject({
      after: { file: { self: { type: 'directory', mode: '0700', owner: 'root' } } },
    });
    expect(plan.verdict === 'change' && plan.touches).toContain('file:/p/q');
  });
});

test.each([
  ['0644', '0600', false, '0644'],
  ['755', '0600', false, '0755'],
  ['u+x', '0644', false, '0744'],
  ['u=rwX,g=rX,o=', '0644', true, '0750'],
  ['u=rwX,g=rX,o=', '0644', false, '0640'],
  ['a-w', '0666', false, '0444'],
  ['+x', '0644', false, '0755'],
  ['g=u', '0640', false, '0660'],
  ['u+s,o+t', '0755', false, '5755'],
  ['g+s', '0755', true, '2755'],
  ['o-rwx,u+w', '0444', false, '0640'],
])('mode %s on %s (directory: %s) is %s', (wanted, now, isDirectory, mode) => {
  expect(resolveMode(wanted, now, isDirectory)).toBe(mode);
});

describe('copy', () => {
  const seen = (file: FileState, text?: string) => ({
    file,
    content: text === undefined ? noContent : { sha256: sha256Of(text), text },
    parent: directory,
    me,
  });
  const plan = (state: ReturnType<typeof seen>, args: Record<string, unknown>) =>
    copyStep.plan(state, { dest: '/etc/a', content: 'new\n', ...args } as never, hostView());

  test('the same content is left alone', () => {
    expect(plan(seen(present(stat('file')), 'new\n'), {})).toMatchObject({ verdict: 'unchanged' });
  });

  test('other content: a diff, and the owner and mode it has', () => {
    expect(plan(seen(present(stat('file', '0664', 'k3s')), 'old\n'), {})).toMatchObject({
      verdict: 'change',
      diff: [{ subject: '/etc/a', before: 'old\n', after: 'new\n' }],
      actions: [{ kind: 'write', path: '/etc/a', mode: '0664', owner: 'k3s', group: 'root' }],
      after: {
        content: { text: 'new\n', sha256: sha256Of('new\n') },
        file: { self: { type: 'file', mode: '0664' } },
      },
    });
  });

  test.each<[string, FileState, Record<string, unknown>]>([
    ['a wanted mode that hides it', noFile, { mode: '0600' }],
    ['a file that nobody else may read', present(stat('file', '0640')), {}],
    ['a secret', noFile, { content: new Secret('new\n') }],
  ])('no diff for %s', (_what, file, args) => {
    const made = plan(seen(file, file === noFile ? undefined : 'old\n'), args);
    expect(made.verdict).toBe('change');
    expect(made).not.toHaveProperty('diff');
  });

  test('the text of a hidden file is not even asked for', () => {
    const questions = copyStep.look({ dest: '/etc/a', content: new Secret('x') }, hostView());
    expect(JSON.stringify(questions)).not.toContain('head -c');
  });

  test('only attributes differ: only they change', () => {
    const made = plan(seen(present(stat('file', '0600')), 'new\n'), { mode: '0644' });
    expect(scripts(made as Plan<never>)).toBe('chmod 0644 /etc/a');
  });

  test('a missing folder is refused with the step that makes it', () => {
    const made = plan({ ...seen(noFile), parent: noFile }, {});
    expect(made).toMatchObject({ verdict: 'refuse', because: 'the folder /etc does not exist' });
  });

  test.each([
    ['force: false leaves it', { force: false }, 'unchanged'],
    ['a link is replaced', { dest: '/etc/a' }, 'change'],
  ])('%s', (_what, args, verdict) => {
    expect(plan(seen(present(stat('file')), 'old\n'), args).verdict).toBe(verdict);
  });

  test('follow writes to where the link ends', () => {
    const made = plan(seen(link('/real', stat('file')), 'old\n'), { follow: true });
    expect(made).toMatchObject({ actions: [{ kind: 'write', path: '/real' }] });
    expect(plan(seen(link('/real', stat('file')), 'old\n'), {})).toMatchObject({
      actions: [{ kind: 'write', path: '/etc/a' }],
    });
  });

  test('validate gets the temporary path as one word', () => {
    const made = plan(seen(noFile), { validate: 'visudo -cf %s' });
    const write = made.verdict === 'change' ? made.actions[0] : undefined;
    expect(write?.kind === 'write' && write.validate?.("/etc/x y'").text).toBe(`visudo -cf '/etc/x y'\\'''`);
  });

  test('a directory in its place is refused', () => {
    expect(plan(seen(directory), {})).toMatchObject({ verdict: 'refuse' });
  });
});
