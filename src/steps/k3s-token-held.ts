import { Type } from '@sinclair/typebox';
import { reveal, Secret } from '../core/secret.ts';
import type { Action } from '../engine/action.ts';
import { ask, askOn } from '../engine/fact.ts';
import { change, defineStep, type HostView, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type InUse, inUse, withNewer } from '../facts/k3s-in-use.ts';
import { type Installation, installation } from '../facts/k3s-installation.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { tokenFile } from '../facts/k3s-token-file.ts';
import { flagValue } from '../k3s/command-line.ts';
import { renderEnvFile } from '../k3s/env-file.ts';
import { caHashOf, passwordOf } from '../k3s/membership.ts';
import { unitName } from '../k3s/paths.ts';
import { optional, secretText, text } from './arguments.ts';
import { type K3sNodeView, k3sNode } from './k3s-node.ts';
import { type WrittenToken, writtenTokens } from './k3s-written-token.ts';

const args = Type.Object(
  {
    from: text('The server whose cluster this node shall open: its token is the one that counts.'),
    token: optional(
      secretText(
        'The token itself, where no server has it yet: that of the snapshot which is being restored.',
      ),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly there: Installation;
  readonly inUse: InUse;
  readonly source: ServerData;
  readonly file: Secret | undefined;
}

/** Where the node's k3s reads its token from when it starts. @see https://docs.k3s.io/cli/token#token-types */
type Place =
  | { readonly kind: 'env' }
  | { readonly kind: 'file'; readonly path: string }
  /** In the user's own words, which fleet does not change behind his back. */
  | ({ readonly kind: 'written' } & WrittenToken);

const nowhere = '/nonexistent/fleet-token-file';

/** Decides nothing about the cluster: it only brings the node to a token that the cluster has got. */
export const k3sTokenHeldStep = defineStep<typeof args, Seen>({
  name: 'k3s_token_held',
  summary:
    'The node will start with the token of the cluster that a server has: in its environment file, or in the file that `token-file` names. An agent may hold the cluster’s agent-token instead.',
  args,
  examples: ['- k3s_token_held: {from: server-1}\n'],
  look(args, host) {
    const node = k3sNode(host);
    const place = placeOf(node);
    return {
      there: ask(installation(node.role, node.settings.systemdDir)),
      inUse: ask(inUse(node.role, node.settings.systemdDir)),
      source: askOn(args.from, serverData(node.settings.k3sServerLocation)),
      file: ask(tokenFile(place.kind === 'file' ? place.path : nowhere)),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const node = k3sNode(host);
    if (seen.there.args === undefined) return unchanged('k3s is not installed');
    const server = args.token === undefined ? seen.source.token : new Secret(reveal(args.token));
    if (server === undefined) {
      return refuse(`${args.from} has no token`, 'Bring that server up first: fleet start.');
    }
    const opening =
      node.role === 'agent' && seen.source.agentToken !== undefined ? [seen.source.agentToken] : [];
    const wanted = opening[0] ?? server;
    const place = placeOf(node);
    const has = held(place, seen);
    if (has !== undefined && [server, ...opening].some((token) => opensTheSame(has, token))) {
      return unchanged('it has the token of the cluster');
    }
    if (place.kind === 'written') {
      return refuse(
        `its token stands in ${place.where}, which is yours to change`,
        `Move the token from ${place.where} to the variable \`token\` and run fleet up once, then this again.`,
      );
    }
    // k3s fell back on what it keeps itself; where that is right already, nothing has to be written.
    if (has === undefined && node.role === 'server' && host.name === args.from && args.token === undefined) {
      return unchanged('it keeps the token of the cluster itself');
    }
    return planWrite(seen, node, host, place, wanted);
  },
});

function planWrite(
  seen: Seen,
  node: K3sNodeView,
  host: HostView,
  place: Exclude<Place, { kind: 'written' }>,
  wanted: Secret,
): Plan<Seen> {
  const { there } = seen;
  const own = { mode: '0600', owner: 'root', group: 'root' } as const;
  if (place.kind === 'file') {
    const write: Action = {
      kind: 'write',
      path: place.path,
      content: new Secret(`${wanted.reveal()}\n`),
      ...own,
    };
    return change(`${place.path} holds another token`, [write], {
      touches: ['file:*', 'content:*'],
      after: { file: wanted, inUse: withNewer(seen.inUse, place.path) },
    });
  }
  const env = new Map([...(there.env ?? [])].map(([name, value]) => [name, value.reveal()]));
  env.set('K3S_TOKEN', wanted.reveal());
  return change(
    `${unitName(node.role)} on ${host.name} would start with ${there.env?.has('K3S_TOKEN') === true ? 'another' : 'no'} token`,
    [{ kind: 'write', path: there.envPath, content: new Secret(renderEnvFile(env)), ...own }],
    {
      touches: ['file:*', 'content:*'],
      after: {
        there: {
          ...there,
          env: new Map([...env].map(([name, value]) => [name, new Secret(value)])),
          envMode: '0600',
        },
        inUse: withNewer(seen.inUse, there.envPath),
      },
    },
  );
}

/** A file that the user names is the token's place, unless a flag gives one: what else he wrote k3s reads before it. */
function placeOf(node: K3sNodeView): Place {
  const [written] = writtenTokens(node, undefined);
  const file = flagValue(node.extraArgs, '--token-file') ?? node.config['token-file'];
  if (typeof file === 'string' && written?.where !== `extra_${node.role}_args`)
    return { kind: 'file', path: file };
  return written === undefined ? { kind: 'env' } : { kind: 'written', ...written };
}

function held(place: Place, seen: Seen): Secret | undefined {
  switch (place.kind) {
    case 'env':
      return seen.there.env?.get('K3S_TOKEN');
    case 'file':
      return seen.file;
    case 'written':
      return place.token;
  }
}

/** The same password, and where both name a CA, the same one: a full token of another cluster is refused by this one. */
function opensTheSame(has: Secret, wanted: Secret): boolean {
  const [mine, theirs] = [caHashOf(has), caHashOf(wanted)];
  return (
    passwordOf(has) === passwordOf(wanted) && (mine === undefined || theirs === undefined || mine === theirs)
  );
}
