import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { variableInfo } from '../../src/inventory/variables.ts';
import { fleet } from './run-fleet.ts';

test.each(['maintenance_window', 'pause_after', 'server_config_yaml', 'token'])(
  'the example of %s can be copied into an inventory',
  (name) => {
    const { code, out } = fleet(['explain', name]);
    expect(code).toBe(0);
    const [, example = ''] = out.split('  Example:\n');
    expect(parse(example)).toEqual({ [name]: variableInfo(name)?.example });
  },
);
