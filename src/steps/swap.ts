import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { lines, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, type Diff, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type Content, contentOf, type FileState, fileAt } from '../facts/file.ts';
import { type Identity, identity } from '../facts/identity.ts';
import { isSwapLine, maskedSwapNote, type SwapState, swapState } from '../facts/swap.ts';
import { choice, flag, optional, path, whole } from './arguments.ts';
import { landFile } from './landed-file.ts';

const args = Type.Object(
  {
    state: optional(
      choice(
        ['off', 'on', 'keep', 'limited', 'restored'],
        'Off (the default): none in use and none after a reboot. On: the given file is in use. Keep and limited: swap stays as it is. Restored: what off had changed is as before.',
      ),
    ),
    path: optional(path('With state: on, the swap file. Default /swapfile.')),
    size_mb: optional(
      whole('With state: on, its size in MiB when it has to be made. Default 1024.', { minimum: 1 }),
    ),
    persistent: optional(flag('Whether /etc/fstab is changed too. Default true.')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly swap: SwapState;
  readonly file: FileState;
  readonly content: Content;
  readonly parent: FileState;
  readonly me: Identity;
  readonly swapFile: FileState;
}

const FSTAB = '/etc/fstab';

/** Swap, which kubelets refuse by default. */
export const swapStep = defineStep<typeof args, Seen>({
  name: 'swap',
  summary: 'The host swaps nowhere, now and after a reboot; or it swaps to a file.',
  args,
  freeForm: 'state',
  examples: [`- swap: state=off`, `- swap:\n    state: 'on'\n    path: /swapfile\n    size_mb: 2048`],
  look: (args) => ({
    swap: ask(swapState),
    file: ask(fileAt(FSTAB)),
    content: ask(contentOf(FSTAB)),
    parent: ask(fileAt('/etc')),
    me: ask(identity),
    swapFile: ask(fileAt(args.path ?? '/swapfile')),
  }),
  plan(seen, args): Plan<Seen> {
    switch (args.state) {
      case 'on':
        return planOn(seen, args);
      case 'keep':
      case 'limited':
        return unchanged(`swap stays as it is: ${args.state}`);
      case 'restored':
        return planRestored(seen);
      default:
        return planOff(seen, args);
    }
  },
});

type SwapArgs = { readonly path?: string; readonly size_mb?: number; readonly persistent?: boolean };

function planOff(seen: Seen, args: SwapArgs): Plan<Seen> {
  const { swap } = seen;
  const actions: Action[] = [];
  const because: string[] = [];
  const diff: Diff[] = [];
  if (swap.inUse.length > 0) {
    because.push(
      `${swap.inUse.map((one) => one.path).join(', ')} ${swap.inUse.length === 1 ? 'is' : 'are'} in use`,
    );
    actions.push({ kind: 'run', what: 'swapoff -a', script: swapOffScript(swap), survives: true });
  }
  if (args.persistent !== false && swap.inFstab.length > 0) {
    const edited = commentedOut(seen.content.text ?? '');
    const landing = landFile(seen, { path: FSTAB, content: edited, follow: true });
    if (landing.verdict === 'refuse') return landing;
    if (landing.verdict === 'change') {
      because.push(`${FSTAB} brings swap back at boot`);
      diff.push(...(landing.diff ?? []));
      actions.push(...landing.actions);
    }
  }
  if (args.persistent !== false && swap.units.length > 0) {
    const masked = [...new Set([...swap.masked, ...swap.units])];
    because.push(`systemd starts ${swap.units.join(', ')}`);
    actions.push({
      kind: 'run',
      what: `mask ${swap.units.join(' ')}`,
      script: lines(
        sh`set -e`,
        sh`mkdir -p ${posix.dirname(maskedSwapNote)}`,
        sh`printf '%s\\n' ${masked} >${maskedSwapNote}`,
        sh`systemctl mask -q -- ${swap.units}`,
      ),
    });
  }
  const [first, ...rest] = actions;
  if (first === undefined) return unchanged('no swap is in use and none is configured');
  const kept = args.persistent === false;
  return change(because.join('; '), [first, ...rest], {
    diff,
    after: {
      swap: {
        inUse: [],
        inFstab: kept ? swap.inFstab : [],
        units: kept ? swap.units : [],
        masked: kept ? swap.masked : [...new Set([...swap.masked, ...swap.units])],
      },
    },
    touches: ['file:/etc/fstab', 'content:/etc/fstab', 'service:*', 'mount:*'],
  });
}

/** Takes back what `off` did, by the marks that it left. */
function planRestored(seen: Seen): Plan<Seen> {
  const actions: Action[] = [];
  const because: string[] = [];
  const diff: Diff[] = [];
  const restored = commentedIn(seen.content.text ?? '');
  if (seen.content.text !== undefined && restored !== seen.content.text) {
    const landing = landFile(seen, { path: FSTAB, content: restored, follow: true });
    if (landing.verdict === 'refuse') return landing;
    if (landing.verdict === 'change') {
      because.push(`fleet has switched swap off in ${FSTAB}`);
      diff.push(...(landing.diff ?? []));
      actions.push(...landing.actions);
    }
  }
  const { masked } = seen.swap;
  if (masked.length > 0) {
    because.push(`fleet has masked ${masked.join(', ')}`);
    actions.push(
      {
        kind: 'run',
        what: `unmask ${masked.join(' ')}`,
        script: sh`systemctl unmask -q -- ${masked} && systemctl daemon-reload`,
      },
      { kind: 'remove', path: maskedSwapNote },
    );
  }
  if (actions.length > 0) {
    // What a swap file was may be gone since; the next boot would pass over it as well.
    actions.push({ kind: 'run', what: 'swapon -a', script: sh`swapon -a 2>/dev/null || true` });
    actions.push({
      kind: 'run',
      what: `remove ${posix.dirname(maskedSwapNote)} where it is empty`,
      script: sh`rmdir ${posix.dirname(maskedSwapNote)} 2>/dev/null; true`,
    });
  }
  const [first, ...rest] = actions;
  if (first === undefined) return unchanged('fleet has switched no swap off');
  return change(because.join('; '), [first, ...rest], {
    diff,
    touches: ['swap:*', 'file:*', 'content:/etc/fstab', 'service:*', 'mount:*'],
  });
}

function swapOffScript(swap: SwapState) {
  return lines(sh`set -e`, ...swap.inUse.map((one) => sh`swapoff -- ${one.path}`));
}

const mark = '# swap is off (fleet): ';

/** fstab with what `commentedOut` did taken back. */
export function commentedIn(fstab: string): string {
  return fstab
    .split('\n')
    .map((line) => (line.startsWith(mark) ? line.slice(mark.length) : line))
    .join('\n');
}

/** fstab with its swap lines as comments that say who did it. */
export function commentedOut(fstab: string): string {
  return fstab
    .split('\n')
    .map((line) => (isSwapLine(line) ? `${mark}${line}` : line))
    .join('\n');
}

function planOn(seen: Seen, args: SwapArgs): Plan<Seen> {
  const target = args.path ?? '/swapfile';
  const { swap } = seen;
  const actions: Action[] = [];
  const because: string[] = [];
  const diff: Diff[] = [];
  const inUse = swap.inUse.some((one) => one.path === target);
  if (
    seen.swapFile.followed !== undefined &&
    seen.swapFile.followed.type !== 'file' &&
    seen.swapFile.followed.type !== 'block'
  ) {
    return refuse(`${target} is a ${seen.swapFile.followed.type}`, 'Name a file or a block device.');
  }
  if (!inUse) {
    because.push(`${target} is not in use`);
    const isNew = seen.swapFile.self === undefined;
    actions.push({
      kind: 'run',
      what: isNew ? `make ${target} and swap to it` : `swap to ${target}`,
      survives: true,
      script: lines(
        sh`set -e`,
        sh`p=${target}`,
        // dd and not fallocate: swap files must have no holes, and fallocate leaves unwritten extents on some filesystems.
        ...(isNew
          ? [
              sh`umask 077`,
              sh`dd if=/dev/zero of="$p" bs=1048576 count=${args.size_mb ?? 1024} 2>/dev/null`,
              sh`mkswap "$p" >/dev/null`,
            ]
          : []),
        sh`swapon "$p"`,
      ),
    });
  }
  const line = `${target} none swap sw 0 0`;
  if (args.persistent !== false && !swap.inFstab.some((one) => one.trim().split(/\s+/)[0] === target)) {
    const text = seen.content.text ?? '';
    const landing = landFile(seen, {
      path: FSTAB,
      content: `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`,
      follow: true,
    });
    if (landing.verdict === 'refuse') return landing;
    if (landing.verdict === 'change') {
      because.push(`${FSTAB} does not name it`);
      diff.push(...(landing.diff ?? []));
      actions.push(...landing.actions);
    }
  }
  const [first, ...rest] = actions;
  if (first === undefined) return unchanged(`${target} is in use`);
  return change(because.join('; '), [first, ...rest], {
    diff,
    touches: ['file:/etc/fstab', 'content:/etc/fstab', 'mount:*'],
  });
}
