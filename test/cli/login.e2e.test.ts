import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { haveSshd, makeKey, type Sshd, startSshd } from '../ssh/sshd.ts';
import { type Ended, fleet } from './run-fleet.ts';

/** How the command line says who logs in, against a real sshd. */

const USER = 'fleet-t-login';
let sshd: Sshd;

beforeAll(async () => {
  if (!haveSshd()) return;
  execFileSync('sh', ['-c', `userdel -r -f ${USER} 2>/dev/null; useradd -m -s /bin/sh -p '*' ${USER}`]);
  sshd = await startSshd();
});
afterAll(async () => {
  if (!haveSshd()) return;
  await sshd.stop();
  execFileSync('userdel', ['-r', '-f', USER], { stdio: 'pipe' });
});

/** Runs `id -un` on the sshd of this test, as an inventory of one host has it. */
function whoami(flags: readonly string[], hostVars = ''): Ended {
  const inventory = join(sshd.dir, 'hosts');
  writeFileSync(
    inventory,
    `node1 ansible_host=127.0.0.1 ansible_port=${sshd.port} ansible_ssh_common_args="-F none -o UserKnownHostsFile=${sshd.knownHosts} -o IdentityAgent=none" ${hostVars}\n`,
  );
  return fleet(['run', '-i', inventory, ...flags, '--', 'id -un'], { env: { HOME: sshd.dir } });
}

describe.skipIf(!haveSshd())('fleet run', () => {
  test('-u and --private-key log in as that user with that key', () => {
    expect(whoami(['-u', USER, '--private-key', sshd.key])).toMatchObject({ code: 0, out: `${USER}\n` });
  });

  test("a host's own variables outrank both", () => {
    const own = `ansible_user=${USER} ansible_private_key_file=${sshd.key}`;
    const nobodys = makeKey(sshd.dir, 'nobodys');
    expect(whoami(['-u', 'nobody', '--private-key', nobodys], own)).toMatchObject({
      code: 0,
      out: `${USER}\n`,
    });
  });

  test('a key that opens nothing, and one that is not there, are named', () => {
    const closed = whoami(['-u', USER, '--private-key', makeKey(sshd.dir, 'closed')]);
    expect(closed.code).toBe(1);
    expect(closed.err).toContain('error[AUTH_FAILED]');
    const missing = whoami(['-u', USER, '--private-key', join(sshd.dir, 'none')]);
    expect(missing.code).not.toBe(0);
    expect(missing.err).toContain(join(sshd.dir, 'none'));
  });
});
