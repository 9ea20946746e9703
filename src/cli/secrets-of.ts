import { parse } from 'yaml';
import { type Redactor, Secret } from '../core/secret.ts';
import type { Fleet, Host } from '../inventory/fleet.ts';
import { variableInfo } from '../inventory/variables.ts';
import { VaultText } from '../inventory/vault-text.ts';

/** Variables that hold a secret by their name, whether or not a vault says so. */
const secretName = /(?:^|_)(?:token|pass|passwd|password|passphrase|secret|secret_key|access_key|api_key)$/i;

/** Secrets inside other texts: credentials in an address, tokens among arguments and environment settings. */
const secretsInside = [
  /:\/\/[^\s:@/]*:([^\s@/]+)@/g,
  // MySQL's form takes any password as it is: only what stands behind the last @ ends it.
  /mysql:\/\/[^\s:@/]*:(\S+)@\w*\(/g,
  /(?:--(?:agent-)?token|K3S_(?:AGENT_)?TOKEN)[= ]+["']?([^\s"']+)/g,
  /^\s*(?:agent-)?token:\s*["']?([^\s"'#]+)/gm,
];

/** Tells the redactor of every secret that the inventory holds, before anything is shown or sent. */
export function learnSecrets(fleet: Fleet, redactor: Redactor): void {
  // Hosts share what their groups say: each value is looked at once, templates once per host.
  const seen = new Set<unknown>();
  for (const holder of [fleet, ...fleet.hosts.values()]) learnFrom(holder, redactor, seen);
}

function learnFrom({ vars }: Pick<Host, 'vars'>, redactor: Redactor, seen: Set<unknown>): void {
  for (const name of vars.names()) {
    const raw = vars.raw(name);
    const isNamed = secretName.test(name) || variableInfo(name)?.secret === true;
    const isTemplated = typeof raw === 'string' && raw.includes('{{');
    if (seen.has(raw) && !(isNamed && isTemplated)) continue;
    seen.add(raw);
    learnValue(raw, isNamed && !isTemplated, redactor);
    if (typeof raw === 'string' && name.endsWith('_config_yaml')) learnFromConfig(raw, redactor);
    if (!isNamed || !isTemplated) continue;
    try {
      learnValue(vars.get(name), true, redactor);
    } catch {
      // Wrong here and needed by nobody, or named by whoever needs it.
    }
  }
}

/** A config file written into the inventory as text: its keys tell what is secret, as the names of variables do. */
function learnFromConfig(text: string, redactor: Redactor): void {
  try {
    learnValue(parse(text), false, redactor);
  } catch {
    // Validation tells of a text that is no YAML.
  }
}

function learnValue(value: unknown, isSecret: boolean, redactor: Redactor): void {
  if (value instanceof Secret) redactor.add(value);
  else if (value instanceof VaultText) {
    try {
      redactor.add(value.decrypt());
    } catch {
      // No password opens it: it cannot leak either.
    }
  } else if (typeof value === 'string') {
    if (isSecret && !value.includes('{{')) redactor.add(value);
    for (const pattern of secretsInside) {
      for (const [, found = ''] of value.matchAll(pattern)) {
        redactor.add(found);
        redactor.add(decoded(found));
      }
    }
  } else if (typeof value === 'number' && isSecret) redactor.add(String(value));
  else if (Array.isArray(value)) for (const item of value) learnValue(item, isSecret, redactor);
  else if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    for (const [key, item] of Object.entries(value)) {
      learnValue(item, isSecret || isSecretKey(key, item), redactor);
    }
  }
}

/** A password in an address stands there URL-encoded; whoever uses it may say it as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `auth` of registries.yaml is a mapping, or user and password as base64. */
function isSecretKey(key: string, value: unknown): boolean {
  // The name of a Secret, which says nothing.
  if (key === 'etcd-s3-config-secret') return false;
  return secretName.test(key.replaceAll('-', '_')) || (key === 'auth' && typeof value === 'string');
}
