import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rpmSignature, signingKeys } from '../../src/airgap/rpm-signature.ts';
import { runCommand } from '../fleet/docker.ts';
import { provideProgram } from '../fleet/machine.ts';

/** Packages that rpmsign signed; rpmkeys says the same of each. */

let place: string;

const recipe = `set -e
export GNUPGHOME="$PWD/gpg"; mkdir -m 700 gpg
printf 'Name: small\\nVersion: 1\\nRelease: 1\\nSummary: x\\nLicense: x\\nBuildArch: noarch\\n%%description\\nx\\n%%install\\nmkdir -p %%{buildroot}/opt\\necho content > %%{buildroot}/opt/small\\n%%files\\n/opt/small\\n' > small.spec
rpmbuild -bb --define "_rpmdir $PWD" --define "_topdir $PWD/top" small.spec > log 2>&1 || { cat log >&2; exit 1; }
mv noarch/*.rpm none.rpm
for kind in rsa3072 ed25519; do
  gpg --batch --quiet --passphrase '' --quick-gen-key "$kind@example.org" "$kind" sign never
  gpg --armor --export "$kind@example.org" > "$kind.key"
  cp none.rpm "$kind.rpm"
  printf '%%_gpg_name %s@example.org\\n%%_gpg_path %s\\n%%__gpg /usr/bin/gpg\\n' "$kind" "$GNUPGHOME" > macros
  rpmsign --load macros --addsign "$kind.rpm" > /dev/null
done
gpgconf --kill all`;

beforeAll(async () => {
  for (const [program, debianPackage] of [
    ['rpmbuild', 'rpm'],
    ['gpg', 'gpg'],
    ['gpg-agent', 'gpg-agent'],
  ] as const)
    await provideProgram(program, debianPackage, 'packages are signed for real');
  place = mkdtempSync(join(tmpdir(), 'fleet-signatures-'));
  const made = await runCommand('sh', ['-c', recipe], { cwd: place, env: { ...process.env, HOME: place } });
  if (made.code !== 0) throw new Error(made.stderr);
}, 120_000);
afterAll(() => rmSync(place, { recursive: true, force: true }));

const keysIn = (...names: readonly string[]) =>
  names.flatMap((name) => signingKeys(readFileSync(join(place, name), 'utf8')));
const checked = (name: string, ...keys: readonly string[]) =>
  rpmSignature(join(place, name), keysIn(...keys));

/** What rpm itself says, with these keys alone. */
async function rpmSays(name: string, ...keys: readonly string[]): Promise<string> {
  const ring = mkdtempSync(join(place, 'ring-'));
  const { stdout } = await runCommand(
    'sh',
    ['-c', `rpmkeys --dbpath ${ring} --import ${keys.join(' ')}; rpmkeys -v --dbpath ${ring} -K ${name}`],
    { cwd: place },
  );
  return stdout;
}

/** A copy with one byte another, counted from the end where it is negative. */
function spoilt(name: string, at: number): string {
  const bytes = readFileSync(join(place, name));
  const index = at < 0 ? bytes.length + at : at;
  bytes.writeUInt8(bytes.readUInt8(index) ^ 1, index);
  writeFileSync(join(place, `spoilt-${name}`), bytes);
  return `spoilt-${name}`;
}

/** Where the second header begins, which is the signed one. */
function headerOf(name: string): number {
  return readFileSync(join(place, name)).indexOf(Buffer.from('8eade801', 'hex'), 100);
}

describe.each(['rsa3072', 'ed25519'])('a package signed by an %s key', (kind) => {
  it('is right by that key, among others, and foreign without it', async () => {
    expect(await checked(`${kind}.rpm`, 'rsa3072.key', 'ed25519.key')).toMatchObject({ verdict: 'right' });
    expect(await rpmSays(`${kind}.rpm`, `${kind}.key`)).toMatch(/Header V4 .* Signature, .*: OK/);
    const other = kind === 'rsa3072' ? 'ed25519.key' : 'rsa3072.key';
    const [key] = keysIn(`${kind}.key`);
    expect(await checked(`${kind}.rpm`, other)).toEqual({ verdict: 'foreign', keyId: key?.id });
  });

  it('is wrong with another header, and with other files', async () => {
    const inHeader = spoilt(`${kind}.rpm`, headerOf(`${kind}.rpm`) + 200);
    expect(await checked(inHeader, `${kind}.key`)).toMatchObject({
      verdict: 'wrong',
      because: expect.stringMatching(/header/),
    });
    const inFiles = spoilt(`${kind}.rpm`, -20);
    expect(await checked(inFiles, `${kind}.key`)).toMatchObject({
      verdict: 'wrong',
      because: expect.stringMatching(/files/),
    });
    expect(await rpmSays(inFiles, `${kind}.key`)).toMatch(/Payload .*BAD/);
  });
});

