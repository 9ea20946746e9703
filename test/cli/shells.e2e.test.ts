import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { provideProgram } from '../fleet/machine.ts';
import { fleet } from './run-fleet.ts';

/** Completion by the Tab key, in the shells themselves on a terminal of their own, asking this very fleet. */

let folder: string;

beforeAll(async () => {
  for (const shell of ['zsh', 'fish']) await provideProgram(shell, shell, 'completion is tested in it');
  folder = mkdtempSync(join(tmpdir(), 'fleet-shells-'));
  mkdirSync(join(folder, 'bin'));
  const program = join(folder, 'bin', 'fleet');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${inject('fleetCommand')}' "$@"\n`);
  chmodSync(program, 0o755);
  writeFileSync(
    join(folder, 'site-inventory.yml'),
    'all: {hosts: {mars: {}, mercury: {}, "host:colon": {}}}\n',
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** How each shell is started bare, reads a completion script, and shows the line as it stands when Control-X is pressed. */
const shells = {
  zsh: {
    start: 'zsh -f -i',
    setup: (script: string) =>
      `unsetopt beep; autoload -U compinit; compinit -u -d ${folder}/dump; source ${script}; show() { print -r -- "<<$BUFFER>>" }; zle -N show; bindkey '^X' show`,
  },
  bash: {
    start: 'bash --norc --noprofile -i',
    setup: (script: string) =>
      `source ${script}; bind 'set bell-style none'; bind -x '"\\C-x": echo "<<$READLINE_LINE>>"'`,
  },
  fish: {
    start: 'fish --no-config -i',
    setup: (script: string) =>
      `source ${script}; function show; echo "<<"(commandline)">>"; end; bind \\cx show`,
  },
} as const;

/** zsh's own pseudo-terminal types at any shell, and waits for what it shows. */
const typist = `zmodload zsh/zpty
zpty shell "$1"
zpty -w shell "source $2; echo REA""DY"
zpty -r -m shell shown '*READY*'
zpty -n -w shell "$3"$'\\t\\x18'
zpty -r -m shell shown '*<<*>>*'
print -r -- "$shown"
zpty -d shell`;

/** The line that a shell has after somebody typed this and Tab. */
function completed(shell: keyof typeof shells, typed: string): string {
  const script = join(folder, `completion.${shell}`);
  writeFileSync(script, fleet(['completion', shell]).out);
  const { start, setup } = shells[shell];
  // Not typed, so that no echo of it is taken for the answer.
  const preparation = join(folder, `prepare.${shell}`);
  writeFileSync(preparation, `${setup(script)}\n`);
  const { stdout, stderr } = spawnSync('zsh', ['-f', '-c', typist, 'typist', start, preparation, typed], {
    cwd: folder,
    env: {
      ...process.env,
      PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
      TERM: 'dumb',
      HOME: folder,
      FLEET_INVENTORY: 'site-inventory.yml',
    },
    encoding: 'utf8',
    timeout: 60_000,
  });
  const line = /<<(.*)>>/.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`${shell} showed ${JSON.stringify(stdout)} ${stderr}`);
  return line;
}

describe.each(Object.keys(shells) as (keyof typeof shells)[])('Tab in %s completes', (shell) => {
  test.each([
    ['a command', 'fleet vali', 'fleet validate'],
    ['a flag', 'fleet up --list-ho', 'fleet up --list-hosts'],
    ['a host of the inventory', 'fleet ping mer', 'fleet ping mercury'],
    ['a file', 'fleet up -i site-', 'fleet up -i site-inventory.yml'],
    ['the value of a flag', 'fleet up --output j', 'fleet up --output json'],
  ])('%s', (_what, typed, line) => {
    expect(completed(shell, typed).trimEnd()).toBe(line);
  });
});
