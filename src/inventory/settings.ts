import { Secret } from '../core/secret.ts';
import { type NodeMarks, parseLabel, parseTaint, taintIdentity } from '../k3s/node-marks.ts';
import { usageError } from './findings.ts';
import type { Host } from './fleet.ts';
import { type MaintenanceWindow, parseMaintenanceWindow } from './maintenance-window.ts';
import { parsePause, pausePoints, type RolloutPauses } from './rollout-pauses.ts';
import { SettingValues } from './setting-values.ts';
import { allVariables, variableInfo } from './variables.ts';

/**
 * What the inventory says of one k3s node, with defaults filled in. The texts may hold secrets out of a vault: give
 * `secretsOf(host)` to the redactor before anything is shown.
 */
export interface NodeSettings {
  /** Throws `K3S_VERSION_MISSING` when read and not set: removing k3s needs no version. */
  readonly k3sVersion: string;
  readonly token: Secret | undefined;
  readonly apiEndpoint: string | undefined;
  readonly apiPort: number;
  readonly extraServerArgs: string;
  readonly extraAgentArgs: string;
  readonly serverConfigYaml: string | undefined;
  readonly agentConfigYaml: string | undefined;
  readonly registriesConfigYaml: string | undefined;
  /** Nodes hand images on to each other. */
  readonly embeddedRegistry: boolean;
  readonly extraInstallEnvs: Readonly<Record<string, string>>;
  /** Each `NAME=value`. */
  readonly extraServiceEnvs: readonly string[];
  readonly extraManifests: readonly string[];
  readonly optTlsSan: readonly string[];
  readonly clusterCidr: string | undefined;
  readonly serviceCidr: string | undefined;
  readonly clusterContext: string;
  readonly kubeconfig: string | undefined;
  readonly userKubectl: boolean;
  readonly k3sServerLocation: string;
  readonly systemdDir: string;
  /** As written: looked for along the search path. */
  readonly caDir: string | undefined;
  readonly airgapDir: string | undefined;
  readonly airgapSpread: 'auto' | 'off';
  /** Uploads of large files at the same time, over all hosts. */
  readonly uploads: number;
  /** Bytes a second of all uploads together; `undefined` for no limit. */
  readonly uploadRate: number | undefined;
  readonly useExternalDatabase: boolean;
  readonly manageFirewall: boolean | 'check';
  readonly artifactUrl: string;
  readonly channelsUrl: string;
  readonly binarySource: 'control' | 'node';
  readonly k3sInstallScript: string | undefined;
  readonly k3sInstallUrl: string;
  readonly k3sInstallSha256: string | undefined;
  readonly nodeReadyTimeoutS: number;
  readonly k3sStartTimeoutS: number;
  readonly downloadTimeoutS: number;
  readonly rebootTimeoutS: number;
  readonly drainTimeoutS: number;
  /** A cluster may be begun although servers that might hold one do not answer. */
  readonly forceBootstrap: boolean;
  /** Agents worked on at once, and agents that may be away at once: `3` or `25%`. */
  readonly agentBatch: string;
  readonly maxUnavailable: string;
  readonly canary: readonly string[];
  /** When nodes that serve somebody may be restarted or upgraded; at any time where there is none. */
  readonly maintenanceWindows: readonly MaintenanceWindow[];
  readonly pauseAfter: RolloutPauses;
  /** Whose pods are evicted before an upgrade. */
  readonly drain: 'never' | 'minor' | 'servers' | 'agents' | 'all';
  readonly drainDeleteEmptyDir: boolean;
  readonly drainForce: boolean;
  /** Pods of the burstable class may swap. */
  readonly swapLimited: boolean;
  /** Every node has every other in its /etc/hosts. */
  readonly hostsEntries: boolean;
  /** The node's own addresses and the interface of its pods' network, where somebody has said so. */
  readonly nodeIp: string | undefined;
  readonly flannelIface: string | undefined;
  /** Of all levels of the inventory together. */
  readonly nodeMarks: NodeMarks;
}

const known = new WeakMap<object, NodeSettings>();

/**
 * The typed, frozen settings of a host.
 * @throws FleetError when a variable has the wrong type or cannot be templated, naming it, the host and the place.
 */
export function settingsOf(host: Pick<Host, 'name' | 'vars'>): NodeSettings {
  const before = known.get(host.vars);
  if (before !== undefined) return before;
  const settings = readSettings(new SettingValues(host as Host));
  known.set(host.vars, settings);
  return settings;
}

