import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, unchanged } from '../engine/step.ts';
import { checksumOf, type FileState, fileAt } from '../facts/file.ts';
import { anything, choice, flag, optional, path } from './arguments.ts';

const args = Type.Object(
  {
    path: path('What is looked at.', { aliases: ['dest', 'name'] }),
    follow: optional(flag('Looks at what a link points to.')),
    get_checksum: optional(flag('Whether a checksum of a regular file is wanted. Default true.')),
    checksum_algorithm: optional(
      choice(['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'], 'Default sha1, as in Ansible.', {
        aliases: ['checksum', 'checksum_algo'],
      }),
    ),
    get_mime: optional(anything('Ignored.', { aliases: ['mime', 'mime_type', 'mime-type'] })),
    get_attributes: optional(anything('Ignored.', { aliases: ['attr', 'attributes'] })),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly file: FileState;
  readonly checksum?: string | undefined;
}

/** Ansible's `stat`. */
export const statStep = defineStep<typeof args, Seen>({
  name: 'stat',
  summary: 'Looks at a file; changes nothing.',
  args,
  freeForm: 'path',
  examples: [
    `- stat: path=/etc/rancher/k3s/config.yaml\n  register: config\n- debug: msg="{{ config.stat.exists }}"`,
  ],
  readsOnly: true,
  look: (args) => ({
    file: ask(fileAt(args.path)),
    ...(args.get_checksum === false
      ? {}
      : { checksum: ask(checksumOf(args.path, args.checksum_algorithm ?? 'sha1')) }),
  }),
  plan(seen, args) {
    const stat = args.follow === true ? seen.file.followed : seen.file.self;
    if (stat === undefined) return unchanged(`${args.path} does not exist`, { stat: { exists: false } });
    const bits = Number.parseInt(stat.mode, 8);
    return unchanged(`${args.path} is a ${stat.type}`, {
      stat: {
        exists: true,
        path: args.path,
        mode: stat.mode,
        isreg: stat.type === 'file',
        isdir: stat.type === 'directory',
        islnk: stat.type === 'link',
        isblk: stat.type === 'block',
        ischr: stat.type === 'character',
        isfifo: stat.type === 'fifo',
        issock: stat.type === 'socket',
        uid: stat.uid,
        gid: stat.gid,
        pw_name: stat.owner,
        gr_name: stat.group,
        size: stat.sizeBytes,
        mtime: stat.modifiedAtS,
        atime: stat.accessedAtS,
        ctime: stat.changedAtS,
        nlink: stat.links,
        inode: stat.inode,
        dev: stat.device,
        executable: (bits & 0o111) !== 0,
        readable: (bits & 0o444) !== 0,
        writeable: (bits & 0o222) !== 0,
        ...Object.fromEntries(
          (['usr', 'grp', 'oth'] as const).flatMap((who, index) =>
            (['r', 'w', 'x'] as const).map((what, place) => [
              `${what}${who}`,
              (bits & (1 << ((2 - index) * 3 + (2 - place)))) !== 0,
            ]),
          ),
        ),
        ...(stat.type === 'link' ? { lnk_target: seen.file.linkTarget, lnk_source: seen.file.realPath } : {}),
        ...(stat.type === 'file' && seen.checksum !== undefined ? { checksum: seen.checksum } : {}),
      },
    });
  },
});
