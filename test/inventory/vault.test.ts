import { describe, expect, test } from 'vitest';
import { asFleetErrors, formatPlace } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { inventoryList } from '../../src/inventory/render.ts';
import { secretsOf, settingsOf } from '../../src/inventory/settings.ts';
import { encryptVault, isVaultText, Vault } from '../../src/inventory/vault.ts';
import { load } from './files-in-memory.ts';

/** Encrypted by ansible-vault of ansible-core 2.14 with the passwords `pass-one` and, under the id prod, `pass-two`. */
const ONE = `$ANSIBLE_VAULT;1.1;AES256
37396266363765623763343738633939336333643834376266366263643366356532653233336437
3863386437393535383562313266626433353738376637340a386262623063613161356230393934
39656362386565343930323561313535656162303131363537363033326538613430356634356435
6532353836613839340a616439363432353030626536343135333165356565313764393365653336
3764`;
const TWO = `$ANSIBLE_VAULT;1.2;AES256;prod
35316634663263633638343834666337653937353763396233306565656336656561313966303863
3330323439396536623161626564356439346638363230390a666139613630306364306632653735
62356662363137663538383933373364336665346238356463323766326133313439326662373133
3433333332626537340a346235396236643366333566363630336638653134373033336431373338
3335`;
const FILE = `$ANSIBLE_VAULT;1.1;AES256
63373766366535393131353264396339393064373430663035376138383036383438653862633966
3064313135626132343234643264306639336638336539310a393437343736316264356237613734
63366466626361376362346266326633373635626265386632316263386162353635616163643738
6661313036663937390a333262663065356161353238363661396330653135363966356534343962
61313534656266623465646531653538613439333130313635343365383835356566613237663539
3639656630343032646536336139386336623131363531343262
`;
const one = { id: 'default', password: new Secret('pass-one') };
const prod = { id: 'prod', password: new Secret('pass-two') };

function revealed(value: unknown): string {
  return value instanceof Secret ? value.reveal() : 'no secret';
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return asFleetErrors(error)[0].code;
  }
  return '';
}

describe("ansible-vault's own texts", () => {
  test('are opened', () => {
    expect(new Vault([prod, one]).decrypt(ONE).reveal()).toBe('sesame');
    expect(new Vault([one]).decrypt(FILE).reveal()).toBe('token: from-file\nnested: {a: [1, x]}\n');
  });
  test('what fleet encrypts, it opens again, whatever the id and the ending of lines', () => {
    for (const text of ['', 'a', 'x'.repeat(100), 'é\n{{ a }}\n']) {
      const encrypted = encryptVault(text, prod.password, 'prod');
      expect(isVaultText(encrypted)).toBe(true);
      expect(new Vault([one, prod]).decrypt(encrypted.replaceAll('\n', '\r\n')).reveal()).toBe(text);
    }
  });
  test.each([
    ['VAULT_PASSWORD_MISSING', ONE, []],
    ['VAULT_PASSWORD_WRONG', ONE, [prod]],
    ['VAULT_PASSWORD_WRONG', ONE.slice(0, -40), [one]],
    ['VAULT_DAMAGED', ONE.slice(0, 200), [one]],
    ['VAULT_DAMAGED', '$ANSIBLE_VAULT;1.1;AES256\nzz', [one]],
    ['VAULT_DAMAGED', '$ANSIBLE_VAULT;1.0;AES\n00', [one]],
  ])('%s', (code, text, passwords) => {
    expect(codeOf(() => new Vault(passwords).decrypt(text))).toBe(code);
  });
  test('a text of another id is told by its id', () => {
    expect(TWO).toContain('prod');
    expect(codeOf(() => new Vault([]).decrypt(encryptVault('x', prod.password, 'prod')))).toBe(
      'VAULT_PASSWORD_MISSING',
    );
  });
});

