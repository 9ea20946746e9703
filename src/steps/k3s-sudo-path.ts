import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import type { Content, FileState } from '../facts/file.ts';
import type { Identity } from '../facts/identity.ts';
import { type SudoPath, sudoPath, sudoPathFile } from '../facts/sudo-path.ts';
import { choice, optional } from './arguments.ts';
import { landFile, siteQuestions } from './landed-file.ts';

const args = Type.Object(
  {
    state: optional(
      choice(['present', 'absent'], 'present (the default): found; absent: what fleet wrote for it is gone.'),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly path: SudoPath;
  readonly file: FileState;
  readonly content: Content;
  readonly parent: FileState;
  readonly me: Identity;
}

const folder = '/usr/local/bin';

/** The RHEL family leaves /usr/local/bin, where k3s and kubectl are, out of sudo's path. */
export const k3sSudoPathStep = defineStep<typeof args, Seen>({
  name: 'k3s_sudo_path',
  summary: 'sudo finds commands in /usr/local/bin, by a file of its own that visudo has checked.',
  args,
  examples: ['- k3s_sudo_path:\n'],
  look: () => ({ path: ask(sudoPath), ...siteQuestions(sudoPathFile) }),
  plan(seen, args): Plan<Seen> {
    const { folders, readsFolder } = seen.path;
    const isNeeded = args.state !== 'absent' && folders !== undefined && !folders.includes(folder);
    if (!isNeeded) {
      if (seen.file.self === undefined)
        return unchanged(
          folders === undefined ? 'sudo keeps the PATH of who calls it' : `sudo's path is left as it is`,
        );
      return change(
        'fleet has written a path for sudo that is needed no more',
        [{ kind: 'remove', path: sudoPathFile }],
        {
          diff: [{ subject: sudoPathFile, before: seen.content.text, after: undefined }],
          touches: ['file:*', 'content:*', 'digest:*'],
        },
      );
    }
    if (!readsFolder) {
      return refuse(
        `sudo's secure_path lacks ${folder}, and /etc/sudoers includes no /etc/sudoers.d`,
        `Add ${folder} to secure_path in /etc/sudoers with visudo.`,
      );
    }
    return landFile(seen, {
      path: sudoPathFile,
      content: `# Written by fleet: k3s and kubectl are in ${folder}.\nDefaults secure_path = ${[...folders, folder].join(':')}\n`,
      mode: '0440',
      owner: 'root',
      group: 'root',
      validate: 'visudo -cf %s',
    });
  },
});
