import { closest, distance } from 'fastest-levenshtein';
import type { Role } from './paths.ts';
import { compareVersions, type K3sVersion, parseVersion } from './version.ts';

/**
 * A setting that is not the same in all releases, as a flag and as a key of config.yaml.
 */
interface Dated {
  readonly setting: string;
  /** What to write instead, for a person; `undefined` where it is a setting like others. */
  readonly correction?: string;
  /** The first release of each minor version that has it, where it was brought to older ones too; the last counts for all after. */
  readonly since?: readonly string[];
  /** The minor version that no longer has it, `v1.26`. */
  readonly until?: string;
  readonly where: Role | 'both';
}

/**
 * @see https://github.com/k3s-io/k3s/pull/6574 (removed in v1.26)
 * @see https://docs.k3s.io/installation/registry-mirror and https://docs.k3s.io/installation/private-registry (January 2024)
 */
const dated: readonly Dated[] = [
  { setting: 'no-deploy', correction: '`disable`', until: 'v1.26', where: 'server' },
  { setting: 'no-flannel', correction: '`flannel-backend: none`', until: 'v1.26', where: 'both' },
  { setting: 'cluster-secret', correction: '`token`', until: 'v1.26', where: 'both' },
  {
    setting: 'disable-selinux',
    correction: 'nothing: `selinux` is off unless it is set',
    until: 'v1.26',
    where: 'both',
  },
  {
    setting: 'embedded-registry',
    since: ['v1.26.13+k3s1', 'v1.27.10+k3s1', 'v1.28.6+k3s1', 'v1.29.1+k3s1'],
    where: 'server',
  },
  {
    setting: 'disable-default-registry-endpoint',
    since: ['v1.26.13+k3s1', 'v1.27.10+k3s1', 'v1.28.6+k3s1', 'v1.29.1+k3s1'],
    where: 'both',
  },
];

/** Of agents, and of servers too, which run an agent. @see https://docs.k3s.io/cli/agent */
const agentSettings = `config c debug v vmodule log l alsologtostderr token t token-file server s data-dir d
node-name with-node-id node-label node-taint image-credential-provider-bin-dir image-credential-provider-config selinux
lb-server-port protect-kernel-defaults docker container-runtime-endpoint default-runtime image-service-endpoint
nonroot-devices pause-image snapshotter private-registry airgap-extra-registry node-ip i bind-address node-external-ip
node-internal-dns node-external-dns resolv-conf flannel-iface flannel-conf flannel-cni-conf kubelet-arg kube-proxy-arg
enable-pprof rootless prefer-bundled-bin vpn-auth vpn-auth-file`.split(/\s+/);

const agentOnly = ['disable-apiserver-lb'];

/** @see https://docs.k3s.io/cli/server */
const serverOnly =
  `https-listen-port supervisor-port apiserver-port apiserver-bind-address advertise-address advertise-port
tls-san tls-san-security cluster-cidr service-cidr service-node-port-range cluster-dns cluster-domain flannel-backend
flannel-ipv6-masq flannel-external-ip egress-selector-mode servicelb-namespace write-kubeconfig o write-kubeconfig-mode
write-kubeconfig-group helm-job-image agent-token agent-token-file cluster-init cluster-reset cluster-reset-restore-path
kube-apiserver-arg etcd-arg kube-controller-manager-arg kube-scheduler-arg kube-cloud-controller-manager-arg
kube-controller-arg kube-cloud-controller-arg datastore-endpoint datastore-cafile datastore-certfile datastore-keyfile
kine-tls etcd-expose-metrics etcd-disable-snapshots etcd-snapshot-name etcd-snapshot-schedule-cron
etcd-snapshot-reconcile-interval etcd-snapshot-retention etcd-snapshot-dir etcd-snapshot-compress etcd-s3
etcd-s3-endpoint etcd-s3-endpoint-ca etcd-s3-skip-ssl-verify etcd-s3-access-key etcd-s3-secret-key
etcd-s3-session-token etcd-s3-bucket etcd-s3-bucket-lookup-type etcd-s3-region etcd-s3-folder etcd-s3-proxy
etcd-s3-config-secret etcd-s3-insecure etcd-s3-timeout etcd-s3-retention default-local-storage-path disable
disable-scheduler disable-cloud-controller disable-kube-proxy disable-network-policy disable-helm-controller
disable-apiserver disable-controller-manager disable-etcd disable-agent supervisor-metrics system-default-registry
secrets-encryption secrets-encryption-provider`.split(/\s+/);

