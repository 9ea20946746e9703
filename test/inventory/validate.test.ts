import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { asFleetErrors, formatPlace } from '../../src/core/errors.ts';
import { clusterHolding, clusterOf, clustersOf } from '../../src/inventory/cluster.ts';
import { connectionSettingsOf } from '../../src/inventory/connection-settings.ts';
import { inventorySchema } from '../../src/inventory/inventory-schema.ts';
import { loadFleet } from '../../src/inventory/load-fleet.ts';
import { settingsOf } from '../../src/inventory/settings.ts';
import { validateFleet } from '../../src/inventory/validate.ts';
import { allVariables } from '../../src/inventory/variables.ts';
import { loadYaml } from './files-in-memory.ts';

const GOOD = `k3s_cluster:
  children:
    server: {hosts: {s1: }}
    agent: {hosts: {a1: , a2: }}
  vars:
    k3s_version: v1.33.4+k3s1
`;

async function codes(text: string, what: 'errors' | 'warnings' = 'errors'): Promise<readonly string[]> {
  return validateFleet(await loadYaml(text))[what].map(
    (fault) =>
      `${fault.code}${fault.where === undefined ? '' : ` ${formatPlace(fault.where).replace('/inv/hosts.yml:', '')}`}`,
  );
}

describe('a cluster that is wrong', () => {
  test.each([
    ['nothing', GOOD, []],
    ['no version', GOOD.replace(/ {4}k3s_version.*\n/, '    x: 1\n'), ['K3S_VERSION_MISSING 3:22']],
    ['a version that is none', GOOD.replace('v1.33.4+k3s1', 'v1.33.4'), ['K3S_VERSION_FORM 6:5']],
    ['a version that YAML made a number', GOOD.replace('v1.33.4+k3s1', '1.30'), ['K3S_VERSION_FORM 6:5']],
    ['a channel', GOOD.replace('v1.33.4+k3s1', 'stable'), []],
    ['a minor', GOOD.replace('v1.33.4+k3s1', 'v1.33'), []],
    ['a host in both groups', GOOD.replace('a1: ,', 's1: ,'), ['HOST_IN_BOTH 3:22']],
    ['two servers', GOOD.replace('s1: }', 's1: , s2: }'), ['SERVERS_EVEN 3:22']],
    [
      'a setting that k3s does not have',
      `${GOOD}    server_config_yaml: "tls-sans: [a]"\n    extra_agent_args: --node-labels=a=b\n`,
      ['K3S_SETTING 7:5', 'K3S_SETTING 8:5'],
    ],
    [
      'an embedded registry for a release without one',
      `${GOOD.replace('v1.33.4+k3s1', 'v1.28.5+k3s1')}    embedded_registry: yes\n`,
      ['K3S_SETTING 7:5'],
    ],
    ['an embedded registry', `${GOOD}    embedded_registry: true\n`, []],
    [
      'servers that disagree',
      GOOD.replace('s1: }', 's1: , s2: , s3: {extra_server_args: --flannel-backend=none}}'),
      ['SERVERS_DISAGREE'],
    ],
    ['a label that is none', `${GOOD}    node_labels: [disk=ssd, disk]\n`, ['VARIABLE_TYPE 7:5']],
    [
      'a taint that is none at a level that another one adds to',
      `${GOOD.replace('a2: ', 'a2: {node_taints: []}')}    node_taints: [a=b:Never]\n`,
      ['VARIABLE_TYPE 7:5', 'VARIABLE_TYPE 4:32'],
    ],
    [
      'two servers and a database',
      `${GOOD.replace('s1: }', 's1: , s2: }')}    use_external_database: yes\n`,
      [],
    ],
    [
      'two servers and a database in flags',
      `${GOOD.replace('s1: }', 's1: , s2: }')}    extra_server_args: --datastore-endpoint=x\n`,
      [],
    ],
    [
      'two servers and a database in the config',
      `${GOOD.replace('s1: }', 's1: , s2: }')}    server_config_yaml: |\n      datastore-endpoint: x\n`,
      [],
    ],
    [
      'two servers and a database in the environment',
      `${GOOD.replace('s1: }', 's1: , s2: }')}    extra_service_envs: [K3S_DATASTORE_ENDPOINT=x]\n`,
      [],
    ],
    [
      'the same address twice',
      GOOD.replace('a1: , a2: ', 'a1: {ansible_host: 10.0.0.1}, a2: {ansible_host: 10.0.0.1}'),
      ['ADDRESS_TWICE 4:56'],
    ],
    [
      'the same address on two ports',
      GOOD.replace(
        'a1: , a2: ',
        'a1: {ansible_host: h, ansible_port: 1}, a2: {ansible_host: h, ansible_port: 2}',
      ),
      [],
    ],
    [
      'a wrong type',
      `${GOOD}    api_port: many\n    ansible_become: perhaps\n`,
      ['VARIABLE_TYPE 7:5', 'VARIABLE_TYPE 8:5'],
    ],
    [
      'types that Ansible forgives',
      `${GOOD}    api_port: "6443"\n    ansible_become: "yes"\n    user_kubectl: "false"\n    token: 12345\n`,
      [],
    ],
    [
      'a config that is no YAML',
      `${GOOD}    server_config_yaml: |\n      # fine\n      a: [1\n      b: 2\n`,
      ['CONFIG_YAML 10:7'],
    ],
    ['a config that is a list', `${GOOD}    agent_config_yaml: |\n      - a\n`, ['CONFIG_YAML 8:7']],
    ['a template that cannot be', `${GOOD}    api_endpoint: "{{ nope }}"\n`, ['TEMPLATE_UNDEFINED 7:5']],
    ['a broken value nobody reads', `${GOOD}    mine: "{{ nope }}"\n`, []],
    [
      'flags of servers that agents could not template',
      `${GOOD.replace('s1: ', 's1: {ip: 1}')}    extra_server_args: "{{ ip }}"\n`,
      [],
    ],
    ['no server', 'agent: {hosts: {a: }}\n', ['CLUSTER_NONE']],
    ['other names of groups', 'master: {hosts: {a: }}\nnode: {hosts: {b: }}\n', ['CLUSTER_NONE']],
    ['no host', 'server: {hosts: {}}\n', ['HOSTS_NONE']],
  ])('%s', async (_what, text, expected) => {
    expect(await codes(text)).toEqual(expected);
  });

  test('everything at once', async () => {
    const text = `${GOOD.replace('s1: }', 's1: , s2: , a1: , s3: }').replace('v1.33.4+k3s1', 'x')}    api_port: 0\n`;
    expect((await codes(text)).map((code) => code.split(' ')[0])).toEqual([
      'K3S_VERSION_FORM',
      'VARIABLE_TYPE',
      'HOST_IN_BOTH',
      'SERVERS_EVEN',
    ]);
  });

  test.each([
    ['k3s_verison', 'k3s_version'],
    ['extra_server_arg', 'extra_server_args'],
    ['k3s_token', 'token'],
    ['ansible_prot', 'ansible_port'],
    ['API_ENDPOINT', 'api_endpoint'],
  ])('%s is probably %s', async (name, meant) => {
    const { warnings } = validateFleet(await loadYaml(`${GOOD}    ${name}: "1"\n`));
    expect(warnings.map((warning) => warning.message)).toEqual([expect.stringContaining(`"${meant}"`)]);
  });

  test('names that are nobody else’s are left alone', async () => {
    const own = [
      'api_endpoint_list',
      'node_ip',
      'calico_tag',
      'hostname',
      'my_token',
      'ansible_python_interpreter',
      'server',
    ];
    expect(await codes(GOOD + own.map((name) => `    ${name}: x\n`).join(''), 'warnings')).toEqual([]);
  });
});