function readSettings(values: SettingValues): NodeSettings {
  const version = values.text('k3s_version')?.trim();
  return Object.freeze<NodeSettings>({
    get k3sVersion() {
      return version ?? missingVersion(values.host.name);
    },
    token: values.secret('token'),
    apiEndpoint: unbracketed(values.text('api_endpoint')?.trim()),
    apiPort: values.number('api_port') ?? Number(fallback('api_port')),
    extraServerArgs: values.text('extra_server_args') ?? '',
    extraAgentArgs: values.text('extra_agent_args') ?? '',
    serverConfigYaml: values.yaml('server_config_yaml'),
    agentConfigYaml: values.yaml('agent_config_yaml'),
    registriesConfigYaml: values.yaml('registries_config_yaml'),
    embeddedRegistry: values.flag('embedded_registry') ?? false,
    extraInstallEnvs: Object.freeze(values.dict('extra_install_envs') ?? {}),
    extraServiceEnvs: Object.freeze(values.list('extra_service_envs') ?? []),
    extraManifests: Object.freeze(values.list('extra_manifests') ?? []),
    optTlsSan: Object.freeze(values.list('opt_tls_san') ?? []),
    clusterCidr: values.list('cluster_cidr')?.join(','),
    serviceCidr: values.list('service_cidr')?.join(','),
    clusterContext: values.text('cluster_context') ?? String(fallback('cluster_context')),
    kubeconfig: values.text('kubeconfig'),
    userKubectl: values.flag('user_kubectl') ?? true,
    k3sServerLocation: values.text('k3s_server_location') ?? String(fallback('k3s_server_location')),
    systemdDir: values.text('systemd_dir') ?? String(fallback('systemd_dir')),
    caDir: values.text('ca_dir'),
    airgapDir: values.text('airgap_dir'),
    // `off` in YAML is a boolean.
    airgapSpread:
      values.text('airgap_spread')?.trim() === 'auto' || (values.flag('airgap_spread') ?? true)
        ? 'auto'
        : 'off',
    uploads: values.number('uploads') ?? Number(fallback('uploads')),
    uploadRate: rateOf(values),
    useExternalDatabase: values.flag('use_external_database') ?? false,
    manageFirewall:
      values.text('manage_firewall')?.trim() === 'check'
        ? 'check'
        : (values.flag('manage_firewall') ?? false),
    artifactUrl: values.text('artifact_url') ?? String(fallback('artifact_url')),
    channelsUrl: values.text('channels_url') ?? String(fallback('channels_url')),
    binarySource: values.choice('binary_source', ['control', 'node']) ?? 'control',
    k3sInstallScript: values.text('k3s_install_script'),
    k3sInstallUrl: values.text('k3s_install_url') ?? String(fallback('k3s_install_url')),
    k3sInstallSha256: values.text('k3s_install_sha256')?.trim().toLowerCase(),
    nodeReadyTimeoutS: values.number('node_ready_timeout') ?? Number(fallback('node_ready_timeout')),
    k3sStartTimeoutS: values.number('k3s_start_timeout') ?? Number(fallback('k3s_start_timeout')),
    downloadTimeoutS: values.number('download_timeout') ?? Number(fallback('download_timeout')),
    rebootTimeoutS: values.number('reboot_timeout') ?? Number(fallback('reboot_timeout')),
    drainTimeoutS: values.number('drain_timeout') ?? Number(fallback('drain_timeout')),
    forceBootstrap: values.flag('force_bootstrap') ?? false,
    agentBatch: agentBatchOf(values),
    maxUnavailable: values.text('max_unavailable')?.trim() ?? agentBatchOf(values),
    canary: Object.freeze(values.list('canary') ?? []),
    maintenanceWindows: Object.freeze(maintenanceWindowsOf(values)),
    pauseAfter: Object.freeze(pausesOf(values)),
    drain: drainOf(values),
    drainDeleteEmptyDir: values.flag('drain_delete_emptydir') ?? true,
    drainForce: values.flag('drain_force') ?? false,
    swapLimited: values.text('swap')?.trim() === 'limited',
    hostsEntries: values.flag('hosts_entries') ?? false,
    nodeIp: values.list('node_ip')?.join(','),
    flannelIface: values.text('flannel_iface'),
    nodeMarks: nodeMarksOf(values.host),
  });
}

function agentBatchOf(values: SettingValues): string {
  return values.text('agent_batch')?.trim() ?? String(fallback('agent_batch'));
}

function maintenanceWindowsOf(values: SettingValues): readonly MaintenanceWindow[] {
  return (values.list('maintenance_window') ?? []).map(
    (text) =>
      parseMaintenanceWindow(text) ??
      unreadable(
        values.host,
        'maintenance_window',
        `${JSON.stringify(text)} is no time of the week`,
        'Write for example Sat 02:00-05:00 Europe/Berlin, Mon-Fri 22:00-06:00 UTC or 02:00-04:00, or a list of such.',
      ),
  );
}

