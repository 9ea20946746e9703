import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/step.ts';
import type { FileStat } from '../../src/facts/file.ts';
import { sha256Of } from '../../src/facts/file.ts';
import { readArguments } from '../../src/steps/arguments.ts';
import { withJob } from '../../src/steps/cron.ts';
import { withEntry } from '../../src/steps/hosts-entry.ts';
import type { LandingSite } from '../../src/steps/landed-file.ts';
import { withMount } from '../../src/steps/mount.ts';
import { stepNamed } from '../../src/steps/registry.ts';
import { commentedOut } from '../../src/steps/swap.ts';
import { withSetting } from '../../src/steps/sysctl.ts';
import { hostView } from './here.ts';

function edited(
  step: string,
  text: string | undefined,
  args: Record<string, unknown>,
): { plan: Plan<never>; text: string } {
  const found = stepNamed(step);
  if (found === undefined) throw new Error(step);
  const now: FileStat | undefined =
    text === undefined ? undefined : { type: 'file', mode: '0644', owner: 'root', group: 'root' };
  const folder: FileStat = { type: 'directory', mode: '0755', owner: 'root', group: 'root' };
  const seen: LandingSite = {
    file: { self: now, followed: now },
    content: text === undefined ? { sha256: undefined } : { sha256: sha256Of(text), text },
    parent: { self: folder, followed: folder },
    me: { user: 'root', group: 'root', uid: 0, home: '/root' },
  };
  const plan = found.plan(seen, readArguments(found, { path: '/f', ...args }), hostView()) as Plan<never>;
  const write =
    plan.verdict === 'change' ? plan.actions.find((action) => action.kind === 'write') : undefined;
  return { plan, text: write?.kind === 'write' ? String(write.content) : (text ?? '') };
}

/** The same edit again must find nothing to do. */
function settles(step: string, before: string, args: Record<string, unknown>, after: string) {
  const first = edited(step, before, args);
  expect(first.text).toBe(after);
  expect(first.plan.verdict).toBe(before === after ? 'unchanged' : 'change');
  expect(edited(step, after, args).plan.verdict).toBe('unchanged');
}

describe('lineinfile', () => {
  test.each<[string, string, Record<string, unknown>, string]>([
    ['adds at the end', 'a\n', { line: 'b' }, 'a\nb\n'],
    ['gives the last line an end', 'a', { line: 'b' }, 'a\nb\n'],
    ['finds it there', 'a\nb\nc\n', { line: 'b' }, 'a\nb\nc\n'],
    ['replaces the last match', '#P no\nP no\nz\n', { regexp: '^#?P ', line: 'P yes' }, '#P no\nP yes\nz\n'],
    [
      'replaces the first match',
      '#P no\nz\n',
      { regexp: '^#?P ', line: 'P yes', firstmatch: true },
      'P yes\nz\n',
    ],
    ['adds where nothing matches', 'z\n', { regexp: '^P ', line: 'P yes' }, 'z\nP yes\n'],
    ['after a match', 'a\nb\nc\n', { insertafter: '^a', line: 'x' }, 'a\nx\nb\nc\n'],
    ['before a match', 'a\nb\nc\n', { insertbefore: '^b', line: 'x' }, 'a\nx\nb\nc\n'],
    ['at the beginning', 'a\n', { insertbefore: 'BOF', line: 'x' }, 'x\na\n'],
    ['at the end when nothing matches', 'a\n', { insertafter: '^q', line: 'x' }, 'a\nx\n'],
    [
      'plain text counts as plain text',
      'a.b\naxb\n',
      { search_string: 'a.b', line: 'a.c' },
      'a.c\naxb\na.c\n'.slice(0, 8),
    ],
    ['absent by line', 'a\nb\na\n', { line: 'a', state: 'absent' }, 'b\n'],
    ['absent by pattern', 'a1\nb\na2\n', { regexp: '^a', state: 'absent' }, 'b\n'],
    ['keeps CRLF', 'a\r\nb\r\n', { regexp: '^b', line: 'c' }, 'a\r\nc\r\n'],
    ['Python groups by name', 'x=1\n', { regexp: '^(?P<k>x)=1$', line: '\\g<k>=2', backrefs: true }, 'x=2\n'],
    ['with backrefs nothing is added', 'z\n', { regexp: '^(x)=', line: '\\1=2', backrefs: true }, 'z\n'],
    ['is case-blind with (?i)', 'ABC\n', { regexp: '(?i)^abc', line: 'abc' }, 'abc\n'],
  ])('%s', (_what, before, args, after) => settles('lineinfile', before, args, after));

  test('a missing file is made only with create', () => {
    expect(edited('lineinfile', undefined, { line: 'a' }).plan.verdict).toBe('refuse');
    expect(edited('lineinfile', undefined, { line: 'a', create: true }).text).toBe('a\n');
    expect(edited('lineinfile', undefined, { line: 'a', state: 'absent' }).plan.verdict).toBe('unchanged');
  });

  test('a bad pattern is refused, not thrown', () => {
    expect(edited('lineinfile', 'a\n', { regexp: '(', line: 'b' }).plan.verdict).toBe('refuse');
  });
});