describe('several clusters', () => {
  const named = `
east:
  children:
    east_server: {hosts: {e1: }}
    east_agent: {hosts: {e2: }}
  vars: {server_group: east_server, agent_group: east_agent, k3s_version: stable, cluster_context: sunrise}
west:
  children:
    west_server: {hosts: {w1: }}
    west_agent: {hosts: {w2: , w3: }}
  vars: {server_group: west_server, agent_group: west_agent, k3s_version: stable}
`;
  const crossed = `
server: {hosts: {e1: , w1: }}
agent: {hosts: {e2: , w2: , w3: }}
east: {hosts: {e1: , e2: }, vars: {token: a}}
west: {hosts: {w1: , w2: , w3: }, vars: {token: b}}
all: {vars: {k3s_version: stable}}
`;
  test.each([
    ['by names of groups', named],
    ['by groups that cross', crossed],
  ])('%s', async (_how, text) => {
    const fleet = await loadYaml(text);
    expect(
      clustersOf(fleet).map((cluster) => [cluster.name, cluster.nodes.map((host) => host.name).join(' ')]),
    ).toEqual([
      ['east', 'e1 e2'],
      ['west', 'w1 w2 w3'],
    ]);
    expect(clusterOf(fleet, 'west').servers.map((host) => host.name)).toEqual(['w1']);
    expect(clusterHolding(fleet, 'w3')?.name).toBe('west');
    expect(clusterHolding(fleet, 'nobody')).toBeUndefined();
    expect(validateFleet(fleet).errors).toEqual([]);
    for (const [name, code] of [
      [undefined, 'CLUSTER_AMBIGUOUS'],
      ['north', 'CLUSTER_UNKNOWN'],
    ] as const) {
      try {
        clusterOf(fleet, name);
        expect.unreachable();
      } catch (error) {
        expect(asFleetErrors(error)[0].code).toBe(code);
      }
    }
  });
  test('by the name of its context', async () => {
    expect(clusterOf(await loadYaml(named), 'sunrise').name).toBe('east');
  });
  test('a group within one cluster cuts it', async () => {
    const fleet = await loadYaml(`${GOOD}small: {hosts: {s1: , a1: }}\n`);
    expect(clusterOf(fleet).name).toBe('k3s_cluster');
    expect(clusterOf(fleet, 'small').nodes.map((host) => host.name)).toEqual(['s1', 'a1']);
  });
  test('the same group written out below two clusters is refused, never mixed', async () => {
    const text = `
east: {children: {server: {hosts: {e1: }}}, vars: {token: a}}
west: {children: {server: {hosts: {w1: }}}, vars: {token: b}}
`;
    expect(await codes(text)).toEqual(['CLUSTER_MIXED 2:19']);
  });
});

