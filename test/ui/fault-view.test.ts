import { describe, expect, test } from 'vitest';
import { createPalette } from '../../src/ui/color.ts';
import { faultsView, faultView } from '../../src/ui/fault-view.ts';

const palette = createPalette(false);

describe('an error', () => {
  test('says what, whose, where and what to do next', () => {
    const text = faultView(
      {
        code: 'HOST_KEY_CHANGED',
        host: 'server2',
        message: 'the host key of 10.0.0.2 is another one than in known_hosts',
        where: { file: 'inventory.yml', line: 12, column: 7 },
        fix: 'Run ssh-keygen -R 10.0.0.2.\nThen log in once by hand.',
      },
      palette,
    );
    expect(
      text,
    ).toBe(`error[HOST_KEY_CHANGED] server2: the host key of 10.0.0.2 is another one than in known_hosts
  at: inventory.yml:12:7
  fix: Run ssh-keygen -R 10.0.0.2.
       Then log in once by hand.`);
  });

  test('among several stands in the order of files, lines and hosts', () => {
    const text = faultsView(
      [
        { code: 'D', message: 'no place, host10', host: 'host10' },
        { code: 'C', message: 'no place, host9', host: 'host9' },
        { code: 'B', message: 'line 10', where: { file: 'a.yml', line: 10 } },
        { code: 'A', message: 'line 9', where: { file: 'a.yml', line: 9 } },
      ],
      palette,
    );
    expect(text.match(/\[(\w)\]/g)?.join('')).toBe('[A][B][C][D]');
  });
});
