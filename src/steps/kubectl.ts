import { type Static, Type } from '@sinclair/typebox';
import { parseAllDocuments } from 'yaml';
import { Secret } from '../core/secret.ts';
import { type Action, waitUntil } from '../engine/action.ts';
import { askOn } from '../engine/fact.ts';
import {
  change,
  type Diff,
  defineStep,
  type HostView,
  type Plan,
  type Refuse,
  refuse,
  unchanged,
} from '../engine/step.ts';
import {
  type FoundObjects,
  type KubernetesObject,
  kubectlOnObjects,
  type ObjectsDiff,
  type ObjectsQuery,
  objectsDiff,
  objectsFound,
  objectsNow,
} from '../facts/kubernetes.ts';
import { clusterHolding, clustersOf } from '../inventory/cluster.ts';
import { objectReady, type WantedCondition } from '../k3s/object-readiness.ts';
import { anything, choice, dictionary, flag, list, optional, text, whole } from './arguments.ts';

const usualWaitSeconds = 120;

const waiting = {
  wait: optional(flag('Waits until the objects are ready: replicas available, pods Ready, jobs complete.')),
  wait_timeout: optional(whole(`Seconds to wait. Default ${usualWaitSeconds}.`, { minimum: 1 })),
  wait_condition: optional(
    dictionary('Waits for this condition instead: {type: Progressing, status: "True"}.'),
  ),
  server: optional(
    text(
      'The server through which the cluster is spoken to. Default: this host if it is one, else the first server of its cluster.',
    ),
  ),
  wait_sleep: optional(whole('Seconds between two looks while waiting. Default 1.', { minimum: 1 })),
  kubeconfig: optional(anything('Ignored: the server speaks for itself.')),
  context: optional(anything('Ignored: the server speaks for itself.')),
  host: optional(anything('Ignored: the server speaks for itself.')),
  api_key: optional(anything('Ignored: the server speaks for itself.')),
  ca_cert: optional(anything('Ignored: the server speaks for itself.', { aliases: ['ssl_ca_cert'] })),
  client_cert: optional(anything('Ignored: the server speaks for itself.', { aliases: ['cert_file'] })),
  client_key: optional(anything('Ignored: the server speaks for itself.', { aliases: ['key_file'] })),
  validate_certs: optional(anything('Ignored: the server speaks for itself.', { aliases: ['verify_ssl'] })),
};

