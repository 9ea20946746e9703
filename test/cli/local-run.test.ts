import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { doorAt, untilSaid, untilThere } from '../fleet/awaited.ts';
import { emptyFolder, fleet, startFleet } from './run-fleet.ts';

// Runs on this very machine, whose lock only root can take.
const isRoot = process.getuid?.() === 0;

const local = ['-i', 'a,b,', '-e', 'ansible_connection=local', '-e', 'ansible_become=false'];

function folderWith(playbook: string): string {
  const folder = emptyFolder();
  writeFileSync(join(folder, 'book.yml'), playbook);
  return folder;
}

const filePlaybook = `- name: Files
  hosts: all
  gather_facts: false
  tasks:
    - name: A file
      copy: {dest: "{{ playbook_dir }}/{{ inventory_hostname }}.txt", content: "one\\n"}
`;

describe.skipIf(!isRoot)('fleet play', () => {
  test('plans with 2, acts with 0, and then has nothing to do', () => {
    const cwd = folderWith(filePlaybook);
    const planned = fleet(['play', 'book.yml', '--check', ...local], { cwd });
    expect(planned.code).toBe(2);
    expect(planned.out).toContain('+ A file  a');
    expect(planned.out).toMatch(/\nPlan: 2 to change on 2 hosts, 0 unchanged\.\n$/);
    expect(readdirSync(cwd)).toEqual(['book.yml']);

    const done = fleet(['play', 'book.yml', ...local], { cwd });
    expect({ code: done.code, out: done.out }).toEqual({ code: 0, out: '' });
    expect(done.err).toContain('Done on 2 hosts (2 changed');
    expect(readFileSync(join(cwd, 'a.txt'), 'utf8')).toBe('one\n');

    const again = fleet(['play', 'book.yml', '--check', ...local], { cwd });
    expect({ code: again.code, out: again.out }).toEqual({ code: 0, out: 'Nothing to change. 2 checked.\n' });
  });

  test('keeps a journal that only its owner reads', () => {
    const cwd = folderWith(filePlaybook);
    fleet(['play', 'book.yml', ...local], { cwd });
    const [name = ''] = readdirSync(join(cwd, '.fleet', 'journal'));
    const path = join(cwd, '.fleet', 'journal', name);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const kinds = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).kind);
    expect([kinds[0], kinds.at(-1)]).toEqual(['run-started', 'run-finished']);
    expect(fleet(['report'], { cwd }).out).toContain('<title>fleet play: changed</title>');
  });

  test('as JSON is one event a line on stdout', () => {
    const { code, out, err } = fleet(['play', 'book.yml', '--output', 'json', ...local], {
      cwd: folderWith(filePlaybook),
    });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const events = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
  });

  test('reports a failed host with its step, its cause and what to do, and ends with 1', () => {
    const cwd = folderWith(`- name: Break
  hosts: all
  gather_facts: false
  tasks:
    - name: Fail on b
      shell: "[ {{ inventory_hostname }} = a ] || { echo no such thing >&2; exit 3; }"
`);
    const { code, err } = fleet(['play', 'book.yml', ...local], { cwd });
    expect(code).toBe(1);
    expect(err).toMatch(/^error\[COMMAND_FAILED\] b, Fail on b: .*exit status 3/m);
    expect(err).toContain('no such thing');
    expect(err).toMatch(/^ {2}at: book\.yml:\d+:\d+$/m);
    expect(err).toMatch(/^ {2}fix: /m);
    expect(err).toMatch(/Failed \(1 changed, 1 of 2 hosts failed/);
  });

  test('that is wrong is refused before anything is done', () => {
    const cwd = folderWith('- hosts: all\n  tasks:\n    - coppy: {dest: /x}\n');
    const { code, err } = fleet(['play', 'book.yml', ...local], { cwd });
    expect(code).toBe(64);
    expect(err).toContain('book.yml:3:');
    expect(err).toContain('copy');
  });

  test('lists instead of running', () => {
    const cwd = folderWith(filePlaybook);
    const { code, out } = fleet(['play', 'book.yml', '--list-steps', '--list-hosts', ...local], { cwd });
    expect({ code, out }).toEqual({ code: 0, out: 'Files (all)\n  a\n  b\n  A file\n' });
  });

  test('with --quiet says only what failed', () => {
    expect(fleet(['play', 'book.yml', '-q', ...local], { cwd: folderWith(filePlaybook) })).toEqual({
      code: 0,
      out: '',
      err: '',
    });
  });
});

