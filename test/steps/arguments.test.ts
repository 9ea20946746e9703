import { describe, expect, test } from 'vitest';
import { FleetError, FleetErrors } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { AnyStep } from '../../src/engine/step.ts';
import { checkArguments, readArguments, readPairs } from '../../src/steps/arguments.ts';
import { stepNamed } from '../../src/steps/registry.ts';

function step(name: string): AnyStep {
  const found = stepNamed(name);
  if (found === undefined) throw new Error(name);
  return found;
}

function faults(name: string, written: unknown): string[] {
  try {
    readArguments(step(name), written);
    return [];
  } catch (error) {
    if (error instanceof FleetErrors) return error.errors.map((one) => `${one.code} ${one.message}`);
    if (error instanceof FleetError) return [`${error.code} ${error.message}`];
    throw error;
  }
}

describe('values are read as Ansible reads them', () => {
  test.each<[string, unknown, unknown]>([
    ['file', { dest: '/a', mode: '644' }, { path: '/a', mode: '0644' }],
    ['file', { path: '/a', mode: 0o644 }, { path: '/a', mode: '0644' }],
    ['file', { path: '/a', mode: 644 }, { path: '/a', mode: '0644' }],
    ['file', { path: '/a', mode: 0o755 }, { path: '/a', mode: '0755' }],
    ['file', { path: '/a', mode: 755 }, { path: '/a', mode: '0755' }],
    ['file', { path: '/a', mode: 0o440 }, { path: '/a', mode: '0440' }],
    ['file', { path: '/a', mode: 440 }, { path: '/a', mode: '0440' }],
    ['file', { path: '/a', mode: 0o1777 }, { path: '/a', mode: '1777' }],
    ['file', { path: '/a', mode: 1777 }, { path: '/a', mode: '1777' }],
    ['file', { path: '/a', mode: '0o600' }, { path: '/a', mode: '0600' }],
    ['file', { path: '/a', mode: 'u=rwX,g+r,o-w' }, { path: '/a', mode: 'u=rwX,g+r,o-w' }],
    [
      'file',
      { path: '/a', recurse: 'yes', follow: 0, force: 'Off' },
      { path: '/a', recurse: true, follow: false, force: false },
    ],
    ['file', { path: '/a', owner: null, group: '__omit_place_holder__12' }, { path: '/a' }],
    ['file', { path: '/a', owner: 1000 }, { path: '/a', owner: '1000' }],
    [
      'apt',
      { pkg: 'curl, nfs-common', update_cache: 'true', cache_valid_time: '3600' },
      { name: ['curl', 'nfs-common'], update_cache: true, cache_valid_time: 3600 },
    ],
    ['apt', { name: ['curl'] }, { name: ['curl'] }],
    ['sysctl', { key: 'vm.swappiness', val: 10 }, { name: 'vm.swappiness', value: '10' }],
    ['wait_for', 'port=6443 timeout=5', { port: 6443, timeout: 5 }],
    [
      'command',
      'make -j 2 FOO=bar chdir=/src creates="/usr/bin/x y"',
      { cmd: 'make -j 2 FOO=bar', chdir: '/src', creates: '/usr/bin/x y' },
    ],
    ['command', 'creates=/x uptime', { cmd: 'uptime', creates: '/x' }],
    ['shell', 'a=1; echo "$a" | cat', { cmd: 'a=1; echo "$a" | cat' }],
    ['copy', { dest: '/a', content: { b: [1] } }, { dest: '/a', content: '{"b":[1]}' }],
    ['copy', { dest: '/a', content: 7 }, { dest: '/a', content: '7' }],
    ['debug', 'msg="hello world"', { msg: 'hello world' }],
    ['ping', undefined, {}],
  ])('%s %j', (name, written, read) => {
    expect(readArguments(step(name), written)).toEqual(read);
  });

  test('secrets stay secret where they can, and are text where they must', () => {
    const secret = new Secret('hunter2hunter2');
    expect(readArguments<{ content: unknown }>(step('copy'), { dest: '/a', content: secret }).content).toBe(
      secret,
    );
    expect(readArguments<{ line: unknown }>(step('lineinfile'), { path: '/a', line: secret }).line).toBe(
      'hunter2hunter2',
    );
  });
});

describe('what is wrong is named, all at once', () => {
  test.each<[string, unknown, string[]]>([
    [
      'file',
      { pth: '/a' },
      ['UNKNOWN_ARGUMENT file: has no argument pth', 'MISSING_ARGUMENT file: needs path'],
    ],
    [
      'file',
      { path: 'etc/a', state: 'there' },
      [
        'INVALID_ARGUMENT file: path is "etc/a", but must be an absolute path',
        'INVALID_ARGUMENT file: state is "there", but must be one of file, directory, absent, touch, link, hard',
      ],
    ],
    [
      'file',
      { path: '/a', mode: 999 },
      ['INVALID_ARGUMENT file: mode is "999 (unclear without quotes)", which it cannot be'],
    ],
    [
      'file',
      { path: '/a', recurse: 'perhaps' },
      ['INVALID_ARGUMENT file: recurse is "perhaps", but must be boolean'],
    ],
    ['file', { path: '/a', dest: '/b' }, ['INVALID_ARGUMENT file: path is given twice']],
    ['file', [1], ['INVALID_ARGUMENT file: takes a map of arguments, not [1]']],
    ['wait_for', { port: 70000 }, ['INVALID_ARGUMENT wait_for: port is 70000: must be <= 65535']],
  ])('%s %j', (name, written, messages) => {
    const found = faults(name, written);
    for (const message of messages)
      expect(
        found.some((one) => one.startsWith(message)),
        `${message} in ${found.join('; ')}`,
      ).toBe(true);
  });

  test('a slip gets the right name', () => {
    const [fault] = checkArguments(step('copy'), { dest: '/a', src: 'x', onwer: 'root' });
    expect(fault).toMatchObject({
      code: 'UNKNOWN_ARGUMENT',
      fix: 'Write owner instead of onwer.',
      blame: 'usage',
    });
  });

  test('no secret in a fault', () => {
    expect(faults('wait_for', { port: new Secret('hunter2hunter2') }).join()).not.toContain('hunter2');
  });
});

describe('before templates are filled in', () => {
  test('only what no template decides is judged', () => {
    expect(checkArguments(step('wait_for'), { port: '{{ api_port }}', timeout: 5 })).toEqual([]);
    expect(checkArguments(step('file'), { path: '{{ x }}', mode: '{{ m }}', state: '{{ s }}' })).toEqual([]);
    expect(checkArguments(step('file'), '{{ args }}')).toEqual([]);
    expect(
      checkArguments(step('file'), { path: '{{ x }}', stat: 'directory' }).map((one) => one.code),
    ).toEqual(['UNKNOWN_ARGUMENT']);
  });
});

test('pairs', () => {
  expect(readPairs(`name=k3s state='restarted' msg="a b=c" x={{ a b }}`)).toEqual({
    name: 'k3s',
    state: 'restarted',
    msg: 'a b=c',
    x: '{{ a b }}',
  });
});