describe('blockinfile', () => {
  const [begin, end] = ['# BEGIN ANSIBLE MANAGED BLOCK', '# END ANSIBLE MANAGED BLOCK'];
  test.each<[string, string, Record<string, unknown>, string]>([
    ['adds at the end', 'a\n', { block: 'x\ny' }, `a\n${begin}\nx\ny\n${end}\n`],
    [
      'replaces what is between',
      `a\n${begin}\nold\n${end}\nb\n`,
      { block: 'new\n' },
      `a\n${begin}\nnew\n${end}\nb\n`,
    ],
    ['removes it', `a\n${begin}\nold\n${end}\nb\n`, { state: 'absent' }, 'a\nb\n'],
    ['an empty block removes it', `${begin}\nold\n${end}\nb\n`, { block: '' }, 'b\n'],
    ['after a match', 'a\nb\n', { block: 'x', insertafter: '^a' }, `a\n${begin}\nx\n${end}\nb\n`],
    ['at the beginning', 'a\n', { block: 'x', insertbefore: 'BOF' }, `${begin}\nx\n${end}\na\n`],
    ['with another marker', 'a\n', { block: 'x', marker: '; {mark} k3s' }, 'a\n; BEGIN k3s\nx\n; END k3s\n'],
    [
      'with empty lines around',
      'a\nb\n',
      { block: 'x', insertafter: '^a', append_newline: true, prepend_newline: true },
      `a\n\n${begin}\nx\n${end}\n\nb\n`,
    ],
  ])('%s', (_what, before, args, after) => settles('blockinfile', before, args, after));
});

describe('replace', () => {
  test.each<[string, string, Record<string, unknown>, string]>([
    ['everywhere', 'a1 a2\na3\n', { regexp: 'a(\\d)', replace: 'b\\1' }, 'b1 b2\nb3\n'],
    ['at line starts', 'a\nba\n', { regexp: '^a', replace: 'c' }, 'c\nba\n'],
    ['to nothing', 'keep drop keep\n', { regexp: ' drop' }, 'keep keep\n'],
    [
      'between',
      'x\n[a]\nx\n[b]\nx\n',
      { regexp: 'x', replace: 'y', after: '\\[a\\]', before: '\\[b\\]' },
      'x\n[a]\ny\n[b]\nx\n',
    ],
    ['by name', 'k=1\n', { regexp: '(?P<key>k)=1', replace: '\\g<key>=2' }, 'k=2\n'],
    ['nothing when after is nowhere', 'x\n', { regexp: 'x', replace: 'y', after: 'q' }, 'x\n'],
  ])('%s', (_what, before, args, after) => settles('replace', before, args, after));

  test('what never comes to rest is not looked at again', () => {
    expect(edited('replace', 'a\n', { regexp: 'a', replace: 'aa' }).plan).toMatchObject({
      verdict: 'change',
      imperative: true,
    });
  });
});

