import { copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeAuthorities } from '../k3s/make-authorities.ts';
import { type Ended, endedAs, ofKind } from './fleet-cli.ts';
import { clusterNodes, kubectl, type Lab, on, serviceStarts, startLab } from './lab.ts';

/** A company's own certificate authorities: a cluster begins with them, and is given others below the same root. */

const data = '/var/lib/rancher/k3s';

describe('a server and an agent', () => {
  let lab: Lab;
  const at = (name: string): string => path.join(lab.cli.folder, name);
  const said: Ended[] = [];

  beforeAll(async () => {
    lab = await startLab({ servers: 1, agents: 1 });
    await makeAuthorities(at('one/server/tls'), at('office'));
    await makeAuthorities(at('two'), at('office'));
    await makeAuthorities(at('other'), at('elsewhere'));
    await lab.nodes.writeInventory({ ca_dir: at('one') });
  });

  afterAll(async () => {
    await lab?.stop();
  });

  const authority = (): Promise<string> => on(lab, 'server-1', `cat ${data}/server/tls/server-ca.crt`);
  const rotated = async (args: readonly string[], expected: 0 | 1): Promise<Ended> => {
    const done = await lab.cli.run(['rotate', 'ca', '--yes', '--output', 'json', ...args], {
      expect: expected,
    });
    said.push(done);
    return done;
  };

  test('begin with those of ca_dir, and the next run changes nothing', async () => {
    said.push(await lab.cli.up());
    expect(await authority()).toBe((await readFile(at('one/server/tls/server-ca.crt'), 'utf8')).trimEnd());
    expect(await on(lab, 'server-1', `stat -c '%a %U' ${data}/server/tls/client-ca.key`)).toBe('600 root');
    expect(await on(lab, 'server-1', `stat -c %a /var/lib/rancher ${data}`)).toBe('755\n755');
    const root = await on(
      lab,
      'server-1',
      `awk '/BEGIN/{n++} n==2' ${data}/server/tls/server-ca.crt | openssl x509 -outform DER | sha256sum | cut -d ' ' -f 1`,
    );
    expect(await on(lab, 'server-1', `cat ${data}/server/token`)).toContain(`K10${root}::`);
    const nodes = Object.values(await clusterNodes(lab.cli));
    expect(nodes.map(({ ready }) => ready)).toEqual([true, true]);
    await lab.cli.plan({ expect: 0 });
  });

  test('are given none below a root that nobody trusts, before anything is changed', async () => {
    const before = await serviceStarts(lab, lab.nodes.node('server-1'));
    const refused = await rotated(['--path', at('other')], 1);
    expect(ofKind(refused.events, 'host-failed').map(({ error }) => error.code)).toEqual(['CA_NOT_TRUSTED']);
    expect(endedAs(refused.events, 'changed')).toEqual([]);
    expect(await serviceStarts(lab, lab.nodes.node('server-1'))).toEqual(before);
  });

  test('are given others below the same root: a kubeconfig and the token from before go on', async () => {
    const before = at('before.kubeconfig');
    await copyFile(lab.cli.kubeconfig, before);
    const token = await on(lab, 'server-1', `cat ${data}/server/token`);
    await rotated(['--path', at('two')], 0);
    expect(await authority()).toBe((await readFile(at('two/server-ca.crt'), 'utf8')).trimEnd());
    expect(await on(lab, 'server-1', `cat ${data}/server/token`)).toBe(token);
    expect(
      await on(lab, 'server-1', `ls -d ${data}/server/fleet-ca-rotation 2> /dev/null || echo gone`),
    ).toBe('gone');
    expect((await kubectl(lab.cli, '--kubeconfig', before, 'get', 'nodes')).code).toBe(0);
    const nodes = Object.values(await clusterNodes(lab.cli));
    expect(nodes.map(({ ready }) => ready)).toEqual([true, true]);
    // The inventory still names the first ones: said, and not done.
    const up = await lab.cli.up();
    said.push(up);
    expect(endedAs(up.events, 'changed')).toEqual([]);
    expect(ofKind(up.events, 'warning').map(({ code }) => code)).toContain('CA_DIFFERS');
  });

  test('no key stands in what was said or kept here', async () => {
    const keys = await Promise.all(
      ['one/server/tls', 'two'].map((folder) => readFile(at(`${folder}/client-ca.key`), 'utf8')),
    );
    const texts = [...said.flatMap(({ stdout, stderr }) => [stdout, stderr]), ...(await lab.cli.journals())];
    expect(texts.length).toBeGreaterThan(8);
    for (const [, line = ''] of keys.map((key) => key.split('\n'))) {
      expect(line.length).toBeGreaterThan(40);
      expect(texts.filter((text) => text.includes(line))).toEqual([]);
    }
  });
});