/** Of releases behind this minor version nobody can tell which settings they will have. */
const newestKnownMinor = 35;

/** A setting that k3s would not take. */
export interface UnknownSetting {
  readonly setting: string;
  readonly because: string;
  /** What to write instead. */
  readonly fix: string;
  /** False where k3s says so and goes on: a server with a key in its config file that is like no other. */
  readonly isFatal: boolean;
}

/**
 * What of a node's own settings its release of k3s does not have: an agent does not start with such a key in its config
 * file, a server skips it, and neither starts with such a flag.
 * @param config the mapping of its config file
 * @param args its own arguments, `--name`, `--name=value`
 */
export function unknownSettings(
  role: Role,
  version: K3sVersion,
  config: Readonly<Record<string, unknown>>,
  args: readonly string[],
): readonly UnknownSetting[] {
  const names = namesOf(role, version);
  const keys = Object.keys(config).map((key) => ({ name: key.replace(/\+$/, ''), isFlag: false }));
  const flags = args.flatMap((arg, index) => {
    // `--kubelet-arg --v=2`: a flag of another program.
    if (/^--[\w-]+-arg$/.test(args[index - 1] ?? '')) return [];
    const name = /^--?([A-Za-z][\w-]*)(?:=|$)/.exec(arg)?.[1];
    return name === undefined ? [] : [{ name, isFlag: true }];
  });
  return [...keys, ...flags].flatMap(({ name, isFlag }): UnknownSetting[] => {
    if (names.has(name)) return [];
    const setting = isFlag ? `--${name}` : name;
    const entry = dated.find((one) => one.setting === name && isOf(one.where, role));
    if (entry !== undefined) return [{ setting, ...whyNot(entry, version), isFatal: true }];
    const other = role === 'agent' ? namesOf('server', version) : undefined;
    if (other?.has(name) === true) {
      return [
        {
          setting,
          because: 'is a setting of servers, and an agent does not start with it',
          fix: `Move ${setting} to the servers (server_config_yaml, extra_server_args).`,
          isFatal: true,
        },
      ];
    }
    if (version.minor > newestKnownMinor) return [];
    const near = nearest(name, names);
    return [
      {
        setting,
        because: `is no setting of a k3s ${role} ${version.text}`,
        fix:
          near === undefined
            ? `Take ${setting} out; see https://docs.k3s.io/cli/${role}.`
            : `Perhaps \`${near}\` is meant.`,
        isFatal: role === 'agent' || isFlag || near !== undefined,
      },
    ];
  });
}

function isOf(where: Dated['where'], role: Role): boolean {
  return where === 'both' || where === role;
}

/** By role and version: thousands of nodes have the same. */
const namesByVersion = new Map<string, ReadonlySet<string>>();

function namesOf(role: Role, version: K3sVersion): ReadonlySet<string> {
  const key = `${role} ${version.text}`;
  const known = namesByVersion.get(key);
  if (known !== undefined) return known;
  const names = new Set([
    ...agentSettings,
    ...(role === 'server' ? serverOnly : agentOnly),
    ...dated.filter((entry) => isOf(entry.where, role) && isIn(entry, version)).map(({ setting }) => setting),
  ]);
  namesByVersion.set(key, names);
  return names;
}

function isIn({ since, until }: Dated, version: K3sVersion): boolean {
  if (until !== undefined && !isBefore(version, until)) return false;
  if (since === undefined) return true;
  const firsts = since.flatMap((text) => parseVersion(text) ?? []);
  const own = firsts.find((first) => first.minor === version.minor);
  if (own !== undefined) return compareVersions(version, own) >= 0;
  return firsts.every((first) => first.minor < version.minor);
}

