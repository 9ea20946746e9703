import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { completions } from '../../src/cli/commands/complete.ts';
import { emptyFolder, fleet } from './run-fleet.ts';

async function words(...line: string[]): Promise<readonly string[]> {
  return (await completions(line)).map(([word]) => word);
}

describe('completion', () => {
  test('of the first word offers commands', async () => {
    expect(await words('pl')).toEqual(['plan', 'play']);
    expect(await words('')).not.toContain('__complete');
  });

  test('of a dash offers the flags that the command takes', async () => {
    expect(await words('up', '--li')).toEqual(['--list-hosts', '--list-steps', '--list-tags', '--limit']);
    expect(await words('init', '--fo')).toEqual(['--force']);
    expect(await words('-i', 'x.yml', 'up', '--fork')).toEqual(['--forks']);
  });

  test('of a value offers what it may be', async () => {
    expect(await words('up', '--host-key-checking', '')).toEqual(['strict', 'accept-new', 'off']);
    expect(await words('up', '--output=j')).toEqual(['--output=json']);
    expect(await words('up', '-i', 'inv')).toEqual([':file']);
    expect(await words('completion', 'z')).toEqual(['zsh']);
    expect(await words('help', 'ini')).toEqual(['init']);
    expect(await words('doc', 'servi')).toEqual(['service']);
  });

  test('leaves the words of another command alone', async () => {
    expect(await words('run', 'server', '--', 'up')).toEqual([]);
  });

  test.each(
    ['bash', 'zsh', 'fish'].filter((shell) => existsSync(`/bin/${shell}`) || existsSync(`/usr/bin/${shell}`)),
  )('the script for %s is one that it can read', (shell) => {
    const { code, out } = fleet(['completion', shell]);
    expect(code).toBe(0);
    const script = join(emptyFolder(), 'completion');
    writeFileSync(script, out);
    const { status, stderr } = spawnSync(shell, ['-n', script], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('works in bash', () => {
    const { out: script } = fleet(['completion', 'bash']);
    // `fleet` as a function of the shell that answers as the program would.
    const { stdout } = spawnSync(
      'bash',
      [
        '-c',
        `${script}
fleet() { printf '%s\\n' "plan\tShow it" "play\tRun it"; }
COMP_WORDS=(fleet pl); COMP_CWORD=1; _fleet; printf '%s\\n' "\${COMPREPLY[@]}"`,
      ],
      { encoding: 'utf8' },
    );
    expect(stdout).toBe('plan\nplay\n');
  });

  test.skipIf(!existsSync('/usr/bin/fish'))('works in fish', () => {
    const { out: script } = fleet(['completion', 'fish']);
    const answers = `function fleet; printf 'status\\tThe state\\nstep\\n'; end`;
    const { stdout } = spawnSync('fish', ['-c', `${script}\n${answers}\ncomplete -C 'fleet st'`], {
      encoding: 'utf8',
    });
    expect(stdout.trim().split('\n')).toEqual(['status\tThe state', 'step']);
  });

  test('of an unknown shell is refused', () => {
    const { code, err } = fleet(['completion', 'tcsh']);
    expect(code).toBe(64);
    expect(err).toContain('bash, zsh, fish');
  });
});
