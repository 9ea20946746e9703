import { FleetError, type Place } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { splitWords } from '../k3s/command-line.ts';
import { configOf, secretKeys } from '../k3s/config-text.ts';
import { whyNoEmbeddedRegistry } from '../k3s/embedded-registry.ts';
import { disagreements, unknownSettings } from '../k3s/known-flags.ts';
import { isChannel, type K3sVersion, parseVersion } from '../k3s/version.ts';
import { type Cluster, clusterOf, clustersOf, noCluster } from './cluster.ts';
import { checkConfigText } from './config-text-check.ts';
import { Findings, usageError } from './findings.ts';
import type { Fleet, Host } from './fleet.ts';
import { SettingValues } from './setting-values.ts';
import { nodeMarksOf } from './settings.ts';
import { isOtherName, likelyMeant, whyWrong } from './variable-check.ts';
import type { VariableScope } from './variable-kinds.ts';
import { allVariables } from './variables.ts';

export interface ValidationResult {
  /** What stops a run. */
  readonly errors: readonly FleetError[];
  /** What is only doubtful; those of reading the inventory are among them. */
  readonly warnings: readonly FleetError[];
}

export interface ValidationOptions {
  /** `--cluster`. */
  readonly cluster?: string;
  /** Off for inventories that need not hold a k3s cluster, such as those of `fleet play`. */
  readonly needsCluster?: boolean;
}

/** Checks everything about an inventory that can be checked without connecting, and reports all of it at once. */
export function validateFleet(fleet: Fleet, options: ValidationOptions = {}): ValidationResult {
  const findings = new Findings();
  findings.warnings.push(...fleet.warnings);
  const clusters = findings.gather(() => meantClusters(fleet, options)) ?? [];
  const roles = new Map<string, Set<VariableScope>>();
  for (const cluster of clusters) {
    for (const host of cluster.servers) rolesOf(roles, host.name, 'server');
    for (const host of cluster.agents) rolesOf(roles, host.name, 'agent');
  }
  checkVariables(fleet, roles, findings);
  for (const cluster of clusters) checkCluster(cluster, findings);
  return { errors: findings.errors, warnings: findings.warnings };
}

function meantClusters(fleet: Fleet, options: ValidationOptions): readonly Cluster[] {
  if (options.needsCluster === false) return clustersOf(fleet);
  if (options.cluster !== undefined) return [clusterOf(fleet, options.cluster)];
  const clusters = clustersOf(fleet);
  if (clusters.length === 0) throw noCluster(fleet);
  return clusters;
}

function rolesOf(roles: Map<string, Set<VariableScope>>, host: string, role: VariableScope): void {
  const known = roles.get(host) ?? new Set<VariableScope>(['connection', 'node', 'control']);
  known.add(role);
  roles.set(host, known);
}

/** The same finding on a thousand hosts is one finding: the place tells it apart, the first host stands for all. */
class OnceOnly {
  readonly #seen = new Set<string>();

  first(code: string, where: Place | undefined, text: string): boolean {
    const key = [code, where?.file, where?.line, where?.column, text].join('\n');
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    return true;
  }
}

function checkVariables(
  fleet: Fleet,
  roles: ReadonlyMap<string, ReadonlySet<VariableScope>>,
  findings: Findings,
): void {
  const once = new OnceOnly();
  const known = allVariables();
  const only: ReadonlySet<VariableScope> = new Set<VariableScope>(['connection']);
  for (const host of fleet.hosts.values()) {
    const scopes = roles.get(host.name) ?? only;
    for (const info of known) {
      if (scopes.has(info.scope) && host.vars.has(info.name)) checkValue(host, info.name, once, findings);
    }
    for (const name of host.vars.names()) warnOfTypo(host, name, once, findings);
  }
}

function checkValue(host: Host, name: string, once: OnceOnly, findings: Findings): void {
  const where = host.vars.where(name);
  let value: unknown;
  try {
    value = host.vars.get(name);
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    if (once.first(error.code, error.where, error.message))
      findings.errors.push(error.within({ host: host.name }));
    return;
  }
  const wrong = whyWrong(name, value);
  if (wrong !== undefined && once.first('VARIABLE_TYPE', where, `${name} ${wrong}`)) {
    findings.error({
      code: 'VARIABLE_TYPE',
      message: `"${name}" ${wrong}, not ${shown(value)}`,
      fix: `Correct it; \`fleet explain ${name}\` says what it takes.`,
      host: host.name,
      ...(where === undefined ? {} : { where }),
    });
    return;
  }
  if (name === 'k3s_version') checkVersion(host, value, where, once, findings);
  // What is wrong at a weaker level counts too: these lists add up.
  if (name === 'node_labels' || name === 'node_taints') {
    try {
      nodeMarksOf(host);
    } catch (error) {
      if (!(error instanceof FleetError)) throw error;
      if (once.first(error.code, error.where, error.message)) findings.errors.push(error);
    }
  }
  if (/_config_yaml$/.test(name)) {
    for (const error of checkConfigText(host, name, value)) {
      if (once.first(error.code, error.where, error.message)) findings.errors.push(error);
    }
  }
}

