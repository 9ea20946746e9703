import { Type } from '@sinclair/typebox';
import { ask, askOn } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type Content, contentOf } from '../facts/file.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { type TokenRotation, tokenRotation } from '../facts/k3s-token-rotation.ts';
import { caHashOf, passwordOf } from '../k3s/membership.ts';
import { configPath } from '../k3s/paths.ts';
import { flag, optional, text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';
import { writtenTokens } from './k3s-written-token.ts';

const args = Type.Object(
  {
    from: text('The server that makes the new token, or has made it.'),
    full: optional(
      flag(
        'Whether only a full token is in the way: with other authorities the rest of it stays. Default: false.',
      ),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly config: Content;
  readonly source: ServerData;
  readonly rotation: TokenRotation;
}

/** Told before a new token is made: a node found out afterwards could not start again. */
export const k3sTokenMovableStep = defineStep<typeof args, Seen>({
  name: 'k3s_token_movable',
  summary:
    'The token of the node stands where fleet may put another one, or is the one that the rotation has made; changes nothing.',
  readsOnly: true,
  args,
  examples: ['- k3s_token_movable: {from: server-1}\n'],
  look({ from }, host) {
    const { k3sServerLocation } = k3sNode(host).settings;
    return {
      config: ask(contentOf(configPath)),
      source: askOn(from, serverData(k3sServerLocation)),
      rotation: askOn(from, tokenRotation(k3sServerLocation)),
    };
  },
  plan(seen, { full }, host): Plan<Seen> {
    const { token } = seen.source;
    const isMade = seen.rotation === 'rotated' && token !== undefined;
    const held = writtenTokens(k3sNode(host), seen.config.text).filter(
      (one) =>
        (!isMade || passwordOf(one.token) !== passwordOf(token)) &&
        (full !== true || caHashOf(one.token) !== undefined),
    );
    const places = held.map(({ where }) => where).join(' and ');
    if (places === '') return unchanged('its token stands where fleet keeps it');
    return refuse(
      `its token stands in ${places}, which is yours to change`,
      `Move the token from ${places} to the variable \`token\` and run fleet up once, then this again.`,
    );
  },
});
