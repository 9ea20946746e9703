import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { snapshotDifferences } from '../fleet/filesystem-snapshot.ts';
import { airgapFolder, defaultK3sVersion, k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import { ArgvWatch } from './argv-watch.ts';
import { type Ended, endedAs, ofKind } from './fleet-cli.ts';
import { clusterNodes, kubectl, type Lab, on, serviceStarts, startLab } from './lab.ts';

/** Two servers whose data is in Debian's PostgreSQL, MariaDB or etcd, on a machine beside the cluster. */

const next = 'v1.34.1+k3s1';
/** With what leads a careless reader of the endpoint astray. */
const password = `p@ss/${randomBytes(12).toString('hex')}`;
const core = password.slice(5);

let lab: Lab;
let database: string;

beforeAll(async () => {
  lab = await startLab({ servers: 2, agents: 1, databases: 1 });
  database = lab.nodes.node('database-1').address;
  await on(lab, 'database-1', 'systemctl start postgresql mariadb etcd');
  await on(
    lab,
    'database-1',
    `su postgres -c 'psql -q' <<'END'
CREATE USER k3s PASSWORD '${password}';
CREATE DATABASE k3s OWNER k3s;
END
     mariadb -e "CREATE DATABASE k3s; CREATE USER k3s@'%' IDENTIFIED BY '${password}'; GRANT ALL ON k3s.* TO k3s@'%'"`,
  );
});

afterAll(async () => {
  await lab?.stop();
});

const postgres = (secret = password): Readonly<Record<string, unknown>> => ({
  server_config_yaml: stringify({
    'datastore-endpoint': `postgres://k3s:${encodeURIComponent(secret)}@${database}:5432/k3s?sslmode=disable`,
  }),
});
const mariadb = (): Readonly<Record<string, unknown>> => ({
  extra_service_envs: [`K3S_DATASTORE_ENDPOINT=mysql://k3s:${password}@tcp(${database}:3306)/k3s`],
});
const etcd = (): Readonly<Record<string, unknown>> => ({
  extra_server_args: `--datastore-endpoint http://${database}:2379`,
});

/** That nothing on the nodes was changed by what is done meanwhile. */
async function expectUntouched(act: () => Promise<void>): Promise<void> {
  const nodes = [...lab.nodes.servers, ...lab.nodes.agents];
  const look = () =>
    Promise.all(
      nodes.map(async (node) => ({
        services: await serviceStarts(lab, node),
        files: await lab.nodes.snapshotFilesystem(node, ['/etc', '/usr/local', '/root', '/home']),
      })),
    );
  const before = await look();
  await act();
  const after = await look();
  for (const [index, { services, files }] of before.entries()) {
    expect(after[index]?.services).toEqual(services);
    expect(snapshotDifferences(files, after[index]?.files ?? new Map())).toEqual([]);
  }
}

const faults = ({ events }: Ended) =>
  ofKind(events, 'host-failed').map(({ host, error }) => ({ host, ...error }));

const said: Ended[] = [];

describe.each([
  [
    'PostgreSQL',
    postgres,
    `su postgres -c "psql -Atc \\"SELECT count(*) FROM kine WHERE name LIKE '/bootstrap/%'\\" k3s"`,
  ],
  ['MariaDB', mariadb, `mariadb -Ne "SELECT count(*) FROM k3s.kine WHERE name LIKE '/bootstrap/%'"`],
  [
    'etcd',
    etcd,
    `ETCDCTL_API=3 etcdctl get --prefix --keys-only /k3s-stand-in/bootstrap/ | grep -c bootstrap`,
  ],
])('%s', (name, vars, bootstrapData) => {
  beforeAll(async () => {
    await lab.nodes.writeInventory(vars());
  });

  // The last one's nodes go away with it.
  afterAll(async () => {
    if (name !== 'etcd') await lab.cli.run(['reset', '--yes', '--confirm', 'k3s-ansible'], { expect: 0 });
  });

  if (name === 'PostgreSQL') {
    test('that is down is found out before anything is changed, and named without its password', async () => {
      await on(lab, 'database-1', 'systemctl stop postgresql@15-main');
      await expectUntouched(async () => {
        const up = await lab.cli.up({ expect: 1 });
        said.push(up);
        expect(faults(up).map(({ host, code }) => [host, code])).toEqual([
          ['server-1', 'DATASTORE_UNREACHABLE'],
          ['server-2', 'DATASTORE_UNREACHABLE'],
        ]);
        expect(faults(up)[0]?.message).toBe(
          `the database postgres://${database}:5432/k3s cannot be reached from server-1`,
        );
      });
      await on(lab, 'database-1', 'systemctl start postgresql@15-main');
    });

    test('that refuses the password ends it with the first server, saying so', async () => {
      await lab.nodes.writeInventory(postgres(`x${core}`));
      const up = await lab.cli.up({ expect: 1 });
      said.push(up);
      expect(faults(up).map(({ host, step }) => [host, step])).toEqual([['server-1', 'k3s_service']]);
      expect(faults(up)[0]?.message).toMatch(
        /exits again and again: .*password authentication failed.*likely: the database refuses/,
      );
      expect(await on(lab, 'server-2', 'ls /etc/systemd/system/k3s.service 2> /dev/null || echo none')).toBe(
        'none',
      );
      await lab.nodes.writeInventory(postgres());
    });
  }

  test('two servers and an agent come up on it, and the next run changes nothing', async () => {
    const watch = await ArgvWatch.start(lab, lab.nodes.node('server-1'));
    const up = await lab.cli.up({ args: ['--diff'] });
    const argv = await watch.stop();
    expect(
      Object.entries(await clusterNodes(lab.cli)).map(([node, { ready, roles }]) => [node, ready, roles]),
    ).toEqual([
      ['agent-1', true, []],
      ['server-1', true, ['control-plane', 'master']],
      ['server-2', true, ['control-plane', 'master']],
    ]);
    expect((await on(lab, 'database-1', bootstrapData)).trim()).toBe('1');
    const again = await lab.cli.up();
    expect(endedAs(again.events, 'changed')).toEqual([]);
    expect(argv.filter((line) => line.includes(core))).toEqual([]);
    said.push(up, again);
  });

  if (name === 'PostgreSQL') {
    test('an agent and a server whose Nodes were deleted while they run register again, the other is left alone', async () => {
      expect((await kubectl(lab.cli, 'delete', 'node', 'agent-1', 'server-2')).code).toBe(0);
      const other = await serviceStarts(lab, lab.nodes.node('server-1'));
      const up = await lab.cli.up();
      said.push(up);
      const restarts = endedAs(up.events, 'changed').filter((task) => task.includes('what is on disk'));
      expect(restarts.map((task) => task.split(':')[0])).toEqual(['server-2', 'agent-1']);
      expect(Object.entries(await clusterNodes(lab.cli)).map(([node, { ready }]) => [node, ready])).toEqual([
        ['agent-1', true],
        ['server-1', true],
        ['server-2', true],
      ]);
      expect(await serviceStarts(lab, lab.nodes.node('server-1'))).toEqual(other);
      await lab.cli.plan({ expect: 0 });
    });

    test.each<[string, () => Readonly<Record<string, unknown>>, string, RegExp]>([
      [
        'another token, in the user’s own config',
        () => ({
          server_config_yaml: `${postgres().server_config_yaml}{% if inventory_hostname == 'server-2' %}token: another-one\n{% endif %}`,
        }),
        'TOKEN_DIFFERS',
        /the token in server_config_yaml/,
      ],
      [
        'another network for its pods',
        () => ({ ...postgres(), cluster_cidr: '10.99.0.0/16' }),
        'SETTING_FIXED',
        /cluster-cidr/,
      ],
      ['another database', mariadb, 'DATASTORE_CHANGED', /write to two of them/],
    ])('a cluster that runs does not get %s', async (_what, wanted, code, because) => {
      await lab.nodes.writeInventory(wanted());
      await expectUntouched(async () => {
        const up = await lab.cli.up({ expect: 1 });
        said.push(up);
        expect(faults(up)[0]).toMatchObject({ code, message: expect.stringMatching(because) });
        expect(endedAs(up.events, 'changed')).toEqual([]);
      });
    });

    test('what the planner refuses is refused before the nodes are prepared', async () => {
      await on(lab, 'server-2', 'rm /etc/sysctl.d/90-fleet-k3s.conf');
      await lab.nodes.writeInventory(postgres());
      await lab.nodes.pause(lab.nodes.node('agent-1'));
      try {
        const up = await lab.cli.up({ expect: 1, args: ['--timeout', '10'] });
        said.push(up);
        expect(ofKind(up.events, 'run-failed').map(({ error }) => error.code)).toEqual(['UNREACHABLE']);
        expect(endedAs(up.events, 'changed')).toEqual([]);
      } finally {
        await lab.nodes.unpause(lab.nodes.node('agent-1'));
      }
    });

    test('an upgrade of a minor version reminds of the backup that fleet cannot make, before it is agreed to', async () => {
      const airgap = await airgapFolder(await k3sArtifacts([defaultK3sVersion, next]), next);
      await lab.nodes.writeInventory({ ...postgres(), k3s_version: next, airgap_dir: airgap });
      const planned = await lab.cli.plan({ expect: 2 });
      expect(planned.stdout + planned.stderr).toMatch(
        /EXTERNAL_DATASTORE[\s\S]*Back it up with its own tools/,
      );
      const upgrade = await lab.cli.run(['upgrade', '--yes', '--output', 'json'], { expect: 0 });
      said.push(planned, upgrade);
      const warned = ofKind(upgrade.events, 'warning').filter(({ code }) => code === 'EXTERNAL_DATASTORE');
      expect(warned.map(({ host }) => host)).toContain('server-1');
      const changed = endedAs(upgrade.events, 'changed');
      const restarted = changed.filter((task) => task.includes('what is on disk'));
      expect(restarted.map((task) => task.split(':')[0])).toEqual(['server-1', 'server-2', 'agent-1']);
      expect(changed.filter((task) => task.includes('Pods move away')).length).toBe(3);
      const nodes = Object.values(await clusterNodes(lab.cli));
      expect(nodes.map(({ version, ready, cordoned }) => [version, ready, cordoned])).toEqual(
        Array(3).fill([next, true, false]),
      );
      expect((await on(lab, 'database-1', bootstrapData)).trim()).toBe('1');
    });
  }
});

test('the password stands nowhere in what was said or kept here', async () => {
  expect(said.length).toBeGreaterThan(10);
  const texts = [...said.flatMap(({ stdout, stderr }) => [stdout, stderr]), ...(await lab.cli.journals())];
  const forms = [core, encodeURIComponent(password)];
  expect(texts.filter((text) => forms.some((form) => text.includes(form)))).toEqual([]);
});
