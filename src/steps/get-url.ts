import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { reveal, type Secret } from '../core/secret.ts';
import { lines } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { publishedSum } from '../facts/download.ts';
import { checksumOf, type FileState, fileAt, touchesOfPath } from '../facts/file.ts';
import { type Identity, identity } from '../facts/identity.ts';
import { anything, dictionary, flag, optional, path, secretText, text, whole } from './arguments.ts';
import { checksumArgument, downloadScript } from './download.ts';
import { attributeArguments, attributeChange, resolveMode } from './file-attributes.ts';

const args = Type.Object(
  {
    url: text('Where it comes from: https://, http:// or ftp://.'),
    dest: path('Where it lands; with a trailing slash, into that folder under the last name of the URL.'),
    checksum: optional(
      text(
        'ALGORITHM:HEX, or ALGORITHM:URL of a file that lists the sums. Without it only https protects the file.',
      ),
    ),
    force: optional(
      flag(
        'Fetches it even when a file is there and no checksum tells whether it is the right one; on every run.',
      ),
    ),
    backup: optional(flag('Keeps what was there beside it, with the time in its name.')),
    ...attributeArguments,
    headers: optional(dictionary('Headers of the request.')),
    url_username: optional(text('User for the server.', { aliases: ['username'] })),
    url_password: optional(secretText('Password for the server.', { aliases: ['password'] })),
    timeout: optional(whole('Seconds for connecting. Default 10.', { minimum: 1 })),
    validate_certs: optional(flag('Whether the certificate of the server must be valid. Default true.')),
    http_agent: optional(anything('Ignored.')),
    force_basic_auth: optional(anything('Ignored: a given user is always sent.')),
    decompress: optional(anything('Ignored: what lands is what the server has.')),
    tmp_dest: optional(anything('Ignored: it lands beside dest first.')),
    use_proxy: optional(anything('Ignored: the environment decides.')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly file: FileState;
  readonly me: Identity;
  readonly checksum?: string | undefined;
  /** The sum that the list at the checksum URL gives for the file; `undefined` when it could not be read. */
  readonly published?: string | undefined;
}

/** Ansible's `get_url`; the host itself fetches, with curl or wget. */
export const getUrlStep = defineStep<typeof args, Seen>({
  name: 'get_url',
  summary: 'A file on the host is what a URL gives, checked against its published sum.',
  args,
  examples: [
    `- get_url:
    url: https://get.helm.sh/helm-v3.16.2-linux-amd64.tar.gz
    dest: /usr/local/src/
    checksum: sha256:9318379b847e333460d33d291d4c088156299a26cd93d570a7f5d0c36e50b5bb`,
  ],
  look(args) {
    const target = targetOf(args);
    const sum = checksumArgument(args.checksum);
    return {
      file: ask(fileAt(target)),
      me: ask(identity),
      ...(typeof sum === 'object' ? { checksum: ask(checksumOf(target, sum.algorithm)) } : {}),
      ...(typeof sum === 'object' && sum.url !== undefined
        ? { published: ask(publishedSum(sum.url, posix.basename(new URL(args.url).pathname))) }
        : {}),
    };
  },
  plan(seen, args): Plan<Seen> {
    const target = targetOf(args);
    const sum = checksumArgument(args.checksum);
    if (typeof sum === 'string') return refuse(sum, 'Write checksum: sha256:HEX.');
    const wanted = sum?.hex ?? seen.published;
    if (sum !== undefined && wanted === undefined) {
      return refuse(
        `the list at ${sum.url} gives no sum for ${posix.basename(new URL(args.url).pathname)}`,
        'Check both addresses, or give the sum itself.',
      );
    }
    const now = seen.file.followed;
    const isRight =
      now?.type === 'file' && (wanted === undefined ? args.force !== true : seen.checksum === wanted);
    const result = {
      dest: target,
      url: args.url,
      ...(wanted === undefined ? {} : { checksum_dest: wanted }),
    };
    if (now !== undefined && isRight) {
      const mended = attributeChange(seen.file.realPath ?? target, now, args);
      const [first, ...rest] = mended.scripts;
      if (first === undefined)
        return unchanged(wanted === undefined ? `${target} is there` : `${target} has the checksum`, result);
      return change(
        `${target}: ${mended.because.join(', ')}`,
        [
          {
            kind: 'run',
            what: `set ${mended.because.join(', ')} of ${target}`,
            script: lines(first, ...rest),
          },
        ],
        { touches: touchesOfPath(target), result: () => result },
      );
    }
    if (now?.type === 'directory')
      return refuse(`${target} is a directory`, 'End dest with a slash to fetch into it.');
    const mode = resolveMode(args.mode ?? now?.mode ?? '0644', now?.mode ?? '0644', false);
    const owner = args.owner ?? now?.owner ?? seen.me.user;
    const group = args.group ?? now?.group ?? seen.me.group;
    const password: string | Secret | undefined = args.url_password;
    return change(
      now === undefined
        ? `${target} does not exist`
        : wanted === undefined
          ? 'force is set'
          : `the checksum of ${target} is another`,
      [
        {
          kind: 'run',
          what: `fetch ${args.url} to ${target}`,
          survives: true,
          deadlineMs: 30 * 60_000,
          script: downloadScript({
            url: args.url,
            target,
            mode,
            owner,
            group,
            ...(sum === undefined || wanted === undefined
              ? {}
              : { sum: { algorithm: sum.algorithm, hex: wanted } }),
            headers: Object.entries(args.headers ?? {}).map(([name, value]) => `${name}: ${String(value)}`),
            ...(args.url_username === undefined
              ? {}
              : { user: `${args.url_username}:${password === undefined ? '' : reveal(password)}` }),
            connectTimeoutS: args.timeout ?? 10,
            insecure: args.validate_certs === false,
            backup: args.backup === true && now !== undefined,
          }),
        },
      ],
      {
        ...(wanted === undefined && args.force === true ? { imperative: true as const } : {}),
        touches: touchesOfPath(target),
        result: () => result,
      },
    );
  },
});

function targetOf(args: { url: string; dest: string }): string {
  if (!args.dest.endsWith('/')) return args.dest;
  return posix.join(
    args.dest,
    URL.canParse(args.url) ? posix.basename(new URL(args.url).pathname) || 'index.html' : 'index.html',
  );
}
