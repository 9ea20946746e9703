import { type ShellScript, sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { kubectlWords } from '../k3s/paths.ts';
import type { Answer } from '../ssh/connection.ts';
import { sha256Of } from './file.ts';

/** Objects of a cluster as somebody wants them: a text, or a file on the server. */
export type WantedObjects = { readonly text: string } | { readonly path: string };

/** What `kubectl` acts on: the objects, and the namespace of those that name none. */
export interface ObjectsQuery {
  readonly objects: WantedObjects;
  readonly namespace?: string | undefined;
}

/** The objects' text never stands among a program's arguments: it may hold secrets. */
export function kubectlOnObjects(words: readonly string[], query: ObjectsQuery): ShellScript {
  const namespace = query.namespace === undefined ? [] : ['-n', query.namespace];
  const { objects } = query;
  if ('path' in objects) return sh`${kubectlWords} ${words} ${namespace} -f ${objects.path}`;
  return sh`printf %s ${objects.text} | ${kubectlWords} ${words} ${namespace} -f -`;
}

function keyOf(query: ObjectsQuery): string {
  const { objects } = query;
  const subject = 'path' in objects ? `path ${objects.path}` : sha256Of(objects.text);
  return `${query.namespace ?? ''} ${subject}`;
}

/** How the cluster differs from what is wanted: the server itself compares, with its defaults filled in. */
export type ObjectsDiff =
  | { readonly kind: 'same' }
  | { readonly kind: 'different'; readonly diff: string }
  | { readonly kind: 'error'; readonly message: string };

/** Source: `kubectl diff`, a dry run on the server. It hides the data of Secrets. */
export function objectsDiff(query: ObjectsQuery): Fact<ObjectsDiff> {
  return {
    key: `kubernetes:diff ${keyOf(query)}`,
    sh: kubectlOnObjects(['diff'], query),
    parse: parseObjectsDiff,
    volatile: true,
  };
}

/** The parser of `objectsDiff`: status 1 says both "different" and, in some versions, "no such namespace". */
export function parseObjectsDiff({ code, stdout, stderr }: Answer): ObjectsDiff {
  if (code === 0) return { kind: 'same' };
  const said = stderr.trim();
  // Objects in a namespace that is made by the same text: they cannot be there yet.
  if (/namespaces "[^"]*" not found/.test(said)) return { kind: 'different', diff: stdout };
  if (code === 1 && (stdout.trim() !== '' || said === '')) return { kind: 'different', diff: stdout };
  return { kind: 'error', message: said.split('\n').at(-1) || `kubectl ended with status ${code}` };
}

/** One object as the API gives it. */
export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly generation?: number;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>> & {
    readonly conditions?: readonly {
      readonly type?: string;
      readonly status?: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
}

export type FoundObjects =
  | { readonly objects: readonly KubernetesObject[] }
  | { readonly unavailable: string };

/** The wanted objects as they are; those that are not there are left out. Source: `kubectl get -o json`. */
export function objectsNow(query: ObjectsQuery): Fact<FoundObjects> {
  return {
    key: `kubernetes:now ${keyOf(query)}`,
    sh: kubectlOnObjects(['get', '--ignore-not-found', '-o', 'json'], query),
    parse: parseObjects,
    volatile: true,
  };
}

/** Objects that were asked for by kind, name and labels. Source: `kubectl get -o json`. */
export function objectsFound(words: readonly string[]): Fact<FoundObjects> {
  return {
    key: `kubernetes:get ${words.join(' ')}`,
    sh: sh`${kubectlWords} get --ignore-not-found -o json ${words}`,
    parse: parseObjects,
    volatile: true,
  };
}

/** The parser of `kubectl get -o json`: nothing, one object, or a List of them. */
export function parseObjects({ code, stdout, stderr }: Answer): FoundObjects {
  if (code !== 0) {
    const said = stderr.trim().split('\n').at(-1) || `kubectl ended with status ${code}`;
    return /namespaces "[^"]*" not found|NotFound/.test(said) ? { objects: [] } : { unavailable: said };
  }
  if (stdout.trim() === '') return { objects: [] };
  const parsed = JSON.parse(stdout) as KubernetesObject & { readonly items?: readonly KubernetesObject[] };
  return { objects: parsed.items ?? [parsed] };
}