const args = Type.Object(
  {
    definition: optional(
      anything('The objects: YAML text, a map, or a list of maps.', {
        aliases: ['resource_definition', 'inline'],
      }),
    ),
    src: optional(
      text(
        "A file or folder on the server instead, or an address. One of the control node: definition: \"{{ lookup('file', 'app.yaml') }}\".",
      ),
    ),
    kind: optional(text('With name, instead of a definition: a Namespace to make, anything to remove.')),
    name: optional(text('The name of that object.')),
    api_version: optional(text('Its apiVersion. Default v1.', { aliases: ['api', 'version'] })),
    namespace: optional(text('Namespace of the objects that name none.')),
    state: optional(
      choice(['present', 'absent', 'patched'], 'Whether they are there. Default present (kubectl apply).'),
    ),
    ...waiting,
    apply: optional(anything('Ignored: objects are always applied.')),
    force: optional(flag('Replaces what cannot be changed in place.')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly diff: ObjectsDiff;
  readonly now: FoundObjects;
}

/** `kubernetes.core.k8s`, by the kubectl that k3s brings. */
export const kubectlStep = defineStep<typeof args, Seen>({
  name: 'kubectl',
  aliases: ['k8s'],
  summary: 'Objects of the cluster are there as defined, or are not; asked and applied through a server.',
  args,
  examples: [
    `- kubectl:
    definition:
      apiVersion: v1
      kind: ConfigMap
      metadata: {name: greeting, namespace: default}
      data: {hello: world}`,
    `- kubectl:
    definition: "{{ lookup('file', 'app.yaml') }}"
    namespace: web
    wait: true`,
    `- k8s: {kind: Namespace, name: web, state: present}`,
  ],
  look(args, host) {
    const query = queryOf(args);
    const server = serverFor(args, host);
    return { diff: askOn(server, objectsDiff(query)), now: askOn(server, objectsNow(query)) };
  },
  plan(seen, args, host): Plan<Seen> {
    const given = [args.definition, args.src, args.kind].filter((one) => one !== undefined).length;
    if (given !== 1)
      return refuse('exactly one of definition, src and kind must be given', 'Leave the others out.');
    if (args.kind !== undefined && args.name === undefined)
      return refuse('name is missing', `Say which ${args.kind}.`);
    const { now } = seen;
    if ('unavailable' in now) return unaskable(now.unavailable, host);
    const server = serverFor(args, host);
    const query = queryOf(args);
    return args.state === 'absent'
      ? planAbsent(now, query, server, args)
      : planPresent(seen, now, query, server, args, host);
  },
});

type KubectlArgs = Static<typeof args>;

function planAbsent(
  now: Extract<FoundObjects, { objects: unknown }>,
  query: ObjectsQuery,
  server: string,
  args: KubectlArgs,
): Plan<Seen> {
  if (now.objects.length === 0) return unchanged('none of the objects is there', { result: {} });
  const seconds = args.wait_timeout ?? usualWaitSeconds;
  return change(
    `${namesOf(now)} there`,
    [
      {
        kind: 'run',
        what: `delete ${namesOf(now, false)}`,
        script: kubectlOnObjects(
          ['delete', '--ignore-not-found', `--timeout=${seconds}s`, `--wait=${args.wait !== false}`],
          query,
        ),
        host: server,
        deadlineMs: (seconds + 30) * 1000,
      },
    ],
    { touches: ['kubernetes:*'] },
  );
}

function planPresent(
  seen: Seen,
  now: Extract<FoundObjects, { objects: unknown }>,
  query: ObjectsQuery,
  server: string,
  args: KubectlArgs,
  host: HostView,
): Plan<Seen> {
  const diff = comparedHere(seen.diff, now, query);
  if (diff.kind === 'error') return refuse(`the server refuses the objects: ${diff.message}`, atServer(host));
  const result = { result: now.objects.length === 1 ? now.objects[0] : { results: now.objects } };
  const notReady = args.wait === true ? firstNotReady(now, conditionOf(args)) : undefined;
  if (diff.kind === 'same' && notReady === undefined) return unchanged('the objects are as defined', result);
  const actions: Action[] = [];
  if (diff.kind === 'different') {
    actions.push({
      kind: 'run',
      what: 'kubectl apply',
      script: kubectlOnObjects(['apply', ...(args.force === true ? ['--force'] : [])], query),
      host: server,
    });
  }
  if (args.wait === true) {
    const seconds = args.wait_timeout ?? usualWaitSeconds;
    actions.push(
      waitUntil({
        what: 'the objects to be ready',
        fact: objectsNow(query),
        host: server,
        holds: (found) =>
          'unavailable' in found ? found.unavailable : (firstNotReady(found, conditionOf(args)) ?? true),
        deadlineMs: seconds * 1000,
        everyMs: (args.wait_sleep ?? 1) * 1000,
      }),
    );
  }
  const [first, ...rest] = actions;
  if (first === undefined) return unchanged('the objects are as defined', result);
  if (diff.kind === 'same') {
    return change(notReady ?? 'they are not ready', [first, ...rest], {
      touches: ['kubernetes:*'],
      changesNothing: true,
      result: () => result,
    });
  }
  return change(
    now.objects.length === 0 ? 'the objects are not there' : 'the objects differ',
    [first, ...rest],
    { ...diffOf(diff.diff), touches: ['kubernetes:*'], result: () => result },
  );
}

const infoArgs = Type.Object(
  {
    kind: text('What is looked for: Deployment, pods, helmcharts.helm.cattle.io.'),
    name: optional(text('The name of one.')),
    namespace: optional(text('Where. Default: all namespaces, or with a name, default.')),
    api_version: optional(
      text('Its apiVersion, where several kinds have the name.', { aliases: ['api', 'version'] }),
    ),
    label_selectors: optional(list('Only those with these labels: app=web.')),
    field_selectors: optional(list('Only those with these fields: status.phase=Running.')),
    ...waiting,
  },
  { additionalProperties: false },
);

interface InfoSeen {
  readonly found: FoundObjects;
}

/** `kubernetes.core.k8s_info`. */
export const k8sInfoStep = defineStep<typeof infoArgs, InfoSeen>({
  name: 'k8s_info',
  aliases: ['kubectl_get', 'k8s_facts'],
  summary: 'Looks objects of the cluster up, or waits for them; changes nothing.',
  args: infoArgs,
  examples: [
    `- k8s_info: {kind: Pod, namespace: kube-system, label_selectors: [k8s-app=kube-dns]}
  register: dns
- debug: msg="{{ dns.resources | map(attribute='status.phase') | list }}"`,
    `- k8s_info: {kind: Deployment, name: traefik, namespace: kube-system, wait: true, wait_timeout: 300}`,
  ],
  readsOnly: true,
  look: (args, host) => ({ found: askOn(serverFor(args, host), objectsFound(wordsOf(args))) }),
  plan({ found }, args, host): Plan<InfoSeen> {
    if ('unavailable' in found) return unaskable(found.unavailable, host);
    const result = { resources: found.objects, api_found: true };
    const wanted = conditionOf(args);
    const missing =
      found.objects.length === 0 ? `there is no ${args.kind} ${args.name ?? ''}`.trim() : undefined;
    const notReady = args.wait === true ? (missing ?? firstNotReady(found, wanted)) : undefined;
    if (notReady === undefined) return unchanged(`${found.objects.length} found`, result);
    return change(
      notReady,
      [
        waitUntil({
          what: `${args.kind} ${args.name ?? ''}`.trim(),
          fact: objectsFound(wordsOf(args)),
          host: serverFor(args, host),
          holds: (now) =>
            'unavailable' in now
              ? now.unavailable
              : now.objects.length === 0
                ? (missing ?? 'none is there')
                : (firstNotReady(now, wanted) ?? true),
          deadlineMs: (args.wait_timeout ?? usualWaitSeconds) * 1000,
          everyMs: (args.wait_sleep ?? 1) * 1000,
        }),
      ],
      { changesNothing: true, touches: ['kubernetes:*'], result: () => result },
    );
  },
});

function wordsOf(args: Static<typeof infoArgs>): readonly string[] {
  const [group, version] = (args.api_version ?? 'v1').split('/');
  // `Deployment.v1.apps`: the kind with version and group, as kubectl reads it; the core group has none.
  const kind = version === undefined ? args.kind : `${args.kind}.${version}.${group}`;
  const where =
    args.namespace !== undefined
      ? ['-n', args.namespace]
      : args.name === undefined
        ? ['--all-namespaces']
        : [];
  return [
    kind,
    ...(args.name === undefined ? [] : [args.name]),
    ...where,
    ...(args.label_selectors === undefined ? [] : ['-l', args.label_selectors.join(',')]),
    ...(args.field_selectors === undefined ? [] : ['--field-selector', args.field_selectors.join(',')]),
  ];
}

/** The server that speaks for the cluster of a host. */
function serverFor(args: { readonly server?: string }, host: HostView): string {
  if (args.server !== undefined) return args.server;
  const clusters = clustersOf(host.fleet);
  const cluster = clusterHolding(host.fleet, host.name) ?? (clusters.length === 1 ? clusters[0] : undefined);
  const servers = cluster?.servers.map(({ name }) => name) ?? [];
  return servers.includes(host.name) ? host.name : (servers[0] ?? host.name);
}

function queryOf(args: KubectlArgs): ObjectsQuery {
  const { namespace } = args;
  if (args.src !== undefined) return { objects: { path: args.src }, namespace };
  if (args.definition !== undefined) return { objects: { text: textOf(args.definition) }, namespace };
  const object = {
    apiVersion: args.api_version ?? 'v1',
    kind: args.kind ?? '',
    metadata: { name: args.name ?? '', ...(namespace === undefined ? {} : { namespace }) },
  };
  return { objects: { text: JSON.stringify(object) }, namespace };
}

/** JSON is YAML: several objects are so many documents. */
function textOf(definition: unknown): string {
  if (definition instanceof Secret) return definition.reveal();
  if (typeof definition === 'string') return definition;
  const documents = [definition]
    .flat()
    .map((object) => (typeof object === 'string' ? object : JSON.stringify(object)));
  // kubectl takes a text that begins with a brace for JSON alone, in which a second document has no place.
  return documents.length === 1 ? (documents[0] ?? '') : documents.map((one) => `---\n${one}\n`).join('');
}

function conditionOf(args: {
  readonly wait_condition?: Readonly<Record<string, unknown>>;
}): WantedCondition | undefined {
  const { type, status } = args.wait_condition ?? {};
  if (type === undefined) return undefined;
  // YAML makes a truth value of True.
  const word = typeof status === 'boolean' ? (status ? 'True' : 'False') : status;
  return { type: String(type), ...(word === undefined ? {} : { status: String(word) }) };
}

function firstNotReady(
  found: Extract<FoundObjects, { objects: unknown }>,
  wanted: WantedCondition | undefined,
): string | undefined {
  return found.objects
    .map((object) => objectReady(object, wanted))
    .find((answer): answer is string => answer !== true);
}

function namesOf(found: Extract<FoundObjects, { objects: unknown }>, withVerb = true): string {
  const names = found.objects.map(({ kind, metadata }) => `${kind} ${metadata?.name}`);
  const verb = names.length === 1 ? ' is' : ' are';
  return `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}${withVerb ? verb : ''}`;
}

/** kubectl's own unified diff, without the line of its command. It hides the data of Secrets. */
function diffOf(text: string): { readonly diff?: readonly [Diff] } {
  const rows = text.split('\n').filter((row) => !/^(?:diff |---|\+\+\+|@@)/.test(row));
  const side = (skip: string): string =>
    rows.flatMap((row) => (row.startsWith(skip) || row === '' ? [] : [row.slice(1)])).join('\n');
  if (text.trim() === '') return {};
  return { diff: [{ subject: 'objects', before: `${side('+')}\n`, after: `${side('-')}\n` }] };
}

/** Where the API cannot compare (it knows no dry run): whether all that is wanted stands in what is there. */
function comparedHere(
  diff: ObjectsDiff,
  now: Extract<FoundObjects, { objects: unknown }>,
  { objects }: ObjectsQuery,
): ObjectsDiff {
  if (diff.kind !== 'error' || !/support dry-run/.test(diff.message) || !('text' in objects)) return diff;
  const wanted = parseAllDocuments(objects.text).map((document) =>
    withData(document.toJS() as KubernetesObject),
  );
  const isThere = (one: KubernetesObject): boolean =>
    now.objects.some(
      (found) => found.kind === one.kind && found.metadata?.name === one.metadata?.name && holds(found, one),
    );
  return wanted.every(isThere) ? { kind: 'same' } : { kind: 'different', diff: '' };
}

/** A Secret as the API keeps it: its texts in base64. */
function withData(object: KubernetesObject): KubernetesObject {
  const { stringData, ...rest } = object as KubernetesObject & {
    readonly stringData?: Readonly<Record<string, unknown>>;
    readonly data?: object;
  };
  if (stringData === undefined) return object;
  const data = Object.entries(stringData).map(([key, text]) => [
    key,
    Buffer.from(String(text)).toString('base64'),
  ]);
  return { ...rest, data: { ...rest.data, ...Object.fromEntries(data) } } as KubernetesObject;
}

/** Whether a value is in another one: all its keys and items, whatever else is there. */
function holds(there: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return (
      Array.isArray(there) &&
      there.length === wanted.length &&
      wanted.every((item, index) => holds(there[index], item))
    );
  if (wanted === null || typeof wanted !== 'object') return there === wanted;
  if (there === null || typeof there !== 'object') return false;
  return Object.entries(wanted).every(([key, item]) => holds((there as Record<string, unknown>)[key], item));
}

function unaskable(why: string, host: HostView): Refuse {
  return refuse(
    `the cluster cannot be asked: ${why}`,
    // k3s keeps its kubeconfig from everybody but root.
    why.includes('permission denied') ? 'Add become: true to the step or the play.' : atServer(host),
  );
}

function atServer(host: HostView): string {
  return `Check the objects, and that k3s runs on a server: \`fleet status\` (asked for ${host.name}).`;
}
