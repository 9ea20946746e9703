import { expect, test } from 'vitest';
import { accessTo } from '../../src/engine/access.ts';
import { loadIni } from '../inventory/files-in-memory.ts';

test('what a host’s own variables say outranks -K, and an alias counts as the name', async () => {
  const fleet = await loadIni('named ansible_become_pass=own\nplain\n');
  const access = accessTo(fleet, { defaults: () => ({ ansible_become_password: 'asked' }) });
  const passwordOf = (host: string): string | undefined =>
    access.becomeOf(host, { enabled: true })?.password?.reveal();
  expect(passwordOf('named')).toBe('own');
  expect(passwordOf('plain')).toBe('asked');
  await access.close();
});
