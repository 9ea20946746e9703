import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { connectionVariables } from './connection-variables.ts';
import {
  amount,
  flag,
  flagOr,
  list,
  number,
  scalar,
  text,
  type VariableScope,
  yamlText,
} from './variable-kinds.ts';

/**
 * Every variable that fleet itself reads, with what it is for: validation, editors and docs/variables.md are made from it.
 * Inventories may hold any others; templates use them.
 */
export const VARIABLES = Type.Object(
  {
    k3s_version: text({
      scope: 'node',
      description:
        'The k3s to run: a release, the newest of a minor, or a channel. Change it for a rolling upgrade.',
      example: 'v1.33.4+k3s1',
    }),
    token: text({
      scope: 'node',
      secret: true,
      description: 'The secret that nodes join the cluster with. Left out, the first server makes one.',
      example: "{{ lookup('env', 'K3S_TOKEN') }}",
    }),
    api_endpoint: text({
      scope: 'node',
      description:
        'Name or address under which agents, other servers and kubectl reach the API; the first server by default.',
      example: 'k3s.example.org',
    }),
    api_port: number({
      scope: 'node',
      minimum: 1,
      maximum: 65535,
      default: 6443,
      description: 'The port of the API.',
    }),
    extra_server_args: text({
      scope: 'server',
      default: '',
      description: 'Flags added to `k3s server`.',
      example: '--disable traefik',
    }),
    extra_agent_args: text({
      scope: 'agent',
      default: '',
      description: 'Flags added to `k3s agent`.',
      example: '--node-label disk=ssd',
    }),
    server_config_yaml: yamlText({
      scope: 'server',
      description: 'The content of /etc/rancher/k3s/config.yaml on servers.',
      example: 'write-kubeconfig-mode: "0600"\n',
    }),
    agent_config_yaml: yamlText({
      scope: 'agent',
      description: 'The content of /etc/rancher/k3s/config.yaml on agents.',
      example: 'node-label:\n  - disk=ssd\n',
    }),
    registries_config_yaml: yamlText({
      scope: 'node',
      description:
        'The content of /etc/rancher/k3s/registries.yaml: mirrors and passwords of image registries.',
      example: 'mirrors:\n  docker.io:\n    endpoint: [https://mirror.example.org]\n',
    }),
    embedded_registry: flag({
      scope: 'node',
      default: false,
      description:
        "Whether nodes hand container images on to each other, so that one that has an image is enough: k3s' embedded registry mirror, for the mirrors in registries_config_yaml, or for all registries where it names none. With manage_firewall, its ports are opened between the nodes.",
    }),
    extra_install_envs: Type.Record(Type.String(), scalar, {
      scope: 'node',
      default: {},
      description: 'Environment variables for the install script.',
      example: { INSTALL_K3S_SKIP_SELINUX_RPM: 'true' },
    }),
    extra_service_envs: list({
      scope: 'node',
      default: [],
      description: 'Environment variables of the k3s service, as NAME=value.',
      example: ['HTTPS_PROXY=http://proxy.example.org:3128'],
    }),
    extra_manifests: list({
      scope: 'server',
      default: [],
      description: 'Manifest files of this machine that k3s applies; paths are relative to the playbook.',
      example: ['manifests/ingress.yaml'],
    }),
    opt_tls_san: list({
      scope: 'server',
      default: [],
      description: 'More names and addresses for the certificate of the API.',
      example: ['k3s.home.example.org'],
    }),
    cluster_cidr: text({
      scope: 'server',
      description: "The pods' networks, IPv4 and IPv6 separated by a comma; 10.42.0.0/16 by default.",
      example: '10.42.0.0/16,fd00:42::/56',
    }),
    service_cidr: text({
      scope: 'server',
      description: "The services' networks; 10.43.0.0/16 by default.",
      example: '10.43.0.0/16,fd00:43::/112',
    }),
    cluster_context: text({
      scope: 'control',
      default: 'k3s-ansible',
      description: 'What the cluster, its user and its context are called in the kubeconfig.',
      example: 'home',
    }),
    kubeconfig: text({
      scope: 'control',
      description: 'The file on this machine to merge the cluster into; ~/.kube/config by default.',
      example: './kubeconfig.yaml',
    }),
    user_kubectl: flag({
      scope: 'server',
      default: true,
      description: 'Whether the login user of a server may use kubectl there without sudo.',
    }),
    k3s_server_location: text({
      scope: 'node',
      default: '/var/lib/rancher/k3s',
      description: 'The data folder of k3s.',
    }),
    systemd_dir: text({ scope: 'node', default: '/etc/systemd/system', description: 'Where unit files go.' }),
    ca_dir: text({
      scope: 'node',
      description:
        'A folder of this machine with the certificate authorities that a new cluster is to begin with, in the files that k3s documents (`server-ca.crt`, `server-ca.key` …); a path relative to the inventory. A cluster that is there is given others by `fleet rotate ca --path`.',
      example: './ca',
    }),
    airgap_dir: text({
      scope: 'node',
      description:
        'A folder of this machine with k3s, its images and the install script: nothing is downloaded then.',
      example: './airgap',
    }),
    airgap_spread: flagOr(['auto'], {
      scope: 'node',
      default: 'auto',
      description:
        'Whether nodes that have a large file of airgap_dir hand it on to each other; `off`: this machine sends it to each.',
    }),
    uploads: number({
      scope: 'node',
      minimum: 1,
      default: 8,
      description: 'To how many nodes this machine sends large files at the same time.',
    }),
    upload_rate: text({
      scope: 'node',
      description:
        'Bytes a second that this machine sends to all nodes together, with `k`, `M` or `G` for thousands of them.',
      example: '10M',
    }),
    use_external_database: flag({
      scope: 'node',
      default: false,
      description: 'Whether the servers share a database of their own instead of embedded etcd.',
    }),
    manage_firewall: flagOr(['check'], {
      scope: 'node',
      default: false,
      description:
        'Whether ports are opened in firewalld, ufw or nftables where one is active; `check` only says what would be blocked.',
    }),
    firewall_api_clients: list({
      scope: 'server',
      default: ['any'],
      description:
        'With manage_firewall, the addresses and networks that may reach the API, beside the nodes.',
      example: ['10.0.0.0/8'],
    }),
    swap: flagOr(['keep', 'limited'], {
      scope: 'node',
      default: 'off',
      description:
        'Whether swap is switched off for good, or stays as it is: `off`, `keep`, or `limited`, with which burstable pods may swap (cgroup v2).',
      example: 'keep',
    }),
    allow_reboot: flag({
      scope: 'node',
      default: false,
      description:
        "Whether a host may be rebooted for what k3s needs of it: a Raspberry Pi without memory cgroups, which gets them into its boot file; a host with a read-only root file system (MicroOS, SLE Micro) that gets k3s' SELinux policy out of airgap_dir. One that runs k3s is rebooted at its turn.",
    }),
    node_ip: list({
      scope: 'node',
      description:
        "The node's own addresses, IPv4 and IPv6 separated by a comma. Found out by default: where a host has several, the one that reaches the other nodes.",
      example: '10.0.0.11',
    }),
    flannel_iface: text({
      scope: 'node',
      description: "The interface of the pods' network; that of the node's address by default.",
      example: 'eth1',
    }),
    system_upgrade: flag({
      scope: 'node',
      default: false,
      description:
        'Whether all packages of a host are upgraded, and it is rebooted, before k3s is installed there. Hosts that run k3s are left alone: `fleet play system-upgrade.yml` takes them one after the other.',
    }),
    hostname: text({
      scope: 'node',
      description: 'The name that the host itself shall have; it is left alone by default.',
      example: '{{ inventory_hostname }}',
    }),
    hosts_entries: flag({
      scope: 'node',
      default: false,
      description: 'Whether every node finds every other by its name in /etc/hosts.',
    }),
    timezone: text({
      scope: 'node',
      description: "The zone of the host's clock; it is left alone by default.",
      example: 'Europe/Berlin',
    }),
    time_sync: flag({
      scope: 'node',
      default: false,
      description: 'Whether a time service is installed and started where none runs.',
    }),
    selinux_repo_url: text({
      scope: 'node',
      description:
        "Where k3s' SELinux policy is installed from on hosts with SELinux; Rancher's repository for the system by default.",
      example: 'https://mirror.example.org/k3s/el9',
    }),
    selinux_repo_key: text({
      scope: 'node',
      description: "The key that the packages of selinux_repo_url are signed with; Rancher's by default.",
      example: 'https://mirror.example.org/k3s/public.key',
    }),
    server_group: text({
      scope: 'node',
      default: 'server',
      description: 'The name of the group of servers.',
    }),
    agent_group: text({ scope: 'node', default: 'agent', description: 'The name of the group of agents.' }),

    artifact_url: text({
      scope: 'node',
      default: 'https://github.com/k3s-io/k3s/releases/download',
      description: 'Where releases are fetched from: a mirror with the folders of the release page.',
      example: 'https://mirror.example.org/k3s',
    }),
    channels_url: text({
      scope: 'control',
      default: 'https://update.k3s.io/v1-release/channels',
      description: 'Where channels and minors (`stable`, `v1.33`) are resolved.',
    }),
    binary_source: text({
      scope: 'node',
      choices: ['control', 'node'],
      default: 'control',
      description: 'Whether this machine downloads k3s and hands it on, or each node downloads it.',
    }),
    k3s_install_script: text({
      scope: 'node',
      description: "A file of this machine to use as k3s' install script instead of fetching it.",
      example: './install.sh',
    }),
    k3s_install_url: text({
      scope: 'node',
      default: 'https://get.k3s.io',
      description: "Where k3s' install script is fetched from.",
    }),
    k3s_install_sha256: text({
      scope: 'node',
      description: 'The sha256 that the install script must have.',
    }),
    node_ready_timeout: number({
      scope: 'node',
      minimum: 1,
      default: 300,
      description: 'Seconds to wait until a node is Ready.',
    }),
    k3s_start_timeout: number({
      scope: 'node',
      minimum: 1,
      default: 180,
      description: 'Seconds to wait until the k3s service is up.',
    }),
    download_timeout: number({
      scope: 'node',
      minimum: 1,
      default: 600,
      description: 'Seconds that one download may take.',
    }),
    reboot_timeout: number({
      scope: 'node',
      minimum: 1,
      default: 600,
      description: 'Seconds to wait until a host is back after a reboot.',
    }),
    drain_timeout: number({
      scope: 'node',
      minimum: 1,
      default: 300,
      description: 'Seconds that draining a node may take.',
    }),
    force_bootstrap: flag({
      scope: 'server',
      default: false,
      description:
        'Whether a cluster may be begun although servers that might hold one do not answer. Meant for one run, by --force-bootstrap; never for an inventory.',
    }),
    agent_batch: amount({
      scope: 'node',
      default: '25%',
      description:
        'How many agents are restarted, upgraded or rebooted at the same time: a number, or a percentage of all.',
      example: 1,
    }),
    max_unavailable: amount({
      scope: 'node',
      description:
        'How many agents may be away at the same time, those at work included: more failures than that end the rollout. As agent_batch by default.',
      example: 2,
    }),
    canary: list({
      scope: 'node',
      default: [],
      description:
        'Hosts that are restarted or upgraded before all others of their role; where one of them fails, nobody else is touched.',
      example: ['agent1'],
    }),
    pause_after: Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()]), {
      scope: 'node',
      default: {},
      description:
        'Where a rollout of restarts and upgrades pauses: after the `canary` hosts, after the `servers`. With a time (`30s`, `10m`, `2h`) it waits; with `ask` it asks on a terminal, and elsewhere ends there, to go on when it is run again; with `ask 10m` it asks, or waits where nobody can be asked.',
      example: { canary: '10m', servers: 'ask' },
    }),
    maintenance_window: list({
      scope: 'node',
      default: [],
      description:
        'When `up` and `upgrade` may restart or upgrade nodes that run: hours of days of the week by the clock of a place (UTC where none is named), or a list of such. Outside them, what needs no restart is done and the rest refused; --now overrides that. A wave that has begun is finished.',
      example: ['Sat 02:00-05:00 Europe/Berlin', 'Mon-Fri 22:00-04:00 Europe/Berlin'],
    }),
    node_labels: list({
      scope: 'node',
      default: [],
      description:
        'Labels of the node, as key=value. The lists of all levels add up: a host has those of its groups and its own; of two with the same key the nearer to the host counts. One that is taken out of the inventory is taken off the node.',
      example: ['disk=ssd', 'node-role.kubernetes.io/worker=true'],
    }),
    node_taints: list({
      scope: 'node',
      default: [],
      description:
        'Taints of the node, as key=value:Effect or key:Effect. The lists add up as node_labels do.',
      example: ['dedicated=database:NoSchedule'],
    }),
    drain: flagOr(['minor', 'servers', 'agents', 'all'], {
      scope: 'node',
      default: 'minor',
      description:
        'Before which upgrades a node is cordoned and its pods evicted. `minor`: when the minor version changes, as Kubernetes asks; pods run on through the restart for a patch. `servers`, `agents`, `all`: these nodes, at every upgrade. `false`: never. Where no other node could take the pods, none is evicted.',
    }),
    drain_delete_emptydir: flag({
      scope: 'node',
      default: true,
      description:
        'Whether draining a node may evict pods with emptyDir volumes, whose content goes with them. Without it, k3s’s own metrics-server blocks every drain.',
    }),
    drain_force: flag({
      scope: 'node',
      default: false,
      description:
        'Whether draining a node may delete pods that nothing makes again (no Deployment, StatefulSet, Job …).',
    }),

    ...connectionVariables,
  },
  { additionalProperties: true },
);

export type VariableName = keyof Static<typeof VARIABLES>;

/** What is known of one variable, for documentation and `fleet explain`. */
export interface VariableInfo {
  readonly name: string;
  readonly description: string;
  readonly scope: VariableScope;
  readonly default?: unknown;
  readonly example?: unknown;
  readonly secret: boolean;
  readonly schema: TSchema;
}

export function variableInfo(name: string): VariableInfo | undefined {
  const schema = (VARIABLES.properties as Readonly<Record<string, TSchema>>)[name];
  if (schema === undefined || !Object.hasOwn(VARIABLES.properties, name)) return undefined;
  return {
    name,
    description: String(schema.description ?? ''),
    scope: schema.scope as VariableScope,
    secret: schema.secret === true,
    schema,
    ...(schema.default === undefined ? {} : { default: schema.default as unknown }),
    ...(schema.example === undefined ? {} : { example: schema.example as unknown }),
  };
}

/** All known variables, in the order of the schema: those of k3s first, those of the connection last. */
export function allVariables(): readonly VariableInfo[] {
  return Object.keys(VARIABLES.properties).flatMap((name) => variableInfo(name) ?? []);
}
