import { posix, resolve } from 'node:path';
import { Type } from '@sinclair/typebox';
import { ask, askControl } from '../engine/fact.ts';
import { change, defineStep, type HostView, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type ControlFile, controlFile } from '../facts/control-file.ts';
import { type Content, digestOf, type FileState, fileAt } from '../facts/file.ts';
import { anything, flag, optional, path, text } from './arguments.ts';

const args = Type.Object(
  {
    src: path('The file, of any size.'),
    dest: text('Where it goes on the control node: DEST/HOST/SRC, or with flat, DEST itself.'),
    flat: optional(flag('No folders for host and path; with a trailing slash, into that folder.')),
    fail_on_missing: optional(flag('Whether a file that is not there is a failure. Default true.')),
    validate_checksum: optional(anything('Ignored: what arrives is always compared by its sha256.')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly source: FileState;
  readonly digest: Content;
  readonly target: ControlFile;
}

/** Ansible's `fetch`. */
export const fetchStep = defineStep<typeof args, Seen>({
  name: 'fetch',
  summary: 'A file of the host is on the control node.',
  args,
  examples: [`- fetch: src=/etc/rancher/k3s/k3s.yaml dest=kubeconfigs/`],
  look: (args, host) => ({
    source: ask(fileAt(args.src)),
    digest: ask(digestOf(args.src)),
    target: askControl(controlFile(targetOf(args, host), [], undefined)),
  }),
  plan(seen, args, host): Plan<Seen> {
    const source = seen.source.followed;
    const { sha256 } = seen.digest;
    const target = targetOf(args, host);
    if (source === undefined && args.fail_on_missing === false)
      return unchanged(`${args.src} is not there`, { msg: `${args.src} is not there` });
    if (source === undefined)
      return refuse(`${args.src} does not exist on the host`, 'Correct src, or set fail_on_missing: false.');
    if (source.type !== 'file' || sha256 === undefined)
      return refuse(`${args.src} is no regular file`, 'Only files are fetched; archive a folder first.');
    const result = { dest: target, checksum_sha256: sha256 };
    if (seen.target.kind === 'directory')
      return refuse(`${target} is a folder on the control node`, 'End dest with a slash.');
    if (seen.target.kind === 'file' && seen.target.sha256 === sha256)
      return unchanged(`${target} is the same`, result);
    return change(
      seen.target.kind === 'missing' ? `${target} is not there` : `${target} differs`,
      [
        {
          kind: 'collect',
          source: args.src,
          path: target,
          mode: '0600',
          sizeBytes: source.sizeBytes ?? 0,
          sha256,
        },
      ],
      // What arrives is compared by the engine. To look again would fail for whatever is being written to: a log.
      { imperative: true, touches: [], result: () => result },
    );
  },
});

function targetOf(args: { src: string; dest: string; flat?: boolean }, host: HostView): string {
  const base = resolve(host.searchPath[0] ?? '.', args.dest);
  if (args.flat !== true) return posix.join(base, host.name, args.src);
  return args.dest.endsWith('/') ? posix.join(base, posix.basename(args.src)) : base;
}
