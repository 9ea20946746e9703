import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { describe, expect, it } from 'vitest';
import { type Invocation, OwnFlags } from '../../src/cli/command.ts';
import { openToken, sealFrom, sealToken } from '../../src/cli/sealed-token.ts';
import { Secret } from '../../src/core/secret.ts';
import { emptyFolder } from './run-fleet.ts';

const token = new Secret(`K10${'a'.repeat(64)}::server:password`);

function invocation(flags: Readonly<Record<string, unknown>>): Invocation {
  return { flags: new OwnFlags(flags) } as unknown as Invocation;
}

function fileWith(text: string): string {
  const path = join(emptyFolder(), 'file');
  writeFileSync(path, text);
  return path;
}

describe('a token beside its snapshot', () => {
  it('opens with its passphrase, and with no other', async () => {
    const passphraseFile = fileWith('correct horse\n');
    const sealed = await sealToken(token, await sealFrom(invocation({ passphraseFile })));
    expect(sealed).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----/);
    const path = fileWith(sealed);
    expect((await openToken(path, invocation({ passphraseFile }))).reveal()).toBe(token.reveal());
    await expect(openToken(path, invocation({ passphraseFile: fileWith('another') }))).rejects.toMatchObject({
      code: 'PASSPHRASE_WRONG',
    });
    // Thrice a key from a passphrase, which is slow on purpose.
  }, 180_000);

  it('opens with the key of its recipient', async () => {
    const identity = await generateIdentity();
    const seal = await sealFrom(invocation({ recipient: [await identityToRecipient(identity)] }));
    const path = fileWith(await sealToken(token, seal));
    const key = fileWith(`# created: today\n${identity}\n`);
    expect((await openToken(path, invocation({ identity: key }))).reveal()).toBe(token.reveal());
  });

  it('is not made where nobody can give a passphrase', async () => {
    await expect(sealFrom(invocation({}))).rejects.toMatchObject({ code: 'NO_PASSPHRASE' });
  });
});