function shown(value: unknown): string {
  if (value instanceof Secret) return 'this secret';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function checkVersion(
  host: Host,
  value: unknown,
  where: Place | undefined,
  once: OnceOnly,
  findings: Findings,
): void {
  const text = String(value).trim();
  if (text === '' || parseVersion(text) !== undefined || isChannel(text)) return;
  if (!once.first('K3S_VERSION_FORM', where, text)) return;
  const fix =
    typeof value === 'number'
      ? `A number loses its end (1.30 is 1.3). Write "v${text}" in quotes for the newest of that minor, or a full version.`
      : /^v?\d+\.\d+\.\d+$/.test(text)
        ? `k3s versions end in +k3sN: perhaps v${text.replace(/^v/, '')}+k3s1.`
        : 'Write one as k3s publishes them, e.g. v1.33.4+k3s1, or a channel: stable, latest, v1.33.';
  findings.error({
    code: 'K3S_VERSION_FORM',
    message: `${JSON.stringify(value)} is no k3s version`,
    fix,
    host: host.name,
    ...(where === undefined ? {} : { where }),
  });
}

function warnOfTypo(host: Host, name: string, once: OnceOnly, findings: Findings): void {
  const meant = likelyMeant(name);
  if (meant === undefined || (isOtherName(name) && host.vars.has(meant))) return;
  const where = host.vars.where(name);
  if (!once.first('VARIABLE_TYPO', where, name)) return;
  findings.warn({
    code: 'VARIABLE_TYPO',
    message: `fleet does not know the variable "${name}"; it knows "${meant}"`,
    fix: `Rename it to "${meant}" if that is what it means.`,
    host: host.name,
    ...(where === undefined ? {} : { where }),
  });
}

function checkCluster(cluster: Cluster, findings: Findings): void {
  const agents = new Set(cluster.agents);
  for (const host of cluster.servers.filter((server) => agents.has(server))) {
    findings.error({
      code: 'HOST_IN_BOTH',
      message: `${host.name} is in both "${cluster.serverGroup}" and "${cluster.agentGroup}"`,
      fix: 'Take it out of one: a server runs workloads too, unless it is tainted.',
      host: host.name,
      ...(host.where === undefined ? {} : { where: host.where }),
    });
  }
  if (cluster.servers.length === 0) {
    findings.error({
      code: 'CLUSTER_NONE',
      message: `cluster "${cluster.name}" has no server`,
      fix: `Put at least one host into the group ${cluster.serverGroup}.`,
    });
  }
  checkAddresses(cluster, findings);
  checkServerCount(cluster, findings);
  checkVersionSet(cluster, findings);
  checkK3sSettings(cluster, findings);
}

function checkEmbeddedRegistry(host: Host, version: K3sVersion, findings: Findings, once: OnceOnly): void {
  const values = new SettingValues(host);
  try {
    if (values.flag('embedded_registry') !== true) return;
    const hindrance = whyNoEmbeddedRegistry(version, values.yaml('registries_config_yaml'));
    const where = host.vars.where('embedded_registry');
    if (hindrance === undefined || !once.first('K3S_SETTING', where, 'embedded_registry')) return;
    findings.error({
      code: 'K3S_SETTING',
      message: `"embedded_registry" ${hindrance.because}`,
      fix: hindrance.fix,
      host: host.name,
      ...(where === undefined ? {} : { where }),
    });
  } catch {
    // A value of another type was told already.
  }
}

/** What k3s itself would not take, or only on all servers alike. Variables that cannot be read were told already. */
function checkK3sSettings(cluster: Cluster, findings: Findings): void {
  const once = new OnceOnly();
  const nodes = [
    ...cluster.servers.map((host) => ({ host, role: 'server' as const })),
    ...cluster.agents.map((host) => ({ host, role: 'agent' as const })),
  ];
  for (const { host, role } of nodes) {
    const version = parseVersion(readText(host, 'k3s_version')?.trim() ?? '');
    if (version === undefined) continue;
    const { config, args } = ownSettings(host, role);
    checkEmbeddedRegistry(host, version, findings, once);
    for (const { setting, because, fix, isFatal } of unknownSettings(role, version, config, args)) {
      const name = setting.startsWith('--') ? `extra_${role}_args` : `${role}_config_yaml`;
      const where = host.vars.where(name);
      if (!once.first('K3S_SETTING', where, setting)) continue;
      const fault = {
        code: 'K3S_SETTING',
        message: `"${name}": ${setting} ${because}`,
        fix,
        host: host.name,
        ...(where === undefined ? {} : { where }),
      };
      if (isFatal) findings.error(fault);
      else findings.warn(fault);
    }
  }
  const servers = cluster.servers.map((host) => ({ host: host.name, ...ownSettings(host, 'server') }));
  for (const { setting, values } of disagreements(servers)) {
    const shown = secretKeys.has(setting)
      ? [...values.keys()].join(', ')
      : [...values].map(([host, value]) => `${value} on ${host}`).join(', ');
    findings.error({
      code: 'SERVERS_DISAGREE',
      message: `the servers of "${cluster.name}" disagree on ${setting}, which must be the same on all: ${shown}`,
      fix: `Set it once, in the variables of the group ${cluster.serverGroup}.`,
    });
  }
}

function ownSettings(
  host: Host,
  role: 'server' | 'agent',
): { readonly config: Readonly<Record<string, unknown>>; readonly args: readonly string[] } {
  const written = readValue(host, `${role}_config_yaml`);
  const config =
    written !== null && typeof written === 'object'
      ? (written as Record<string, unknown>)
      : configOf(readText(host, `${role}_config_yaml`));
  return { config, args: splitWords(readText(host, `extra_${role}_args`) ?? '') ?? [] };
}

function checkVersionSet(cluster: Cluster, findings: Findings): void {
  const missing = cluster.nodes.filter((host) => !isSet(host, 'k3s_version'));
  const [first] = missing;
  if (first === undefined) return;
  const all = missing.length === cluster.nodes.length;
  findings.error({
    code: 'K3S_VERSION_MISSING',
    message: all
      ? `k3s_version is not set for cluster "${cluster.name}"`
      : `k3s_version is not set for ${missing
          .map((host) => host.name)
          .slice(0, 5)
          .join(', ')}${missing.length > 5 ? ' …' : ''}`,
    fix: `Set it in the vars of "${cluster.name}", e.g. "k3s_version: v1.33.4+k3s1" or "k3s_version: stable".`,
    ...(first.where === undefined ? {} : { where: first.where }),
  });
}

function isSet(host: Host, name: string): boolean {
  if (!host.vars.has(name)) return false;
  const raw = host.vars.raw(name);
  return raw !== null && raw !== '';
}

function checkAddresses(cluster: Cluster, findings: Findings): void {
  const byAddress = new Map<string, Host>();
  for (const host of cluster.nodes) {
    const address = readText(host, 'ansible_host') ?? host.name;
    const connection = readText(host, 'ansible_connection') ?? 'ssh';
    if (connection !== 'local' && !/^(?:ssh|smart|openssh|paramiko|paramiko_ssh)$/.test(connection)) continue;
    const port = connection === 'local' ? 'local' : (readText(host, 'ansible_port') ?? '22');
    const key = connection === 'local' ? 'local' : `${address.toLowerCase().replace(/^\[|\]$/g, '')} ${port}`;
    const other = byAddress.get(key);
    if (other === undefined) {
      byAddress.set(key, host);
      continue;
    }
    const where = host.vars.where('ansible_host') ?? host.where;
    findings.error({
      code: 'ADDRESS_TWICE',
      message:
        connection === 'local'
          ? `${host.name} and ${other.name} are both this machine (ansible_connection: local)`
          : `${host.name} and ${other.name} have the same address ${address}${port === '22' ? '' : ` and port ${port}`}`,
      fix: 'Correct ansible_host of one of them: one machine can be only one node.',
      host: host.name,
      ...(where === undefined ? {} : { where }),
    });
  }
}

function readText(host: Host, name: string): string | undefined {
  try {
    const value = host.vars.get(name);
    if (value === undefined || value === null || value === '') return undefined;
    return value instanceof Secret ? value.reveal() : String(value);
  } catch (error) {
    if (error instanceof FleetError) return undefined;
    throw error;
  }
}

function checkServerCount(cluster: Cluster, findings: Findings): void {
  const count = cluster.servers.length;
  if (count === 0 || count % 2 === 1 || hasExternalDatastore(cluster)) return;
  const [first] = cluster.servers;
  findings.errors.push(
    usageError({
      code: 'SERVERS_EVEN',
      message: `cluster "${cluster.name}" has ${count} servers with embedded etcd: ${count} survive no more failures than ${count - 1}`,
      fix: `Make it ${count - 1} or ${count + 1} servers (move one to "${cluster.agentGroup}"), or set use_external_database.`,
      ...(first?.where === undefined ? {} : { where: first.where }),
    }),
  );
}

/** By its own variable, or by `datastore-endpoint` in flags, config or environment. */
function hasExternalDatastore(cluster: Cluster): boolean {
  return cluster.servers.some((host) => {
    const said = readText(host, 'use_external_database');
    if (said !== undefined && /^(?:true|yes|on|1|y)$/i.test(said)) return true;
    if (/--datastore-endpoint\b/.test(readText(host, 'extra_server_args') ?? '')) return true;
    const config = readValue(host, 'server_config_yaml');
    if (typeof config === 'string' && /^\s*["']?datastore-endpoint["']?\s*:/m.test(config)) return true;
    if (config !== null && typeof config === 'object' && 'datastore-endpoint' in config) return true;
    return ['extra_service_envs', 'extra_install_envs'].some((name) =>
      JSON.stringify(revealed(readValue(host, name)) ?? '').includes('K3S_DATASTORE_ENDPOINT'),
    );
  });
}

function readValue(host: Host, name: string): unknown {
  try {
    return revealed(host.vars.get(name));
  } catch (error) {
    if (error instanceof FleetError) return undefined;
    throw error;
  }
}

function revealed(value: unknown): unknown {
  if (value instanceof Secret) return value.reveal();
  return Array.isArray(value) ? value.map(revealed) : value;
}
