import { FleetError } from '../core/errors.ts';
import { readNamedFile } from '../core/readable.ts';
import { Secret } from '../core/secret.ts';
import type { Invocation } from './command.ts';
import { askSecret, canAsk } from './prompt.ts';

/** What stands behind a snapshot's file name for the file with its token. */
export const tokenSuffix = '.token.age';

/** Who shall be able to open a token. */
export type Seal = { readonly passphrase: Secret } | { readonly recipients: readonly string[] };

/**
 * How the command line wants a token encrypted: for age recipients, or with a passphrase from a file, from
 * FLEET_SNAPSHOT_PASSPHRASE, or asked for twice.
 * @throws FleetError NO_PASSPHRASE where nobody can be asked
 */
export async function sealFrom({ flags, console }: Invocation): Promise<Seal> {
  const recipients = flags.list('recipient');
  if (recipients.length > 0) return { recipients };
  const given = await givenPassphrase(flags.text('passphraseFile'));
  if (given !== undefined) return { passphrase: given };
  if (!canAsk()) throw noPassphrase('Without its token a snapshot can only be restored where it was made');
  for (;;) {
    const passphrase = await askSecret('Passphrase for the token of the cluster');
    if (passphrase !== '' && passphrase === (await askSecret('The same passphrase again')))
      return { passphrase: new Secret(passphrase) };
    console.note('The two differ, or are empty.');
  }
}

/** The token as an age file in its text form: `age --decrypt` opens it too. */
export async function sealToken(token: Secret, seal: Seal): Promise<string> {
  const { armor, Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  try {
    if ('passphrase' in seal) encrypter.setPassphrase(seal.passphrase.reveal());
    else for (const recipient of seal.recipients) encrypter.addRecipient(recipient);
  } catch (cause) {
    throw new FleetError(
      {
        code: 'FLAG_VALUE',
        message: '--recipient takes the public key of age, age1…',
        fix: 'Make one with: age-keygen.',
        blame: 'usage',
      },
      { cause },
    );
  }
  return armor.encode(await encrypter.encrypt(`${token.reveal()}\n`));
}

/**
 * The token in a file that `sealToken` or age itself made.
 * @throws FleetError NO_PASSPHRASE, PASSPHRASE_WRONG or FILE_UNREADABLE
 */
export async function openToken(path: string, { flags }: Invocation): Promise<Secret> {
  const { armor, Decrypter } = await import('age-encryption');
  const text = await readNamedFile(path);
  const decrypter = new Decrypter();
  const identity = flags.text('identity');
  if (identity === undefined)
    decrypter.addPassphrase((await passphraseFor(path, flags.text('passphraseFile'))).reveal());
  else for (const key of identitiesIn(await readNamedFile(identity))) decrypter.addIdentity(key);
  try {
    const opened = await decrypter.decrypt(armor.decode(text), 'text');
    return new Secret(opened.trim());
  } catch (cause) {
    throw new FleetError(
      {
        code: 'PASSPHRASE_WRONG',
        message: `${path} does not open with that ${identity === undefined ? 'passphrase' : 'identity'}`,
        fix: 'Check which one it was encrypted with; age --decrypt tells the same.',
        where: { file: path },
        blame: 'usage',
      },
      { cause },
    );
  }
}

function identitiesIn(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('AGE-SECRET-KEY-'));
}

async function passphraseFor(path: string, file: string | undefined): Promise<Secret> {
  const given = await givenPassphrase(file);
  if (given !== undefined) return given;
  if (!canAsk()) throw noPassphrase(`${path} holds the token of the snapshot, encrypted`);
  return new Secret(await askSecret(`Passphrase of ${path}`));
}

async function givenPassphrase(file: string | undefined): Promise<Secret | undefined> {
  const text =
    file === undefined
      ? process.env.FLEET_SNAPSHOT_PASSPHRASE
      : (await readNamedFile(file)).replace(/\r?\n$/, '');
  return text === undefined || text === '' ? undefined : new Secret(text);
}

function noPassphrase(why: string): FleetError {
  return new FleetError({
    code: 'NO_PASSPHRASE',
    message: `${why}, and no passphrase was given`,
    fix: 'Give --passphrase-file FILE, or set FLEET_SNAPSHOT_PASSPHRASE; see `fleet help snapshot` for age keys and for going without.',
    blame: 'usage',
  });
}
