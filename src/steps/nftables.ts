import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { nftRules } from '../facts/firewall.ts';
import { optional, path, text } from './arguments.ts';
import { type LandingSite, landFile, siteQuestions } from './landed-file.ts';

const args = Type.Object(
  {
    content: text('A whole file of rules for nft -f.'),
    path: optional(path('The file that holds them. Default /etc/nftables.conf, which Debian loads at boot.')),
    table: optional(
      text(
        'A table that is there once the rules are loaded, for instance inet filter; so that rules flushed by hand are loaded again.',
      ),
    ),
  },
  { additionalProperties: false },
);

type Seen = LandingSite & { readonly rules: string | undefined };

/** A file of nftables rules, checked before it lands and loaded once it has changed. */
export const nftablesStep = defineStep<typeof args, Seen>({
  name: 'nftables',
  summary: 'nftables has the rules of a file, now and at boot.',
  args,
  examples: [
    `- nftables:\n    table: inet filter\n    content: |\n      flush ruleset\n      table inet filter {\n        chain input { type filter hook input priority 0; policy accept; }\n      }`,
  ],
  look: (args) => ({ rules: ask(nftRules), ...siteQuestions(args.path ?? '/etc/nftables.conf') }),
  plan(seen, args): Plan<Seen> {
    const file = args.path ?? '/etc/nftables.conf';
    if (seen.rules === undefined)
      return refuse('nft is not installed', 'Install it first: package: name=nftables.');
    const landing = landFile(seen, {
      path: file,
      content: args.content,
      newMode: '0755',
      validate: 'nft -c -f %s',
      makeParents: true,
    });
    if (landing.verdict === 'refuse') return landing;
    const isLoaded = args.table === undefined || seen.rules.split('\n').includes(`table ${args.table} {`);
    const load: Action = { kind: 'run', what: `load ${file}`, script: sh`nft -f ${file}` };
    if (landing.verdict === 'change') {
      return change(landing.because, [...landing.actions, load], {
        ...(landing.diff === undefined ? {} : { diff: landing.diff }),
        after: landing.after,
        touches: ['firewall:*'],
      });
    }
    if (isLoaded) return unchanged(`${file} is as wanted${args.table === undefined ? '' : ' and loaded'}`);
    return change(`table ${args.table} is not loaded`, [load], { touches: ['firewall:*'] });
  },
});