function isBefore(version: K3sVersion, minor: string): boolean {
  const [major = 0, minorNumber = 0] = minor.slice(1).split('.').map(Number);
  return version.major < major || (version.major === major && version.minor < minorNumber);
}

function whyNot(entry: Dated, version: K3sVersion): Pick<UnknownSetting, 'because' | 'fix'> {
  if (entry.until !== undefined && !isBefore(version, entry.until)) {
    return {
      because: `was removed in ${entry.until}`,
      fix: entry.correction === undefined ? 'Take it out.' : `Write ${entry.correction} instead.`,
    };
  }
  return {
    because: `is not in ${version.text} yet, but in releases from ${entry.since?.join(', ')} on`,
    fix: 'Take it out, or upgrade first.',
  };
}

/** The known name that somebody probably meant: a letter or two away. */
function nearest(name: string, names: ReadonlySet<string>): string | undefined {
  const long = [...names].filter((known) => known.length > 2);
  const dashed = name.replaceAll('_', '-').toLowerCase();
  if (names.has(dashed)) return dashed;
  const near = closest(dashed, long);
  return distance(dashed, near) <= Math.max(1, Math.min(3, Math.floor(name.length / 4))) ? near : undefined;
}

/**
 * Settings that must be the same on all servers, with what k3s takes where one is not set.
 * @see https://docs.k3s.io/cli/server#critical-configuration-values
 */
const critical: Readonly<Record<string, string>> = {
  'agent-token': '',
  'cluster-cidr': '10.42.0.0/16',
  'cluster-dns': '10.43.0.10',
  'cluster-domain': 'cluster.local',
  'disable-cloud-controller': 'false',
  'disable-helm-controller': 'false',
  'disable-kube-proxy': 'false',
  'disable-network-policy': 'false',
  'egress-selector-mode': 'agent',
  'embedded-registry': 'false',
  'flannel-backend': 'vxlan',
  'flannel-external-ip': 'false',
  'flannel-ipv6-masq': 'false',
  'secrets-encryption': 'false',
  'secrets-encryption-provider': 'aescbc',
  'service-cidr': '10.43.0.0/16',
};

/** What decides how a server runs, of its own part of the inventory. */
export interface ServerSettings {
  readonly host: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly args: readonly string[];
}

/** A critical setting with what each server has of it. */
export interface Disagreement {
  readonly setting: string;
  readonly values: ReadonlyMap<string, string>;
}

/** The settings on which the servers of a cluster do not agree. The packaged component servicelb is off on all or on none. */
export function disagreements(servers: readonly ServerSettings[]): readonly Disagreement[] {
  const found = Object.entries(critical).map(([setting, byDefault]): Disagreement => {
    const values = servers.map((server) => [server.host, wordsOf(server, setting) ?? byDefault] as const);
    return { setting, values: new Map(values) };
  });
  const balancer = servers.map(
    (server) => [server.host, listOf(server, 'disable').includes('servicelb') ? 'off' : 'on'] as const,
  );
  return [...found, { setting: 'disable: servicelb', values: new Map(balancer) }].filter(
    ({ values }) => new Set(values.values()).size > 1,
  );
}

function wordsOf(server: ServerSettings, setting: string): string | undefined {
  const values = listOf(server, setting);
  return values.length === 0 ? undefined : values.join(',');
}

/** A flag wins over the config file; lists of both add up in k3s, which is of no matter for telling servers apart. */
function listOf({ config, args }: ServerSettings, setting: string): readonly string[] {
  const flags = args.flatMap((arg, index) => {
    if (arg.startsWith(`--${setting}=`)) return arg.slice(setting.length + 3).split(',');
    if (arg !== `--${setting}`) return [];
    const next = args[index + 1];
    return next === undefined || next.startsWith('-') ? ['true'] : next.split(',');
  });
  if (flags.length > 0) return flags;
  const written = [config[setting], config[`${setting}+`]].filter(
    (value) => value !== undefined && value !== null,
  );
  return written.flatMap((value) => (Array.isArray(value) ? value.map(String) : String(value).split(',')));
}
