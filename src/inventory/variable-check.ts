import type { ValidateFunction } from 'ajv';
import { distance } from 'fastest-levenshtein';
import { ownSchemas } from '../core/own-schemas.ts';
import { Secret } from '../core/secret.ts';
import { allVariables, type VariableInfo, variableInfo } from './variables.ts';

const ajv = ownSchemas({ allowUnionTypes: true });
const compiled = new Map<string, ValidateFunction>();

/** Why a templated value does not fit a known variable, as the end of a sentence: `must be a number`. */
export function whyWrong(name: string, value: unknown): string | undefined {
  const info = variableInfo(name);
  if (info === undefined || value === undefined || value === null) return undefined;
  const plain = withoutSecrets(value);
  // An empty text means "not set" wherever people clear a variable of a group.
  if (plain === '') return undefined;
  let check = compiled.get(name);
  if (check === undefined) {
    check = ajv.compile(info.schema);
    compiled.set(name, check);
  }
  return check(plain) ? undefined : `must be ${wantedForm(info)}`;
}

function withoutSecrets(value: unknown): unknown {
  if (value instanceof Secret) return value.reveal();
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(item)]));
  }
  return value;
}

/** What a variable takes, in words. */
export function wantedForm(info: VariableInfo): string {
  const forms = ((info.schema.anyOf as readonly Record<string, unknown>[] | undefined) ?? [info.schema]).map(
    formOf,
  );
  return [...new Set(forms)].filter((form) => form !== '').join(' or ');
}

function formOf(schema: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(schema.enum)) return `one of ${schema.enum.join(', ')}`;
  if (schema.anyOf !== undefined) return 'yes, no, or accept-new';
  const { type } = schema;
  if (type === 'string' && typeof schema.pattern === 'string')
    return schema.pattern.includes('es') ? 'yes or no' : '';
  if (type === 'string') return 'text';
  if (type === 'integer') {
    const [low, high] = [schema.minimum, schema.maximum];
    if (low === 0 && high === 1) return '';
    if (low !== undefined && high !== undefined) return `a whole number from ${low} to ${high}`;
    return low === undefined ? 'a whole number' : `a whole number of at least ${low}`;
  }
  if (type === 'boolean') return 'yes or no';
  if (type === 'array') return 'a list of texts';
  return type === 'object' ? 'a dict' : '';
}

/** What other tools for k3s call the same thing. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  k3s_token: 'token',
  apiserver_endpoint: 'api_endpoint',
  k3s_release_version: 'k3s_version',
  k3s_server_version: 'k3s_version',
  ansible_sudo_pass: 'ansible_become_password',
  ansible_sudo: 'ansible_become',
};

/** Whether a name is what another tool calls one of our variables; people who share an inventory between tools set both. */
export function isOtherName(name: string): boolean {
  return Object.hasOwn(OTHER_NAMES, name);
}

/** Of every name that was asked about: thousands of hosts have the same. */
const meantBy = new Map<string, string | undefined>();

/** The known variable that somebody probably meant by a name that fleet does not know. */
export function likelyMeant(name: string): string | undefined {
  if (!meantBy.has(name)) meantBy.set(name, nearestVariable(name));
  return meantBy.get(name);
}

function nearestVariable(name: string): string | undefined {
  if (variableInfo(name) !== undefined || IGNORED.has(name)) return undefined;
  if (isOtherName(name)) return OTHER_NAMES[name];
  if (name.length < 5) return undefined;
  const allowed = name.length < 8 ? 1 : 2;
  const folded = name.toLowerCase().replaceAll('-', '_');
  let best: { name: string; far: number } | undefined;
  for (const info of allVariables()) {
    const far = folded === info.name ? 0 : distance(folded, info.name);
    // `ansible_x` and `x` are different families; a suffix number (`token2`) is a choice, not a slip.
    if (far > allowed || new RegExp(`^${info.name}_?\\d+$`).test(name)) continue;
    if (best === undefined || far < best.far) best = { name: info.name, far };
  }
  return best?.name;
}

/** Ansible's own variables that look like ours and mean something else, or nothing here. */
const IGNORED: ReadonlySet<string> = new Set([
  'ansible_ssh_host',
  'ansible_ssh_port',
  'ansible_ssh_user',
  'ansible_ssh_executable',
  'ansible_ssh_pipelining',
  'ansible_pipelining',
  'ansible_become_exe',
  'ansible_become_flags',
  'ansible_shell_type',
  'ansible_hostname',
  'ansible_hosts',
  'ansible_facts',
  'ansible_ssh_retries',
  'ansible_ssh_common',
  'server_groups',
  'cluster_cidrs',
]);