describe('settings', () => {
  test('are typed, have defaults and are frozen', async () => {
    const fleet = await loadYaml(
      `${GOOD}    token: 5\n    api_port: "6444"\n    user_kubectl: "no"\n    extra_service_envs: [A=1]\n    extra_install_envs: {B: true}\n    server_config_yaml: {a: [1]}\n    api_endpoint: "[fd00::1]"\n`,
    );
    const host = fleet.hosts.get('s1');
    if (host === undefined) throw new Error('no host');
    const settings = settingsOf(host);
    expect(settings).toMatchObject({
      k3sVersion: 'v1.33.4+k3s1',
      apiPort: 6444,
      userKubectl: false,
      extraServiceEnvs: ['A=1'],
      extraInstallEnvs: { B: 'true' },
      serverConfigYaml: 'a:\n  - 1\n',
      apiEndpoint: 'fd00::1',
      binarySource: 'control',
      k3sServerLocation: '/var/lib/rancher/k3s',
      nodeReadyTimeoutS: 300,
    });
    expect(String(settings.token)).toBe('[secret]');
    expect(settings.token?.reveal()).toBe('5');
    expect(Object.isFrozen(settings)).toBe(true);
    expect(settingsOf(host)).toBe(settings);
  });

  test('labels and taints of all levels add up; of one key the nearer to the host counts', async () => {
    const fleet = await loadYaml(`k3s_cluster:
  children:
    server: {hosts: {s1: }, vars: {node_labels: 'role=server, tier=gold'}}
    agent:
      hosts: {a1: {node_labels: [disk=nvme, 'host/{{ inventory_hostname }}='], node_taints: 'gpu:NoExecute'}}
      vars: {node_labels: [disk=ssd], node_taints: [gpu=yes:NoSchedule]}
  vars: {node_labels: [site=home, disk=hdd], k3s_version: v1.33.4+k3s1}
`);
    const marks = (name: string): unknown => {
      const host = fleet.hosts.get(name);
      return host === undefined ? undefined : settingsOf(host).nodeMarks;
    };
    expect(marks('a1')).toEqual({
      labels: { site: 'home', disk: 'nvme', 'host/a1': '' },
      taints: [
        { key: 'gpu', value: 'yes', effect: 'NoSchedule' },
        { key: 'gpu', value: '', effect: 'NoExecute' },
      ],
    });
    expect(marks('s1')).toEqual({
      labels: { site: 'home', disk: 'hdd', role: 'server', tier: 'gold' },
      taints: [],
    });
  });

  test('of the connection', async () => {
    const fleet = await loadYaml(
      'all: {hosts: {h: {ansible_ssh_host: "[fd00::1]", ansible_port: "2222", ansible_user: me, ansible_become: "yes", ansible_password: 123, host_key_checking: accept-new}, bare: }}',
    );
    const settings = (name: string): unknown => {
      const host = fleet.hosts.get(name);
      return host === undefined ? undefined : connectionSettingsOf(host);
    };
    expect(settings('bare')).toEqual({ name: 'bare' });
    expect(JSON.parse(JSON.stringify(settings('h')))).toEqual({
      name: 'h',
      ansible_host: 'fd00::1',
      ansible_port: 2222,
      ansible_user: 'me',
      ansible_become: true,
      ansible_password: '[secret]',
      ansible_host_key_checking: 'accept-new',
    });
  });
});

