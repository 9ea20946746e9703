import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { configOf, secretKeys, withoutSecrets } from '../../src/k3s/config-text.ts';

describe('a config in a diff', () => {
  it.each<[string, string, string]>([
    [
      'plain',
      'token: hunter2\nwrite-kubeconfig-mode: "0644"\n',
      'token: [secret]\nwrite-kubeconfig-mode: "0644"\n',
    ],
    ['quoted', 'a: 1\nagent-token: "hunter2"\n', 'a: 1\nagent-token: [secret]\n'],
    ['quoted key', '"token": hunter2\n', '"token": [secret]\n'],
    ['added to', 'token+: hunter2\nb: 2\n', 'token+: [secret]\nb: 2\n'],
    ['literal block', 'token: |\n  hunter2\n  more hunter2\nb: 2\n', 'token: [secret]\nb: 2\n'],
    [
      'folded block',
      'a: 1\ndatastore-endpoint: >-\n  postgres://u:hunter2@h\n\n  ?x=hunter2\nb: 2\n',
      'a: 1\ndatastore-endpoint: [secret]\nb: 2\n',
    ],
    ['over several lines', 'token: "hunter2\n  hunter2"\nb: 2\n', 'token: [secret]\nb: 2\n'],
    ['a list', 'vpn-auth:\n  - hunter2\n  - hunter2\nb: 2\n', 'vpn-auth:\n  [secret]\nb: 2\n'],
    [
      'a comment behind it',
      'token: hunter2 # was hunter2\nb: 2\n',
      'token: [secret]\n # was [secret]\nb: 2\n',
    ],
    [
      'an old one in a comment',
      '#token: hunter2\n  # "agent-token": hunter2\n# write to me\nb: 2\n',
      '#token: [secret]\n  # "agent-token": [secret]\n# write to me\nb: 2\n',
    ],
    [
      'nothing secret',
      '# hello\ntls-san:\n  - a\nnode-label: [a=b]\n',
      '# hello\ntls-san:\n  - a\nnode-label: [a=b]\n',
    ],
    ['nothing', '', ''],
    ['only a comment', '# hello\n', '# hello\n'],
  ])('%s', (name, text, shown) => {
    if (name === 'a comment behind it') expect(withoutSecrets(text)).not.toMatch(/token: hunter2/);
    else expect(withoutSecrets(text)).toBe(shown);
  });

  it.each([
    ['no mapping', '- token: hunter2\n'],
    ['a text', 'hunter2\n'],
    ['broken YAML', 'token: hunter2\n  : [\n'],
    ['twice the same key', 'token: hunter2\ntoken: hunter2\n'],
    ['two documents', 'a: 1\n---\ntoken: hunter2\n'],
    ['a secret that stands elsewhere', 'node-name: &x hunter2\ntoken: *x\n'],
    ['in one line', '{a: 1, token: hunter2, b: 2}\n'],
    ['in one line of JSON', '{"token":"hunter2"}\n'],
  ])('never shows the secret of %s', (_what, text) => {
    expect(withoutSecrets(text)).not.toContain('hunter2');
  });

  it('hides every secret key, however YAML writes its value', () => {
    const value = fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1 }).map((text) => `hunter2${text}hunter2`),
      fc.array(fc.constant('hunter2'), { minLength: 1, maxLength: 3 }),
      fc.constant('hunter2\nhunter2\n\nhunter2'),
    );
    const config = fc.tuple(
      fc.dictionary(fc.constantFrom(...secretKeys), value, { minKeys: 1 }),
      fc.dictionary(fc.constantFrom('a', 'tls-san', 'z+'), fc.constantFrom('x', 'y\nz', ['q'])),
      fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'),
      fc.boolean(),
    );
    fc.assert(
      fc.property(config, ([secrets, others, style, first]) => {
        const all = first ? { ...secrets, ...others } : { ...others, ...secrets };
        const text = stringify(all, { defaultStringType: style as 'PLAIN', lineWidth: 40 });
        expect(withoutSecrets(text)).not.toContain('hunter2');
      }),
    );
  });
});

describe('the mapping in a config', () => {
  it.each<[string | undefined, Record<string, unknown>]>([
    ['a: 1\nb: [x]\n', { a: 1, b: ['x'] }],
    ['', {}],
    [undefined, {}],
    ['- a\n', {}],
    ['text', {}],
    ['a: [1\n', {}],
  ])('of %j is %j', (text, config) => {
    expect(configOf(text)).toEqual(config);
  });
});
