import { format, inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Redactor, reveal, Secret } from '../../src/core/secret.ts';
import { quote } from '../../src/core/shell.ts';

const password = `p@ss/w"rd'$x+1\\é&<2>`;

function knowing(...secrets: readonly string[]): Redactor {
  const redactor = new Redactor();
  for (const secret of secrets) redactor.add(secret);
  return redactor;
}

describe('a Secret', () => {
  const secret = new Secret('hunter2hunter2');

  it.each<[string, string]>([
    ['a template', `${secret}`],
    ['a sum', `x${String(secret)}`],
    ['JSON', JSON.stringify({ token: secret, deep: [secret] })],
    ['inspect', inspect({ token: secret }, { depth: 9, showHidden: true })],
    ['inspect without customisation', inspect(secret, { customInspect: false, showHidden: true })],
    ['format', format('%s %o %O %j', secret, secret, secret, secret)],
    ['its properties', Object.entries(secret).join() + Reflect.ownKeys(secret).join()],
    ['an error', String(new Error(`wrong: ${secret}`))],
  ])('does not print in %s', (_where, printed) => {
    expect(printed).not.toContain('hunter2');
  });

  it('gives its text to whoever asks for it by name', () => {
    expect(secret.reveal()).toBe('hunter2hunter2');
    expect(reveal(secret)).toBe('hunter2hunter2');
    expect(reveal('plain')).toBe('plain');
  });
});

describe('what the redactor masks', () => {
  it.each<[string, (value: string) => string]>([
    ['as it is', (value) => value],
    ['inside a word', (value) => `x${value}y`],
    ['JSON', (value) => JSON.stringify({ value })],
    ['JSON as Go writes it', (value) => goJson(value)],
    ['an address', (value) => `postgres://user:${encodeURIComponent(value)}@db/k3s`],
    ['a form', (value) => String(new URLSearchParams({ value }))],
    ['one shell word', (value) => quote(value)],
    ['double quotes, as env files have them', (value) => `"${value.replaceAll(/["\\$`]/g, '\\$&')}"`],
  ])('%s', (_form, written) => {
    const shown = knowing(password).mask(`before ${written(password)} after`);
    expect(shown).toMatch(/^before .*\[secret\].* after$/);
    expect(shown).not.toContain('p@ss');
    expect(shown).not.toContain('p%40ss');
    expect(shown).not.toMatch(/[w+1]\\*é|%C3%A9/);
  });

  it.each([
    ['as it is', '\n'],
    ['with CR', '\r\n'],
    ['indented in YAML', '\n        '],
    ['in JSON', '\\n'],
  ])('in base64 that is wrapped in its middle, %s', (_how, lineEnd) => {
    const secret = 'correct-horse-battery-staple';
    for (let before = 0; before < 80; before += 1) {
      for (const width of [64, 76]) {
        const text = `${'x'.repeat(before)}${secret}${'y'.repeat(60)}`;
        const lines = (
          Buffer.from(text)
            .toString('base64')
            .match(new RegExp(`.{1,${width}}`, 'g')) ?? []
        ).join(lineEnd);
        const shown = knowing(secret).mask(`data: ${lines} end`);
        expect(shown).toContain('[secret]');
        const left = Buffer.from(
          shown.replaceAll('[secret]', '').replace(/^data: | end$|\\n/g, ''),
          'base64',
        ).toString();
        expect(left).not.toMatch(/horse|battery/);
      }
    }
  });

  it('in base64 of any longer text, at every alignment', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 10, maxLength: 40, unit: 'binary-ascii' }),
        fc.uint8Array({ maxLength: 7 }),
        fc.uint8Array({ maxLength: 7 }),
        fc.constantFrom('base64', 'base64url'),
        (secret, before, after, encoding) => {
          fc.pre(secret.trim() === secret && !/[\r\n]/.test(secret));
          const encoded = Buffer.concat([before, Buffer.from(secret), after]).toString(
            encoding as BufferEncoding,
          );
          const shown = knowing(secret).mask(`data: ${encoded}`);
          expect(shown).toContain('[secret]');
          // What is left of the secret's own digits are its edges, which it shares with its neighbours.
          const left = shown.replace(/^data: /, '').replace('[secret]', '').length;
          expect(left).toBeLessThanOrEqual(encoded.length - Math.floor((secret.length * 4) / 3) + 3);
        },
      ),
    );
  });

  it('each line of a secret that has several, however it is indented', () => {
    const key = '-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n    indented-payload-line\r\nd2luZG93cw==\n';
    const shown = knowing(key).mask(
      'tls: |\n    MIIEvQIBADANBgkqhkiG\nx indented-payload-line y\n\td2luZG93cw==\n',
    );
    expect(shown).toBe('tls: |\n    [secret]\nx [secret] y\n\t[secret]\n');
  });

  it('the longest first, where one secret begins like another', () => {
    expect(knowing('token', 'token-of-the-agent').mask('token-of-the-agent token')).toBe('[secret] [secret]');
  });

  it('characters that mean something in a pattern', () => {
    expect(knowing('a.c*(d)[e]|f').mask('abcd a.c*(d)[e]|f')).toBe('abcd [secret]');
  });

  it('no value so short that masking it would give it away', () => {
    expect(knowing('a', 'yes', '').mask('a yes man')).toBe('a yes man');
  });

  it('what was added after it was first used', () => {
    const redactor = knowing('first-secret');
    expect(redactor.mask('second-secret')).toBe('second-secret');
    redactor.add(new Secret('second-secret'));
    expect(redactor.mask('first-secret second-secret')).toBe('[secret] [secret]');
  });

  it('any secret, in any text around it', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 4, unit: 'grapheme' }),
        fc.string(),
        fc.string(),
        (secret, before, after) => {
          fc.pre(secret.trim().length >= 4 && !'[secret]'.includes(secret.trim()));
          const shown = knowing(secret).mask(`${before}${secret}${after}`);
          expect(shown).toContain('[secret]');
        },
      ),
    );
  });
});

describe('masking of data', () => {
  const redactor = knowing('s3cret-value');

  it('reaches every string, keys too, and leaves the rest', () => {
    const data = {
      kind: 'x',
      number: 4,
      nothing: null,
      absent: undefined,
      flag: true,
      deep: [{ 'key-s3cret-value': ['a s3cret-value b', new Secret('other')] }],
    };
    expect(redactor.maskDeep(data)).toEqual({
      kind: 'x',
      number: 4,
      nothing: null,
      absent: undefined,
      flag: true,
      deep: [{ 'key-[secret]': ['a [secret] b', '[secret]'] }],
    });
    expect(data.deep[0]?.['key-s3cret-value']?.[0], 'the data itself').toBe('a s3cret-value b');
  });
});

/** encoding/json escapes what HTML would read. */
function goJson(value: string): string {
  return JSON.stringify(value).replace(
    /[<>&]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
}