function pausesOf(values: SettingValues): RolloutPauses {
  const wanted = Object.entries(values.dict('pause_after') ?? {});
  const pauses = wanted.map(([name, text]) => {
    const point = pausePoints.find((known) => known === name);
    const pause = parsePause(text);
    if (point !== undefined && pause !== undefined) return [point, pause] as const;
    return unreadable(
      values.host,
      'pause_after',
      point === undefined
        ? `${JSON.stringify(name)} is nothing to pause after`
        : `${JSON.stringify(text)} is no length of a pause`,
      'Write canary and servers, each with a time (30s, 10m, 2h), ask, or both: ask 10m.',
    );
  });
  if (pauses.some(([point]) => point === 'canary') && (values.list('canary') ?? []).length === 0) {
    return unreadable(
      values.host,
      'pause_after',
      'it pauses after the canary, and there is none',
      'Name hosts that go first: canary: [agent1].',
    );
  }
  return Object.fromEntries(pauses);
}

function unreadable(host: Host, name: string, because: string, fix: string): never {
  const where = host.vars.where(name);
  throw usageError({
    code: 'VARIABLE_TYPE',
    message: `"${name}": ${because}`,
    fix,
    host: host.name,
    ...(where === undefined ? {} : { where }),
  });
}

function drainOf(values: SettingValues): NodeSettings['drain'] {
  const word = values.text('drain')?.trim();
  if (word === undefined) return 'minor';
  if (word === 'minor' || word === 'servers' || word === 'agents' || word === 'all') return word;
  return values.flag('drain') === true ? 'all' : 'never';
}

/** `500k`, `10M`, `1.5G` or plain bytes, a second. */
function rateOf(values: SettingValues): number | undefined {
  const text = values.text('upload_rate')?.trim();
  if (text === undefined || text === '') return undefined;
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)([kmg]?)$/.exec(text.toLowerCase()) ?? [];
  const rate = Number(amount) * 1000 ** ['', 'k', 'm', 'g'].indexOf(unit);
  if (rate >= 1) return rate;
  throw usageError({
    code: 'UPLOAD_RATE',
    message: `upload_rate is ${JSON.stringify(text)}, which is no number of bytes a second`,
    fix: 'Write for example 500k, 10M or 1G.',
    host: values.host.name,
  });
}

/**
 * The labels and taints that all levels of the inventory together want on a host's node.
 * @throws FleetError `VARIABLE_TYPE` naming the first that is none
 */
export function nodeMarksOf(host: Host): NodeMarks {
  const values = new SettingValues(host);
  const labels = values
    .lists('node_labels')
    .map((text) => parseLabel(text) ?? noMark(host, 'node_labels', text));
  const taints = values
    .lists('node_taints')
    .map((text) => parseTaint(text) ?? noMark(host, 'node_taints', text));
  return {
    labels: Object.fromEntries(labels),
    taints: [...new Map(taints.map((taint) => [taintIdentity(taint), taint])).values()],
  };
}

function noMark(host: Host, name: 'node_labels' | 'node_taints', text: string): never {
  const where = host.vars.where(name);
  throw usageError({
    code: 'VARIABLE_TYPE',
    message: `${JSON.stringify(text)} in "${name}" is no ${name === 'node_labels' ? 'label' : 'taint'}`,
    fix:
      name === 'node_labels'
        ? 'Write key=value, e.g. disk=ssd.'
        : 'Write key=value:Effect, where Effect is NoSchedule, PreferNoSchedule or NoExecute.',
    host: host.name,
    ...(where === undefined ? {} : { where }),
  });
}

function missingVersion(host: string): never {
  throw usageError({
    code: 'K3S_VERSION_MISSING',
    message: 'k3s_version is not set',
    fix: 'Set it in the vars of the cluster, e.g. "k3s_version: v1.33.4+k3s1" or "k3s_version: stable".',
    host,
  });
}

function fallback(name: string): unknown {
  return variableInfo(name)?.default;
}

/** `[fd00::1]` and `fd00::1` are the same endpoint; URLs put the brackets back. */
function unbracketed(endpoint: string | undefined): string | undefined {
  return endpoint?.replace(/^\[([0-9a-fA-F:.]+)\]$/, '$1');
}

/**
 * Everything secret that a host's known variables hold, and all its vault values that can be opened: for the redactor.
 * Variables that cannot be read are left to those who need them.
 */
export function secretsOf(host: Host): readonly Secret[] {
  const secrets: Secret[] = [];
  const secretNames = new Set(allVariables().flatMap((info) => (info.secret ? [info.name] : [])));
  for (const name of host.vars.names()) {
    const value = readable(host, name);
    if (secretNames.has(name) && typeof value === 'string' && value !== '') secrets.push(new Secret(value));
    else collect(value, secrets, 0);
  }
  return secrets;
}

function readable(host: Host, name: string): unknown {
  try {
    return host.vars.get(name);
  } catch {
    return undefined;
  }
}

function collect(value: unknown, secrets: Secret[], depth: number): void {
  if (value instanceof Secret) secrets.push(value);
  else if (value !== null && typeof value === 'object' && depth < 60) {
    for (const item of Object.values(value)) collect(item, secrets, depth + 1);
  }
}
