import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { AnyStep } from '../../src/engine/step.ts';
import { checkArguments } from '../../src/steps/arguments.ts';
import { allSteps, stepNamed, stepNames } from '../../src/steps/registry.ts';

/** The steps of this library; the k3s steps have tests of their own. */
const steps = allSteps.filter((step) => !step.name.startsWith('k3s'));

const taskKeywords = new Set([
  'name',
  'register',
  'when',
  'notify',
  'changed_when',
  'until',
  'retries',
  'delay',
  'loop',
  'tags',
  'become',
]);

describe.each(steps.map((step) => [step.name, step] as const))('%s', (_name, step: AnyStep) => {
  test('describes itself and every argument', () => {
    expect(step.summary).toMatch(/\.$/);
    expect(step.args.type).toBe('object');
    const properties = step.args.properties as Record<
      string,
      { description?: string; aliases?: readonly string[] }
    >;
    const names = Object.entries(properties).flatMap(([name, property]) => [
      name,
      ...(property.aliases ?? []),
    ]);
    expect(new Set(names).size, 'no name means two arguments').toBe(names.length);
    for (const [name, property] of Object.entries(properties)) {
      expect(property.description ?? '', name).toMatch(/\w.*[.…]$/s);
    }
    if (step.freeForm !== undefined) expect(Object.keys(properties)).toContain(step.freeForm);
  });

  test.each(step.examples)('example %#', (example) => {
    const tasks = parse(example) as Record<string, unknown>[];
    expect(Array.isArray(tasks)).toBe(true);
    for (const task of tasks) {
      const [used, ...more] = Object.keys(task).filter((key) => !taskKeywords.has(key));
      expect(more).toEqual([]);
      const named = stepNamed(used ?? '');
      expect(named, used).toBeDefined();
      if (named !== undefined)
        expect(checkArguments(named, task[used ?? '']).map((fault) => fault.message)).toEqual([]);
    }
    expect(tasks.some((task) => stepNamed(Object.keys(task)[0] ?? '') === step)).toBe(true);
  });
});

describe('names', () => {
  test('no two steps share one', () => {
    const names = allSteps.flatMap((step) => [step.name, ...(step.aliases ?? [])]);
    expect(new Set(names).size).toBe(names.length);
    expect([...stepNames]).toEqual([...names].sort());
  });

  test.each([
    ['ansible.builtin.copy', 'copy'],
    ['ansible.legacy.command', 'command'],
    ['community.general.modprobe', 'modprobe'],
    ['ansible.posix.sysctl', 'sysctl'],
    ['ansible.builtin.systemd_service', 'systemd'],
    ['gather_facts', 'setup'],
    ['copy', 'copy'],
  ])('%s is %s', (written, name) => {
    expect(stepNamed(written)?.name).toBe(name);
  });

  test('what is not there is not there', () => {
    expect(stepNamed('win_copy')).toBeUndefined();
    expect(stepNamed('ansible.windows.copy')).toBeUndefined();
    expect(stepNamed('constructor')).toBeUndefined();
  });

  test('what issue 3 asks for is there', () => {
    const wanted =
      'apt dnf yum zypper pacman apk package service systemd unit openrc file directory link copy template lineinfile blockinfile ' +
      'replace stat find fetch get_url unarchive user group authorized_key cron mount swap sysctl kernel_module modprobe hostname ' +
      'hosts_entry timezone ufw firewalld nftables selinux reboot wait_for command shell script raw assert fail debug set_fact pause uri ' +
      'ping setup gather_facts wait_for_connection';
    expect(wanted.split(' ').filter((name) => stepNamed(name) === undefined)).toEqual([]);
  });
});