const INVENTORY = `
k3s_cluster:
  children:
    server: {hosts: {s1: }}
  vars:
    token: !vault |
${ONE.replace(/^/gm, '      ')}
    line: "K3S_TOKEN={{ token }}"
    size: "{{ token | length }}"
    k3s_version: v1.30.1+k3s1
`;

describe('encrypted values', () => {
  const files = {
    '/inv/hosts.yml': INVENTORY,
    '/inv/group_vars/server.yml': FILE,
    '/pw': 'pass-one\n',
    '/script': () => 'pass-one',
  };

  test.each([
    ['a file', { vaultPasswordFiles: ['/pw'] }],
    ['a program', { vaultPasswordFiles: ['/script'] }],
    ['an id', { vaultIds: ['dev@/pw'] }],
    ['the environment', { env: { ANSIBLE_VAULT_PASSWORD_FILE: '/pw' } }],
    ['a person', { askVaultPassword: true, ask: async () => 'pass-one' }],
  ])('with the password from %s', async (_what, options) => {
    const fleet = await load({ ...files, '/inv/group_vars/server.yml': 'x: 1' }, options);
    const host = fleet.hosts.get('s1');
    if (host === undefined) throw new Error('no host');
    expect(String(host.vars.get('token'))).toBe('[secret]');
    expect((host.vars.get('line') as Secret).reveal()).toBe('K3S_TOKEN=sesame');
    expect(host.vars.get('size')).toBe(6);
    expect(settingsOf(host).token?.reveal()).toBe('sesame');
    expect(
      secretsOf(host)
        .map((secret) => secret.reveal())
        .sort(),
    ).toEqual(['K3S_TOKEN=sesame', 'sesame']);
  });

  test('a whole file; nothing of it is ever listed', async () => {
    const fleet = await load(files, { vaultPasswordFiles: ['/pw'] });
    const host = fleet.hosts.get('s1');
    expect(revealed(host?.vars.get('token'))).toBe('from-file');
    expect(JSON.stringify(inventoryList(fleet))).not.toMatch(/from-file|sesame/);
    expect(JSON.stringify(host?.vars.get('nested'))).toBe('{"a":[1,"[secret]"]}');
  });

  test('without a password, only who reads the value fails, and the list shows it as it stands', async () => {
    const fleet = await load({ '/inv/hosts.yml': INVENTORY });
    const vars = fleet.hosts.get('s1')?.vars;
    expect(vars?.get('k3s_version')).toBe('v1.30.1+k3s1');
    expect(JSON.stringify(inventoryList(fleet))).toContain('__ansible_vault');
    try {
      vars?.get('line');
      expect.unreachable();
    } catch (error) {
      const [fault] = asFleetErrors(error);
      expect(fault.code).toBe('VAULT_PASSWORD_MISSING');
      expect(fault.where === undefined ? '' : formatPlace(fault.where)).toMatch(/^\/inv\/hosts.yml:6:/);
    }
  });

  test('a password file that is missing or empty is named', async () => {
    await expect(load(files, { vaultPasswordFiles: ['/none'] })).rejects.toThrow(/no vault password file/);
    await expect(load({ ...files, '/empty': '\n' }, { vaultPasswordFiles: ['/empty'] })).rejects.toThrow(
      /is empty/,
    );
  });
});

describe('sops', () => {
  const encrypted = 'token: ENC[AES256_GCM,data:x]\nsops:\n  mac: ENC[x]\n  version: 3.8.1\n';
  test('a file is decrypted by the program', async () => {
    const fleet = await load({
      '/inv/hosts.yml': 'all: {hosts: {h: }}',
      '/inv/group_vars/all.yml': encrypted,
      sops: () => 'token: opened\n',
    });
    expect(revealed(fleet.hosts.get('h')?.vars.get('token'))).toBe('opened');
  });
  test('without the program, the error says what to install', async () => {
    await expect(
      load({ '/inv/hosts.yml': 'all: {hosts: {h: }}', '/inv/group_vars/all.yml': encrypted }),
    ).rejects.toThrow(/encrypted by sops/);
  });
});
