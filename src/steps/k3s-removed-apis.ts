import { basename } from 'node:path';
import { Type } from '@sinclair/typebox';
import { parseAllDocuments } from 'yaml';
import { askControl, askEach } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged, unchangedBut } from '../engine/step.ts';
import { type DeprecatedRequest, deprecatedRequests } from '../facts/deprecated-apis.ts';
import { wantedRelease } from '../facts/k3s-release.ts';
import { type LocalManifests, localManifests } from '../facts/local-manifests.ts';
import { removedFor, replacementOf } from '../k3s/removed-apis.ts';
import { type K3sVersion, parseVersion } from '../k3s/version.ts';
import { flag, optional } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';

const args = Type.Object(
  {
    allow: optional(
      flag('Whether manifests of ours that the release cannot apply are only named. Default: false.'),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly wanted: K3sVersion;
  readonly local: LocalManifests;
  /** By server; `undefined` for one that does not answer. */
  readonly requests: ReadonlyMap<string, readonly DeprecatedRequest[] | undefined>;
}

const guide = 'https://kubernetes.io/docs/reference/using-api/deprecation-guide/';

/**
 * A manifest of ours that cannot be applied is wrong for sure. That somebody asked for an API says less: it may have been
 * a curious kubectl, days ago, so that it is told and stops nothing.
 */
export const k3sRemovedApisStep = defineStep<typeof args, Seen>({
  name: 'k3s_removed_apis',
  summary:
    'No manifest of extra_manifests uses a Kubernetes API that the release does not serve; APIs that clients of the cluster still ask for and that the release takes away are named. Changes nothing.',
  readsOnly: true,
  args,
  examples: ['- k3s_removed_apis:\n  run_once: true\n'],
  look(_args, host) {
    const { settings, servers } = k3sNode(host);
    const literal = parseVersion(settings.k3sVersion);
    return {
      wanted: askControl(wantedRelease(settings.k3sVersion, settings.channelsUrl, settings.airgapDir)),
      local: askControl(localManifests(settings.extraManifests, host.searchPath)),
      requests: askEach(servers, deprecatedRequests(literal && `v${literal.major}.${literal.minor}`)),
    };
  },
  plan({ wanted, local, requests }, { allow }): Plan<Seen> {
    const minor = `v${wanted.major}.${wanted.minor}`;
    const broken = local.flatMap(({ path, content }) =>
      objectsIn(content).flatMap(({ apiVersion, kind, name }) => {
        const api = removedFor(apiVersion, kind, wanted);
        if (api === undefined) return [];
        return [
          `${basename(path)}: ${kind} ${name} is ${apiVersion}, gone since v1.${api.removedIn} (${instead(api.replacement)})`,
        ];
      }),
    );
    if (broken.length > 0) {
      const because = `extra_manifests have objects that ${minor} does not serve: ${broken.join('; ')}`;
      const fix = `Correct them, see ${guide}; or leave them as they are: --allow-removed-apis.`;
      return allow === true
        ? unchangedBut('it is allowed', { code: 'REMOVED_API', message: because, fix })
        : refuse(because, fix, 'REMOVED_API');
    }
    const asked = askedFor(requests, wanted);
    if (asked.length === 0) return unchanged(`nobody is known to ask for what ${minor} does not serve`);
    return unchangedBut(`clients ask for what ${minor} does not serve`, {
      code: 'REMOVED_API',
      message: `${minor} does not serve APIs that clients have asked for since the servers started: ${asked.join('; ')}`,
      fix: `Find out who asks, and bring them up to date before the upgrade: their requests will fail. See ${guide} and docs/upgrades.md.`,
    });
  },
});

function askedFor(requests: Seen['requests'], wanted: K3sVersion): readonly string[] {
  const servers = new Map<string, string[]>();
  for (const [server, asked = []] of requests) {
    for (const { group, version, resource, removedIn } of asked) {
      if (removedIn > wanted.minor) continue;
      const text = `${group}/${version} ${resource}, gone since v1.${removedIn} (${instead(replacementOf(group, version, resource))})`;
      servers.set(text, [...(servers.get(text) ?? []), server]);
    }
  }
  return [...servers].map(([text, names]) => `${text}, asked of ${[...new Set(names)].join(', ')}`);
}

function instead(replacement: string | undefined): string {
  return replacement === undefined ? 'nothing takes its place' : `now ${replacement}`;
}

/** The objects of a manifest, those in Lists among them. What is no YAML, k3s will say. */
function objectsIn(
  manifest: string,
): readonly { readonly apiVersion: string; readonly kind: string; readonly name: string }[] {
  const found = parseAllDocuments(manifest, { logLevel: 'silent' });
  return [found].flat().flatMap((document) => {
    const value: unknown = document.errors.length === 0 ? document.toJS() : undefined;
    return itemsOf(value).map(({ apiVersion, kind, metadata }) => ({
      apiVersion: String(apiVersion),
      kind: String(kind),
      name: String((metadata as { name?: unknown } | undefined)?.name ?? ''),
    }));
  });
}

function itemsOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (value === null || typeof value !== 'object') return [];
  const object = value as Readonly<Record<string, unknown>>;
  return object.kind === 'List' && Array.isArray(object.items) ? object.items.flatMap(itemsOf) : [object];
}