describe('inventory-sample.yml', () => {
  const path = fileURLToPath(new URL('../../inventory-sample.yml', import.meta.url));
  const text = readFileSync(path, 'utf8');
  const isValid = new Ajv({ strict: false }).compile(inventorySchema());

  test('is a valid inventory, also with every setting that it shows', async () => {
    for (const uncommented of [text, text.replace(/^( {4,10})# (?=[a-z_0-9]+:| {2})/gm, '$1')]) {
      const fleet = await loadYaml(uncommented);
      const { errors, warnings } = validateFleet(fleet);
      expect([...errors, ...warnings].map((fault) => fault.message)).toEqual([]);
      isValid(parse(uncommented));
      expect(isValid.errors ?? []).toEqual([]);
    }
    expect((await loadFleet({ sources: [path] })).hosts.size).toBe(3);
  });

  test('names the schema for editors, and knows only variables that fleet knows', () => {
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=./schemas/inventory.schema.json');
    const known = new Set(allVariables().map((info) => info.name));
    const named = [...text.matchAll(/^ {4}(?:# )?([a-z0-9_]+): \S/gm)].map((match) => match[1] ?? '');
    expect(
      named.filter((name) => !known.has(name) && !['children', 'server', 'agent'].includes(name)),
    ).toEqual([]);
  });

  test('the schema tells wrong from right', () => {
    expect(isValid({ all: { vars: { api_port: 'x' } } })).toBe(false);
    expect(isValid({ all: { vars: { api_port: '{{ x }}', other: [1] }, hosts: null } })).toBe(true);
    expect(isValid({ all: { oops: {} } })).toBe(false);
    expect(isValid({ plugin: 'x' })).toBe(false);
  });
});

test('every variable is described in one sentence', () => {
  for (const info of allVariables()) {
    expect(info.description, info.name).toMatch(/^\S.*[.]$/);
    expect(info.name).toMatch(/^[a-z0-9_]+$/);
  }
});
