import { describe, expect, test } from 'vitest';
import { parseCommandLine } from '../../src/cli/parse.ts';
import { settingsFrom } from '../../src/cli/settings.ts';
import { FleetError } from '../../src/core/errors.ts';
import { fleet } from './run-fleet.ts';

function faultOf(act: () => unknown): FleetError {
  try {
    act();
  } catch (error) {
    if (error instanceof FleetError) return error;
    throw error;
  }
  throw new Error('nothing was wrong');
}

describe('a mistake on the command line', () => {
  test.each([
    ['a flag that is not there', ['up', '--frks', '3'], 'fleet up has no flag --frks', '--forks'],
    [
      'a flag that only other commands have',
      ['init', '--forks', '3'],
      'fleet init has no flag --forks',
      'fleet help init',
    ],
    [
      'such a flag before the command',
      ['--forks', '3', 'init'],
      'fleet init has no flag --forks',
      'fleet help init',
    ],
    ['a command that is not there', ['pln'], 'there is no command "pln"', 'fleet plan'],
    ['one behind flags', ['-i', 'a.yml', 'vlidate'], 'there is no command "vlidate"', 'fleet validate'],
    [
      'a value that a flag cannot have',
      ['up', '--output', 'jsn'],
      '--output is one of text, json, not "jsn"',
      'json',
    ],
    ['a flag without its value', ['up', '--limit'], '--limit needs a value', 'fleet help up'],
    ['an argument too many', ['up', 'now'], 'fleet up takes no argument', 'fleet help up'],
    ['an argument too few', ['play'], 'fleet play needs <file>', 'fleet help play'],
    ['a command that is not behind --', ['run', 'server', 'uptime'], 'takes at most 1', '-- uptime'],
    [
      'something behind -- where nothing is taken',
      ['ping', '--', 'x'],
      'takes nothing after --',
      'fleet help ping',
    ],
  ])('%s is named, with what is right', (_, argv, message, fix) => {
    const fault = faultOf(() => parseCommandLine(argv));
    expect(fault.message).toContain(message);
    expect(fault.fix).toContain(fix);
    expect(fault.blame).toBe('usage');
  });

  test.each([
    ['--forks', { forks: '0' }],
    ['--forks', { forks: '1.5' }],
    ['--forks', { forks: '' }],
    ['--timeout', { timeout: '-1' }],
    ['--timeout', { timeout: 'soon' }],
  ])('%s with %j is refused', (flag, options) => {
    expect(faultOf(() => settingsFrom(options, {})).message).toContain(flag);
  });

  test('ends with 64 and one clear error, never a stack trace', () => {
    const { code, out, err } = fleet(['up', '--frks', '3']);
    expect(code).toBe(64);
    expect(out).toBe('');
    expect(err).toBe(
      'error[UNKNOWN_FLAG] fleet up has no flag --frks\n  fix: Did you mean --forks? See `fleet help up`.\n',
    );
  });

  test('shows its stack only where that is asked for', () => {
    expect(fleet(['pln'], { env: { FLEET_DEBUG: '1' } }).err).toMatch(/\n {4}at /);
  });
});

describe('a command line', () => {
  test('may have shared flags before and after the command, repeated ones in order', () => {
    const parsed = parseCommandLine(['-i', 'a.yml', 'up', '-i', 'b.yml', '-t', 'x,y', '-t', 'z', '--yes']);
    const settings = settingsFrom(parsed.shared, { FLEET_INVENTORY: 'c.yml' });
    expect(parsed.command.name).toBe('up');
    expect(settings).toMatchObject({ inventory: ['a.yml', 'b.yml'], tags: ['x', 'y', 'z'], yes: true });
  });

  test('keeps the words behind -- apart', () => {
    const parsed = parseCommandLine(['run', 'server', '-f', '5', '--', 'ls', '-l', '--color']);
    expect(parsed.arguments).toEqual(['server']);
    expect(parsed.trailing).toEqual(['ls', '-l', '--color']);
  });

  test('without -i takes the inventory from the environment', () => {
    expect(settingsFrom({}, { FLEET_INVENTORY: 'c.yml' }).inventory).toEqual(['c.yml']);
  });
});
