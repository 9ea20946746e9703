import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../fleet/docker.ts';
import { nodePasswords } from '../fleet/image.ts';
import { ArgvWatch, argvBelow } from './argv-watch.ts';
import type { Ended } from './fleet-cli.ts';
import { clusterNodes, type Lab, on, startLab } from './lab.ts';

/** No secret in any argv, in anything that is said or kept, or where others on a node can read it. */

/** A text that stands nowhere else, within a secret that quoting would have to bend. */
const unique = (): string => randomBytes(12).toString('hex');
const tokenCore = unique();
const token = `it's "$HOME" ${tokenCore}`;
const registryCore = unique();

/** How a text looks inside the base64 of a longer one, by where it begins in it; the letters that its neighbours share are left out. */
function inBase64(text: string): string[] {
  return [0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), Buffer.from(text)])
      .toString('base64')
      .replace(/=+$/, '');
    return encoded.slice(before === 0 ? 0 : before + 1, -1);
  });
}

const formsOf = (core: string): string[] => [core, ...inBase64(core)];

/** Which of these stand in the texts, with a little of what is around. */
function leaks(texts: readonly string[], forms: readonly string[]): string[] {
  return texts.flatMap((text) =>
    forms.flatMap((form) => {
      const at = text.indexOf(form);
      return at < 0 ? [] : [text.slice(Math.max(0, at - 60), at + form.length + 20)];
    }),
  );
}

/** The files of a node that hold one of these: `mode owner path`. k3s' database and journals are read as what they say, below. */
async function filesWith(lab: Lab, node: string, forms: readonly string[]): Promise<string[]> {
  const found = await on(
    lab,
    node,
    `cd / && grep -rlsF -D skip ${forms.map((form) => `-e '${form}'`).join(' ')} boot etc home opt root run srv tmp usr/local var |
     while read -r file; do stat -c '%a %U /%n' "$file"; done`,
  );
  return found === '' ? [] : found.split('\n').sort();
}

/** What ran well, kept by `k3s_keep` in a folder of root alone. */
const keptFiles = '/usr/local/lib/fleet/k3s-kept/a/files';