describe.skipIf(!isRoot)('fleet run', () => {
  test('prints what each host said, behind its name', () => {
    const { code, out } = fleet(['run', ...local, '--', 'echo one; echo two']);
    expect(code).toBe(0);
    expect(
      out
        .split('\n')
        .filter((line) => line !== '')
        .sort(),
    ).toEqual(['a: one', 'a: two', 'b: one', 'b: two']);
  });

  test('of one host prints it bare, made harmless', () => {
    expect(fleet(['run', ...local, 'a', '--', "printf 'x\\033[31my\\n'"]).out).toBe('x\\u001b[31my\n');
  });

  test('never prints a secret of the inventory', () => {
    const { out } = fleet([
      'run',
      ...local,
      '-e',
      'token=hunter2hunter2',
      'a',
      '--',
      'echo hunter2hunter2 | base64; echo hunter2hunter2',
    ]);
    expect(out).not.toMatch(/hunter2|aHVudGVyMmh1bnRlcj/);
    expect(out).toContain('[secret]');
  });

  test('of the hosts in a file that --limit names, one a line', () => {
    const cwd = emptyFolder();
    writeFileSync(join(cwd, 'site.retry'), '# failed the last time\nb\n\n');
    const run = (limit: string) => fleet(['run', ...local, '--limit', limit, '--', 'echo here'], { cwd });
    expect(run('@site.retry').out).toBe('here\n');
    expect(fleet(['ping', '--output', 'json', ...local, '--limit', '@site.retry'], { cwd }).out).toMatch(
      /"host": ?"b"/,
    );
    expect(run('@site.retry,a').out.split('\n').filter(Boolean).sort()).toEqual(['a: here', 'b: here']);
    expect(run('@none.retry')).toMatchObject({
      code: 64,
      err: expect.stringContaining('error[LIMIT_FILE] cannot read'),
    });
    // An empty list of hosts must not mean all of them.
    writeFileSync(join(cwd, 'empty.retry'), '\n');
    expect(run('@empty.retry')).toMatchObject({ code: 64, out: '' });
  });

  test('takes any step', () => {
    const cwd = emptyFolder();
    const { code } = fleet(['run', ...local, 'a', '-m', 'directory', '-a', `path=${cwd}/d`], { cwd });
    expect(code).toBe(0);
    expect(statSync(join(cwd, 'd')).isDirectory()).toBe(true);
    expect(fleet(['run', ...local, '-m', 'direktory']).err).toContain('Did you mean directory?');
  });
});

describe.skipIf(!isRoot)('fleet ping', () => {
  test('says who answered as whom', () => {
    const { code, out } = fleet(['ping', '--output', 'json', ...local]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject([
      { host: 'a', ok: true },
      { host: 'b', ok: true },
    ]);
  });
});

describe.skipIf(!isRoot)('Ctrl-C', () => {
  const begun = async () => {
    const cwd = folderWith(`- name: Slow
  hosts: all
  gather_facts: false
  serial: 1
  tasks:
    - name: Take a while
      shell: "cd {{ playbook_dir }} && touch {{ inventory_hostname }}.begun && read -r _ < go && touch {{ inventory_hostname }}.done"
`);
    const go = doorAt(join(cwd, 'go'));
    const { child, ended } = startFleet(['play', 'book.yml', ...local], cwd);
    await untilThere(join(cwd, 'a.begun'));
    child.kill('SIGINT');
    await untilSaid(child, child.stderr, /Ctrl-C again stops at once/);
    return { cwd, go, child, ended };
  };

  test('once finishes what runs, begins nothing new, and ends with 130', async () => {
    const { cwd, go, ended } = await begun();
    go.open();
    expect((await ended).code).toBe(130);
    expect(readdirSync(cwd)).toContain('a.done');
    expect(readdirSync(cwd)).not.toContain('b.begun');
  });

  test('twice stops at once', async () => {
    const { cwd, child, ended } = await begun();
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
    expect(readdirSync(cwd)).not.toContain('a.done');
  });
});

test.skipIf(!isRoot)('a reader that goes away ends nothing with an error', async () => {
  const cwd = folderWith(filePlaybook);
  const { child, ended } = startFleet(['play', 'book.yml', '--output', 'json', ...local], cwd);
  child.stdout.destroy();
  expect(await ended).toEqual({ code: 0, err: '' });
  // The run went on to its end.
  expect(readFileSync(join(cwd, 'b.txt'), 'utf8')).toBe('one\n');
});
