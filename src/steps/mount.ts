import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { lines, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, type Diff, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type FileState, fileAt } from '../facts/file.ts';
import { fstabWord, type Mount, mountsInUse, parseMounts } from '../facts/mount.ts';
import { anything, choice, flag, optional, path, text } from './arguments.ts';
import { joinLines, splitLines } from './edited-file.ts';
import { type LandingSite, landFile, siteQuestions } from './landed-file.ts';

const args = Type.Object(
  {
    path: path('Where it is mounted.', { aliases: ['name'] }),
    src: optional(text('What is mounted: a device, UUID=…, server:/export.')),
    fstype: optional(text('Type of the filesystem.')),
    opts: optional(text('Options. Default defaults.')),
    state: choice(
      ['mounted', 'present', 'unmounted', 'absent', 'absent_from_fstab', 'remounted', 'ephemeral'],
      'mounted: now and at boot. present: at boot. ephemeral: now. unmounted: not now. absent: neither now nor at boot, the folder gone. absent_from_fstab: not at boot. remounted: mounted anew on every run.',
    ),
    dump: optional(text('Fifth field of fstab. Default 0.')),
    passno: optional(text('Sixth field of fstab. Default 0.')),
    boot: optional(flag('When false, it has noauto.')),
    fstab: optional(path('Another file than /etc/fstab.')),
    backup: optional(flag('Keeps the fstab that was there.')),
    opts_no_log: optional(anything('Ignored.')),
  },
  { additionalProperties: false },
);

type Seen = LandingSite & { readonly mounts: readonly Mount[]; readonly point: FileState };

/** ansible.posix's `mount`. */
export const mountStep = defineStep<typeof args, Seen>({
  name: 'mount',
  summary: 'A filesystem is mounted, now and at boot, or not.',
  args,
  examples: [
    `- mount:\n    path: /var/lib/longhorn\n    src: /dev/disk/by-label/longhorn\n    fstype: ext4\n    opts: noatime\n    state: mounted`,
  ],
  look: (args) => ({
    ...siteQuestions(args.fstab ?? '/etc/fstab'),
    mounts: ask(mountsInUse),
    point: ask(fileAt(args.path)),
  }),
  plan(seen, args): Plan<Seen> {
    const target = args.path.replace(/(.)\/+$/, '$1');
    const fstab = args.fstab ?? '/etc/fstab';
    const mounted = seen.mounts.find((mount) => mount.target === target);
    const { state } = args;
    if (state === 'remounted') {
      if (mounted === undefined) return refuse(`${target} is not mounted`, 'Use state: mounted.');
      return change(
        'a remount is asked for',
        [
          {
            kind: 'run',
            what: `remount ${target}`,
            script: sh`mount -o ${`remount${args.opts === undefined ? '' : `,${args.opts}`}`} -- ${target}`,
          },
        ],
        { imperative: true, touches: ['mount:*', 'file:*'] },
      );
    }
    const wantsEntry = state === 'mounted' || state === 'present';
    if ((wantsEntry || state === 'ephemeral') && (args.src === undefined || args.fstype === undefined)) {
      return refuse('src and fstype are missing', 'Say what is mounted and its type.');
    }
    const actions: Action[] = [];
    const because: string[] = [];
    const diff: Diff[] = [];
    const before = seen.content.text ?? '';
    const options = [
      args.opts ?? 'defaults',
      ...(args.boot === false && !args.opts?.includes('noauto') ? ['noauto'] : []),
    ].join(',');
    const entry = wantsEntry
      ? [args.src ?? '', target, args.fstype ?? '', options, args.dump ?? '0', args.passno ?? '0']
          .map(fstabWord)
          .join(' ')
      : undefined;
    const next =
      wantsEntry || state === 'absent' || state === 'absent_from_fstab'
        ? withMount(before, target, entry)
        : before;
    if (next !== before) {
      const landing = landFile(seen, {
        path: fstab,
        content: next,
        follow: true,
        ...(args.backup === true ? { backup: true } : {}),
      });
      if (landing.verdict === 'refuse') return landing;
      if (landing.verdict === 'change') {
        actions.push(...landing.actions);
        diff.push(...(landing.diff ?? []));
        because.push(wantsEntry ? `${fstab} does not say so` : `${fstab} mounts it`);
      }
    }
    if ((state === 'mounted' || state === 'ephemeral') && mounted === undefined) {
      because.push(`${target} is not mounted`);
      const mount =
        state === 'mounted' && fstab === '/etc/fstab'
          ? sh`mount -- ${target}`
          : sh`mount -t ${args.fstype ?? 'auto'} -o ${options} -- ${args.src ?? ''} ${target}`;
      actions.push({
        kind: 'run',
        what: `mount ${target}`,
        script: lines(sh`set -e`, sh`mkdir -p -- ${target}`, mount),
      });
    } else if (state === 'mounted' && mounted !== undefined && next !== before) {
      because.push('its options change');
      actions.push({
        kind: 'run',
        what: `remount ${target}`,
        script: sh`mount -o remount -- ${target} 2>/dev/null || { umount -- ${target} && mount -- ${target}; }`,
      });
    } else if ((state === 'unmounted' || state === 'absent') && mounted !== undefined) {
      because.push(`${target} is mounted`);
      actions.push({ kind: 'run', what: `unmount ${target}`, script: sh`umount -- ${target}` });
    }
    if (state === 'absent' && seen.point.self?.type === 'directory') {
      because.push(`the folder ${target} is there`);
      // Only an empty folder goes: what stands below an unmounted mount point was not put there by the mount.
      actions.push({
        kind: 'run',
        what: `remove the empty folder ${target}`,
        script: sh`rmdir -- ${target}`,
      });
    }
    const [first, ...rest] = actions;
    if (first === undefined) return unchanged(`${target} is ${state}`);
    return change(because.join('; '), [first, ...rest], {
      ...(diff.length > 0 ? { diff } : {}),
      touches: [
        'mount:*',
        'swap:*',
        'tree:*',
        'find:*',
        `file:${target}*`,
        `content:${target}/*`,
        `digest:${target}/*`,
        `file:${posix.dirname(target)}`,
      ],
    });
  },
});

/** fstab with one line for a mount point, or none. */
export function withMount(text: string, target: string, entry: string | undefined): string {
  const { lines, ending } = splitLines(text);
  const at = lines.findIndex((line) => parseMounts(line)[0]?.target === target);
  if (entry === undefined) return at < 0 ? text : joinLines(lines.toSpliced(at, 1), ending);
  if (at >= 0 && fields(lines[at] ?? '') === fields(entry)) return text;
  return joinLines(at < 0 ? [...lines, entry] : lines.with(at, entry), ending);
}

function fields(line: string): string {
  const words = line.trim().split(/\s+/);
  return [...words.slice(0, 4), words[4] ?? '0', words[5] ?? '0'].join(' ');
}
