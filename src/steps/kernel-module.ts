import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type Content, contentOf, type FileState, fileAt } from '../facts/file.ts';
import { type Identity, identity } from '../facts/identity.ts';
import { type KernelModuleState, kernelModule } from '../facts/kernel-module.ts';
import { choice, optional, path, text } from './arguments.ts';
import { landFile } from './landed-file.ts';

const args = Type.Object(
  {
    name: text('The module, for instance br_netfilter.'),
    state: optional(choice(['present', 'absent'], 'Loaded (the default) or not.')),
    params: optional(text('Parameters for loading it.')),
    persistent: optional(
      choice(
        ['disabled', 'present', 'absent'],
        'Whether /etc/modules-load.d loads it at boot. Default: present for `kernel_module`, disabled for `modprobe`.',
      ),
    ),
    load_file: optional(path('The file that loads it at boot. Default /etc/modules-load.d/NAME.conf.')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly module: KernelModuleState;
  readonly file: FileState;
  readonly content: Content;
  readonly parent: FileState;
  readonly me: Identity;
}

function moduleStep(name: string, defaultPersistence: 'present' | 'disabled', summary: string) {
  return defineStep<typeof args, Seen>({
    name,
    summary,
    args,
    freeForm: 'name',
    examples: [`- ${name}: name=br_netfilter persistent=present`],
    look(args) {
      const file = args.load_file ?? loadFile(args.name);
      return {
        module: ask(kernelModule(args.name)),
        file: ask(fileAt(file)),
        content: ask(contentOf(file)),
        parent: ask(fileAt(posix.dirname(file))),
        me: ask(identity),
      };
    },
    plan(seen, args): Plan<Seen> {
      const isWanted = args.state !== 'absent';
      const persistent =
        args.persistent ??
        (isWanted ? defaultPersistence : defaultPersistence === 'present' ? 'absent' : 'disabled');
      const module = args.name;
      const file = args.load_file ?? loadFile(module);
      const actions: Action[] = [];
      const because: string[] = [];
      let after: Partial<Seen> = {};
      if (isWanted && seen.module === 'missing') {
        return refuse(
          `the running kernel has no module ${module} and finds none to load`,
          'Install the package that brings it (kernel-modules-extra, linux-modules-extra-…), or reboot into the installed kernel.',
        );
      }
      if (isWanted && seen.module === 'available') {
        because.push('it is not loaded');
        const parameters = (args.params ?? '').split(/\s+/).filter((word) => word !== '');
        actions.push({
          kind: 'run',
          what: `load ${module}`,
          script: sh`modprobe -- ${module} ${parameters}`,
        });
        after = { module: 'loaded' };
      }
      if (!isWanted && seen.module === 'loaded') {
        because.push('it is loaded');
        actions.push({ kind: 'run', what: `unload ${module}`, script: sh`modprobe -r -- ${module}` });
        after = { module: 'available' };
      }
      if (persistent === 'present' && seen.module !== 'built-in') {
        const landing = landFile(seen, { path: file, content: `${module}\n`, makeParents: true });
        if (landing.verdict === 'refuse') return landing;
        if (landing.verdict === 'change') {
          because.push('it is not loaded at boot');
          actions.push(...landing.actions);
          after = { ...after, ...landing.after };
        }
      } else if (persistent === 'absent' && seen.file.self !== undefined) {
        because.push('it is loaded at boot');
        actions.push({ kind: 'remove', path: file });
        after = { ...after, file: { self: undefined, followed: undefined }, content: { sha256: undefined } };
      }
      const [first, ...rest] = actions;
      if (first === undefined) return unchanged(`${module} is ${seen.module}`, { name: module });
      return change(`${module}: ${because.join(', ')}`, [first, ...rest], {
        after,
        touches: ['sysctl:*', 'kernel-module:*'],
        result: () => ({ name: module, state: args.state ?? 'present' }),
      });
    },
  });
}

function loadFile(module: string): string {
  return `/etc/modules-load.d/${module}.conf`;
}

/** A module is loaded now and at every boot. */
export const kernelModuleStep = moduleStep(
  'kernel_module',
  'present',
  'A kernel module is loaded, now and at every boot.',
);

/** community.general's `modprobe`, which leaves the boot alone unless told. */
export const modprobeStep = moduleStep('modprobe', 'disabled', 'A kernel module is loaded.');
