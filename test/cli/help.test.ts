import { expect, test } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { commandText } from '../../src/cli/help-text.ts';
import { createPalette } from '../../src/ui/color.ts';
import { fleet } from './run-fleet.ts';

test('help lists every command on stdout and ends well', () => {
  const { code, out, err } = fleet([]);
  expect(code).toBe(0);
  expect(err).toBe('');
  for (const { name, hidden } of commands) {
    if (hidden !== true) expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
  }
  expect(out).not.toContain('__complete');
});

test('help of a command has its flags and the shared ones it takes', () => {
  const { code, out } = fleet(['up', '--help']);
  expect(code).toBe(0);
  expect(out).toContain('--list-steps');
  expect(out).toContain('-i, --inventory <path>');
  expect(fleet(['help', 'up']).out).toBe(out);
});

test('help of what is not there says so', () => {
  const { code, err } = fleet(['help', 'pln']);
  expect(code).toBe(64);
  expect(err).toContain('Did you mean `fleet plan`?');
});

test.each(commands)('the code of $name is there', async (command) => {
  expect(commandText(command, createPalette(false))).toContain(command.summary);
  expect(await command.load()).toBeTypeOf('function');
});

test('the version is one line', () => {
  expect(fleet(['--version'])).toEqual({ code: 0, out: '0.1.0\n', err: '' });
});