test.each<[string, string, string | undefined, string]>([
  ['net.ipv4.ip_forward', '', '1', 'net.ipv4.ip_forward=1\n'],
  ['net.ipv4.ip_forward', '# c\nnet.ipv4.ip_forward=1\n', '1', '# c\nnet.ipv4.ip_forward=1\n'],
  ['net.ipv4.ip_forward', 'net/ipv4/ip_forward = 0\nx = 1\n', '1', 'net.ipv4.ip_forward=1\nx = 1\n'],
  ['a.b', 'a.b=1\nx=1\na.b=2\n', '3', 'x=1\na.b=3\n'],
  ['a.b', 'a.b=1\nx=1\n', undefined, 'x=1\n'],
  ['a.b', '#a.b=1\n', '1', '#a.b=1\na.b=1\n'],
])('sysctl file: %s in %j set to %s', (name, before, value, after) => {
  expect(withSetting(before, name, value)).toBe(after);
  expect(withSetting(after, name, value)).toBe(after);
});

test('fstab without swap', () => {
  const fstab = 'UUID=1 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n# /old none swap sw 0 0\n';
  const after = commentedOut(fstab);
  expect(after).toBe(
    'UUID=1 / ext4 defaults 0 1\n# swap is off (fleet): /swapfile none swap sw 0 0\n# /old none swap sw 0 0\n',
  );
  expect(commentedOut(after)).toBe(after);
});

test.each<[string, string, boolean, string]>([
  ['127.0.0.1 localhost\n', '10.0.0.1', true, '127.0.0.1 localhost\n10.0.0.1 k3s api\n'],
  ['10.0.0.9 k3s other # old\n', '10.0.0.1', true, '10.0.0.9 other # old\n10.0.0.1 k3s api\n'],
  ['10.0.0.1 api k3s x\n', '10.0.0.1', true, '10.0.0.1 api k3s x\n'],
  ['::1 k3s\n', '10.0.0.1', true, '::1 k3s\n10.0.0.1 k3s api\n'],
  ['10.0.0.1 k3s api\n10.0.0.2 k3s\n', '10.0.0.1', false, '10.0.0.2 k3s\n'],
])('hosts %j', (before, address, isPresent, after) => {
  expect(withEntry(before, address, ['k3s', 'api'], isPresent)).toBe(after);
  expect(withEntry(after, address, ['k3s', 'api'], isPresent)).toBe(after);
});

test('crontabs', () => {
  const job = { name: 'snapshot', job: 'k3s etcd-snapshot save', minute: '0', hour: '3' };
  const made = withJob('MAILTO=""\n', job, undefined);
  expect(made).toBe('MAILTO=""\n#Ansible: snapshot\n0 3 * * * k3s etcd-snapshot save\n');
  expect(withJob(made, job, undefined)).toBe(made);
  expect(withJob(made, { ...job, special_time: 'daily' }, 'root')).toBe(
    'MAILTO=""\n#Ansible: snapshot\n@daily root k3s etcd-snapshot save\n',
  );
  expect(withJob(made, { ...job, state: 'absent' }, undefined)).toBe('MAILTO=""\n');
});

test('mounts in fstab', () => {
  const fstab = '# c\n/dev/a\t/\text4\tdefaults\t0\t1\n';
  const made = withMount(fstab, '/data', '/dev/b /data ext4 noatime 0 0');
  expect(made).toBe(`${fstab}/dev/b /data ext4 noatime 0 0\n`);
  expect(withMount(made, '/data', '/dev/b /data ext4 noatime 0 0')).toBe(made);
  expect(withMount(made, '/data', undefined)).toBe(fstab);
  expect(withMount(fstab, '/', '/dev/a / ext4 defaults 0 1')).toBe(fstab);
});
