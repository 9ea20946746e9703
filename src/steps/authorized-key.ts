import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { lines, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type AuthorizedKeys, authorizedKeys } from '../facts/account.ts';
import { anything, choice, flag, optional, path, text } from './arguments.ts';

const args = Type.Object(
  {
    user: text('Whose logins the keys open.'),
    key: text('Public keys, one per line.'),
    state: optional(choice(['present', 'absent'], 'Whether they do. Default present.')),
    exclusive: optional(flag('No other key does.')),
    key_options: optional(text('Options before the key: from="10.0.0.0/8",no-agent-forwarding.')),
    comment: optional(text('Replaces the comment of the key.')),
    path: optional(path('Another file than ~/.ssh/authorized_keys.')),
    manage_dir: optional(flag('Makes and protects the folder of the file. Default true.')),
    follow: optional(anything('Ignored.')),
    validate_certs: optional(anything('Ignored: keys are given as text.')),
  },
  { additionalProperties: false },
);

type Seen = { readonly keys: AuthorizedKeys };

/** ansible.posix's `authorized_key`. */
export const authorizedKeyStep = defineStep<typeof args, Seen>({
  name: 'authorized_key',
  summary: "SSH keys open a user's logins, or no longer do.",
  args,
  examples: [`- authorized_key:\n    user: debian\n    key: "{{ lookup('file', '~/.ssh/id_ed25519.pub') }}"`],
  look: (args) => ({ keys: ask(authorizedKeys(args.user, args.path)) }),
  plan(seen, args): Plan<Seen> {
    const { keys } = seen;
    if (/^(https?|file):/.test(args.key))
      return refuse('key is an address', 'Give the text of the key; nothing is fetched unverified.');
    const given = args.key
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
    const wanted = given.map((line) => asWanted(line, args));
    const wrong = wanted.findIndex((line) => keyOf(line) === undefined);
    if (wrong >= 0 || given.length === 0)
      return refuse(`${given[wrong] ?? 'key'} is no public key`, 'Give the content of a .pub file.');
    const file =
      args.path ?? (keys.home === undefined ? undefined : posix.join(keys.home, '.ssh/authorized_keys'));
    if (file === undefined)
      return refuse(`there is no user ${args.user}`, `Add it first: user: name=${args.user}.`);
    const now = keys.text.split('\n').filter((line) => line.trim() !== '');
    const next =
      args.state === 'absent'
        ? now.filter((line) => !wanted.some((one) => keyOf(one) === keyOf(line)))
        : withKeys(now, wanted, args.exclusive === true);
    if (next.join('\n') === now.join('\n')) {
      return unchanged(args.state === 'absent' ? 'none of the keys is there' : 'the keys are there', {
        user: args.user,
        keyfile: file,
      });
    }
    const folder = posix.dirname(file);
    const content = next.length === 0 ? '' : `${next.join('\n')}\n`;
    const actions: Action[] = [];
    if (args.manage_dir !== false && !keys.exists) {
      actions.push({
        kind: 'run',
        what: `make ${folder}`,
        script: lines(
          sh`set -e`,
          sh`if [ ! -d ${folder} ]; then mkdir -m 0700 -- ${folder}; chown ${`${args.user}:${keys.group}`} ${folder}; fi`,
        ),
      });
    }
    const write: Action = {
      kind: 'write',
      path: file,
      content,
      mode: keys.exists ? keys.mode : '0600',
      owner: keys.exists ? keys.owner : args.user,
      group: keys.group || args.user,
    };
    const [first, ...rest] = [...actions, write];
    return change(
      args.state === 'absent'
        ? `keys of ${args.user} shall go`
        : `keys of ${args.user} are missing or differ`,
      [first ?? write, ...rest],
      {
        diff: [{ subject: file, before: keys.exists ? keys.text : undefined, after: content }],
        after: { keys: { ...keys, text: content, exists: true, mode: write.mode, owner: write.owner } },
        touches: ['account:keys *', `file:${file}`, `content:${file}`, `digest:${file}`, `file:${folder}`],
        result: () => ({ user: args.user, keyfile: file, state: args.state ?? 'present' }),
      },
    );
  },
});

const KEY = /(?:^|\s)((?:sk-)?(?:ssh|ecdsa)-[A-Za-z0-9@.-]+)\s+([A-Za-z0-9+/=]+)/;

/** Type and key of a line, without options and comment: what makes two lines the same key. */
function keyOf(line: string): string | undefined {
  const match = KEY.exec(line);
  return match === null ? undefined : `${match[1]} ${match[2]}`;
}

function asWanted(line: string, args: { key_options?: string; comment?: string }): string {
  if (args.key_options === undefined && args.comment === undefined) return line;
  const match = KEY.exec(line);
  if (match === null) return line;
  const key = `${match[1]} ${match[2]}`;
  const before = line.slice(0, match.index).trim();
  const after = line.slice(match.index + match[0].length).trim();
  return [args.key_options ?? before, key, args.comment ?? after].filter((part) => part !== '').join(' ');
}

function withKeys(now: readonly string[], wanted: readonly string[], exclusive: boolean): string[] {
  const kept = now.flatMap((line) => {
    const same = wanted.find((one) => keyOf(one) === keyOf(line));
    if (same !== undefined) return [same];
    return exclusive && keyOf(line) !== undefined ? [] : [line];
  });
  return [...kept, ...wanted.filter((one) => !kept.some((line) => keyOf(line) === keyOf(one)))];
}
