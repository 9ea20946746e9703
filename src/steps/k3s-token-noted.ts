import { Type } from '@sinclair/typebox';
import { Secret } from '../core/secret.ts';
import { ask, askControl } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { localSecretText } from '../facts/local-text.ts';
import { passwordOf } from '../k3s/membership.ts';
import { text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';

const args = Type.Object(
  { path: text('The file of the control node, readable for its owner alone. Empty: none is written.') },
  { additionalProperties: false },
);

interface Seen {
  readonly data: ServerData;
  readonly noted: Secret | undefined;
}

export const k3sTokenNotedStep = defineStep<typeof args, Seen>({
  name: 'k3s_token_noted',
  summary:
    'The cluster’s token stands in a file of the control node, in the short form that an inventory has.',
  args,
  examples: ['- k3s_token_noted: {path: .fleet/lab.token}\n'],
  look(args, host) {
    return {
      data: ask(serverData(k3sNode(host).settings.k3sServerLocation)),
      noted: askControl(localSecretText(args.path)),
    };
  },
  plan(seen, args): Plan<Seen> {
    if (args.path === '') return unchanged('the inventory holds no token');
    if (seen.data.token === undefined) return refuse('the server has no token', 'See fleet status.');
    const wanted = `${passwordOf(seen.data.token)}\n`;
    if (seen.noted?.reveal() === wanted) return unchanged(`${args.path} holds it`);
    return change(
      `${args.path} does not hold it`,
      [{ kind: 'save', path: args.path, content: new Secret(wanted), mode: '0600' }],
      { after: { noted: new Secret(wanted) } },
    );
  },
});