it('what is not signed, or is no package, is told', async () => {
  expect(await checked('none.rpm', 'rsa3072.key')).toEqual({ verdict: 'none' });
  writeFileSync(join(place, 'page.rpm'), '<html>not here</html>');
  expect(await checked('page.rpm', 'rsa3072.key')).toMatchObject({ verdict: 'unread' });
  expect(signingKeys('no key')).toEqual([]);
});

/** As the packages of RHEL and SUSE are signed: by a signature of version 3, which gpg makes no more. */
describe('a signature of version 3', () => {
  const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
  const number = (padded: Buffer): Buffer => {
    const bytes = padded.subarray(padded.findIndex((byte) => byte !== 0));
    return Buffer.concat([u16(bytes.length * 8 - Math.clz32(bytes.readUInt8(0)) + 24), bytes]);
  };
  const packet = (tag: number, body: Buffer): Buffer =>
    Buffer.concat([Buffer.from([0x80 | (tag << 2) | 1]), u16(body.length), body]);
  const created = Buffer.from('5f000000', 'hex');

  /** A key as OpenPGP has it, with a user that it certifies: without one rpm takes none. */
  async function exported(pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }) {
    const { n = '', e = '' } = pair.publicKey.export({ format: 'jwk' });
    const key = Buffer.concat([
      Buffer.from([4]),
      created,
      Buffer.from([1]),
      number(Buffer.from(n, 'base64url')),
      number(Buffer.from(e, 'base64url')),
    ]);
    const hashedKey = Buffer.concat([Buffer.from([0x99]), u16(key.length), key]);
    const id = createHash('sha1').update(hashedKey).digest().subarray(-8);
    const user = Buffer.from('third@example.org');
    const hashed = Buffer.concat([
      Buffer.from([4, 0x13, 1, 8, 0, 9, 5, 2]),
      created,
      Buffer.from([2, 27, 3]),
    ]);
    const certified = Buffer.concat([
      hashedKey,
      Buffer.from([0xb4, 0, 0]),
      u16(user.length),
      user,
      hashed,
      Buffer.from([4, 0xff, 0, 0, 0, hashed.length]),
    ]);
    const certificate = Buffer.concat([
      hashed,
      Buffer.from([0, 10, 9, 16]),
      id,
      createHash('sha256').update(certified).digest().subarray(0, 2),
      number(sign('sha256', certified, pair.privateKey)),
    ]);
    writeFileSync(
      join(place, 'third.bin'),
      Buffer.concat([packet(6, key), packet(13, user), packet(2, certificate)]),
    );
    const { code, stderr } = await runCommand(
      'sh',
      ['-c', `gpg --enarmor < third.bin | sed 's/ARMORED FILE/PUBLIC KEY BLOCK/' > third.key`],
      { cwd: place, env: { ...process.env, GNUPGHOME: join(place, 'gpg') } },
    );
    if (code !== 0) throw new Error(stderr);
    return id;
  }

  it('is checked as well', async () => {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const id = await exported(pair);
    const bytes = readFileSync(join(place, 'rsa3072.rpm'));
    const at = headerOf('rsa3072.rpm');
    const entries = bytes.readUInt32BE(at + 8);
    const header = bytes.subarray(at, at + 16 + 16 * entries + bytes.readUInt32BE(at + 12));
    const trailer = Buffer.concat([Buffer.from([0]), created]);
    const signed = Buffer.concat([header, trailer]);
    const signature = packet(
      2,
      Buffer.concat([
        Buffer.from([3, 5]),
        trailer,
        id,
        Buffer.from([1, 8]),
        createHash('sha256').update(signed).digest().subarray(0, 2),
        number(sign('sha256', signed, pair.privateKey)),
      ]),
    );
    // A signature header with nothing but this one.
    const start = Buffer.alloc(32);
    Buffer.from('8eade80100000000', 'hex').copy(start);
    for (const [value, offset] of [
      [1, 8],
      [signature.length, 12],
      [268, 16],
      [7, 20],
      [signature.length, 28],
    ] as const)
      start.writeUInt32BE(value, offset);
    const padding = Buffer.alloc((8 - ((start.length + signature.length) % 8)) % 8);
    writeFileSync(
      join(place, 'third.rpm'),
      Buffer.concat([bytes.subarray(0, 96), start, signature, padding, bytes.subarray(at)]),
    );
    expect(await rpmSays('third.rpm', 'third.key')).toMatch(/Header V3 RSA\/SHA256 Signature, .*: OK/);
    expect(await checked('third.rpm', 'third.key')).toEqual({ verdict: 'right', keyId: id.toString('hex') });
    expect(await checked(spoilt('third.rpm', headerOf('third.rpm') + 200), 'third.key')).toMatchObject({
      verdict: 'wrong',
    });
  });
});
