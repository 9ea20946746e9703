import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { learnSecrets } from '../../src/cli/secrets-of.ts';
import { Redactor } from '../../src/core/secret.ts';
import { loadFleet } from '../../src/inventory/load-fleet.ts';

it.each([
  ['mysql://k3s:p@ss/w:rd@tcp(10.0.0.5:3306)/k3s', ['p@ss/w:rd']],
  ['postgres://k3s:p%40ss%2Fword@10.0.0.5/k3s', ['p%40ss%2Fword', 'p@ss/word']],
  ['https://k3s:password@10.0.0.5:2379', ['password']],
])(
  'the password of the database at %s is known wherever it stands, in any form',
  async (endpoint, passwords) => {
    const folder = mkdtempSync(join(tmpdir(), 'fleet-secrets-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'inventory.yml');
    for (const vars of [
      { server_config_yaml: stringify({ 'datastore-endpoint': endpoint }) },
      { extra_service_envs: [`K3S_DATASTORE_ENDPOINT=${endpoint}`] },
      { extra_server_args: `--datastore-endpoint '${endpoint}'` },
    ]) {
      writeFileSync(path, stringify({ server: { hosts: { s1: {} }, vars } }));
      const redactor = new Redactor();
      learnSecrets(await loadFleet({ sources: [path] }), redactor);
      for (const password of passwords) expect(redactor.mask(`it is ${password}!`)).toBe('it is [secret]!');
    }
  },
);