describe('a token, a registry password and a sudo password', () => {
  let lab: Lab;
  const said: Ended[] = [];
  const argv = new Map<string, readonly string[]>();
  const shown = [
    ...formsOf(tokenCore),
    ...formsOf(registryCore),
    nodePasswords.ops,
    ...inBase64(nodePasswords.ops),
  ];

  beforeAll(async () => {
    lab = await startLab({
      servers: 1,
      agents: 1,
      user: 'ops',
      vars: {
        token,
        registries_config_yaml: `configs:\n  registry.example.com:\n    auth: {username: me, password: "${registryCore}"}\n`,
      },
    });
    said.push(await lab.cli.run(['plan'], { expect: 2 }));
    const watches = await Promise.all(
      lab.nodes.nodes.map(async (node) => [node.name, await ArgvWatch.start(lab, node)] as const),
    );
    const running = lab.cli.start(['up', '--yes', '--output', 'json']);
    const here = argvBelow(running.pid);
    await running.until(({ kind }) => kind === 'task-started');
    for (const [, watch] of watches) await watch.control(50);
    said.push(await running.ended);
    for (const [name, watch] of watches) argv.set(name, await watch.stop());
    argv.set('this machine', await here);
    said.push(await lab.cli.run(['up', '--yes', '--verbose', '--diff'], { expect: 0 }));
    said.push(await lab.cli.run(['facts', '--output', 'json'], { expect: 0 }));
    said.push(await lab.cli.run(['inventory', '--list'], { expect: 0 }));
  });

  afterAll(async () => {
    await lab?.stop();
  });

  test('the cluster is up with them', async () => {
    expect(said[1]?.code, said[1]?.stderr).toBe(0);
    const nodes = await clusterNodes(lab.cli);
    expect(Object.values(nodes).map(({ ready }) => ready)).toEqual([true, true]);
    const env = await on(
      lab,
      'server-1',
      'tr "\\0" "\\n" < /proc/$(systemctl show -p MainPID --value k3s)/environ',
    );
    expect(env.split('\n')).toContain(`K3S_TOKEN=${token}`);
  });

  test('the watch looked closely: it saw processes that live for a millisecond', () => {
    for (const { name } of lab.nodes.nodes) {
      const seen = argv.get(name) ?? [];
      expect(seen.filter((line) => line.includes('seen-by-the-watch-')).length, name).toBeGreaterThan(15);
      expect(
        seen.some((line) => line.includes('k3s-install.sh')),
        name,
      ).toBe(true);
    }
    expect(argv.get('this machine')?.some((line) => line.includes('fleet.cjs up'))).toBe(true);
  });

  test('they stand in no command line, on the nodes or here', () => {
    for (const [machine, lines] of argv) expect(leaks(lines, shown), machine).toEqual([]);
  });

  test('nothing that fleet says holds them', () => {
    for (const { stdout, stderr } of said) expect(leaks([stdout, stderr], shown)).toEqual([]);
  });

  test('the journal holds them neither, nor anything else that it keeps here', async () => {
    const journals = await lab.cli.journals();
    expect(journals.length).toBe(2);
    expect(leaks(journals, shown)).toEqual([]);
    for (const folder of [lab.cli.folder, lab.cli.home]) {
      const found = await runCommand('grep', ['-rlF', ...shown.flatMap((form) => ['-e', form]), folder]);
      expect(found).toMatchObject({ code: 1, stdout: '' });
    }
  });

  test('on the nodes the token lies in files of root alone: where k3s and its service read it, and where the way back is kept', async () => {
    for (const { name } of lab.nodes.nodes) {
      const files = await filesWith(lab, name, formsOf(tokenCore));
      expect(
        files.filter((file) => !/^[46]00 root /.test(file)),
        name,
      ).toEqual([]);
      const places = files.map((file) => file.split(' ')[2] ?? '');
      const env = `/etc/systemd/system/${name === 'server-1' ? 'k3s' : 'k3s-agent'}.service.env`;
      const isK3s = (place: string): boolean => place.startsWith('/var/lib/rancher/k3s/server/');
      expect(
        places.filter((place) => !isK3s(place)),
        name,
      ).toEqual([env, `${keptFiles}${env}`]);
    }
  });

  test('so does the registry password; the sudo password lies nowhere', async () => {
    for (const { name } of lab.nodes.nodes) {
      const files = await filesWith(lab, name, formsOf(registryCore));
      expect(files, name).toContain('600 root /etc/rancher/k3s/registries.yaml');
      expect(
        files.filter((file) => !/^[46]00 root /.test(file)),
        name,
      ).toEqual([]);
      const sudo = [nodePasswords.ops, ...inBase64(nodePasswords.ops)];
      expect(await filesWith(lab, name, sudo), name).toEqual([]);
    }
  });

  test('no log of the nodes holds them', async () => {
    for (const { name } of lab.nodes.nodes) {
      const log = await on(lab, name, 'journalctl --no-pager -o cat');
      expect(log, name).toContain('k3s');
      expect(leaks([log], shown), name).toEqual([]);
    }
  });
});

describe('a token that the first server makes', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await startLab({ servers: 1, agents: 1, vars: { token: null } });
  });

  afterAll(async () => {
    await lab?.stop();
  });

  test('is passed on to the agent, and shown to nobody', async () => {
    const up = await lab.cli.up();
    const again = await lab.cli.run(['up', '--yes', '--verbose', '--diff'], { expect: 0 });
    const facts = await lab.cli.run(['facts', '--output', 'json'], { expect: 0 });
    const made = await on(lab, 'server-1', 'cat /var/lib/rancher/k3s/server/token');
    const password = made.split('::server:')[1] ?? '';
    expect(password.length).toBeGreaterThan(16);
    expect(await filesWith(lab, 'agent-1', [password])).toEqual([
      '600 root /etc/systemd/system/k3s-agent.service.env',
      `600 root ${keptFiles}/etc/systemd/system/k3s-agent.service.env`,
    ]);
    const said = [up, again, facts].flatMap(({ stdout, stderr }) => [stdout, stderr]);
    expect(leaks([...said, ...(await lab.cli.journals())], formsOf(password))).toEqual([]);
  });
});
