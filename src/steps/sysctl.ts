import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, type Diff, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type Content, contentOf, type FileState, fileAt } from '../facts/file.ts';
import { type Identity, identity } from '../facts/identity.ts';
import { normalSysctlValue, sysctlInUse, sysctlPath } from '../facts/sysctl.ts';
import { choice, flag, optional, path, text } from './arguments.ts';
import { landFile } from './landed-file.ts';

const args = Type.Object(
  {
    name: text('The kernel parameter, for instance net.ipv4.ip_forward.', { aliases: ['key'] }),
    value: optional(text('Its value.', { aliases: ['val'] })),
    state: optional(choice(['present', 'absent'], 'Whether the file sets it. Default present.')),
    sysctl_file: optional(path('The file that keeps it over a reboot. Default /etc/sysctl.conf.')),
    reload: optional(flag('Sets the running kernel too. Default true.')),
    sysctl_set: optional(flag('Sets the running kernel even with reload: false.')),
    ignoreerrors: optional(flag('A parameter that the kernel does not have is only written to the file.')),
    if_present: optional(flag('A parameter that the kernel does not have is left out, of the file too.')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly inUse: string | undefined;
  readonly file: FileState;
  readonly content: Content;
  readonly parent: FileState;
  readonly me: Identity;
}

/** Ansible's `sysctl`. */
export const sysctlStep = defineStep<typeof args, Seen>({
  name: 'sysctl',
  summary: 'A kernel parameter has a value, in the running kernel and after a reboot.',
  args,
  examples: [
    `- sysctl:
    name: net.ipv4.ip_forward
    value: 1
    sysctl_file: /etc/sysctl.d/90-k3s.conf`,
  ],
  look(args) {
    const file = args.sysctl_file ?? '/etc/sysctl.conf';
    return {
      inUse: ask(sysctlInUse(args.name)),
      file: ask(fileAt(file)),
      content: ask(contentOf(file)),
      parent: ask(fileAt(posix.dirname(file))),
      me: ask(identity),
    };
  },
  plan(seen, args): Plan<Seen> {
    const file = args.sysctl_file ?? '/etc/sysctl.conf';
    const isPresent = args.state !== 'absent';
    if (isPresent && args.value === undefined)
      return refuse('a value is missing', 'Add value: or set state: absent.');
    if (isPresent && args.if_present === true && seen.inUse === undefined)
      return unchanged(`the running kernel has no parameter ${args.name}`);
    const value = normalSysctlValue(args.value ?? '');
    const before = seen.content.text ?? '';
    if (seen.file.followed !== undefined && seen.content.text === undefined) {
      return refuse(`${file} is no text file of at most 256 KiB`, 'Choose another sysctl_file.');
    }
    const text = withSetting(before, args.name, isPresent ? value : undefined);
    const actions: Action[] = [];
    const because: string[] = [];
    const diff: Diff[] = [];
    let after: Partial<Seen> = {};
    if (text !== before) {
      const landing = landFile(seen, { path: file, content: text, follow: true });
      if (landing.verdict === 'refuse') return landing;
      if (landing.verdict === 'change') {
        actions.push(...landing.actions);
        because.push(isPresent ? `${file} does not set it to ${value}` : `${file} sets it`);
        diff.push(...(landing.diff ?? []));
        after = landing.after;
      }
    }
    const setsRunning = isPresent && (args.reload !== false || args.sysctl_set === true);
    if (setsRunning && seen.inUse === undefined && args.ignoreerrors !== true) {
      return refuse(
        `the running kernel has no parameter ${args.name}`,
        'Load the module it belongs to first (kernel_module: br_netfilter), correct the name, or set ignoreerrors: true.',
      );
    }
    if (setsRunning && seen.inUse !== undefined && seen.inUse !== value) {
      because.push(`it is ${seen.inUse}, not ${value}`);
      diff.push({ subject: `sysctl ${args.name}`, before: seen.inUse, after: value });
      actions.push({
        kind: 'run',
        what: `set ${args.name} to ${value}`,
        script: sh`printf '%s\\n' ${value} >${sysctlPath(args.name)}`,
      });
      after = { ...after, inUse: value };
    }
    const [first, ...rest] = actions;
    if (first === undefined) {
      return unchanged(isPresent ? `${args.name} is ${value}` : `${file} does not set ${args.name}`);
    }
    return change(`${args.name}: ${because.join(', ')}`, [first, ...rest], { diff, after });
  },
});

/** A sysctl file with one parameter set (or not set at all); its last line counts, so earlier ones of it go. */
export function withSetting(content: string, name: string, value: string | undefined): string {
  const same = sysctlPath(name);
  const kept: string[] = [];
  let isSet = false;
  const all = content === '' ? [] : content.replace(/\n$/, '').split('\n');
  const places = all.map((line) => {
    const match = /^\s*-?\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line);
    return match?.[1] !== undefined && sysctlPath(match[1]) === same
      ? normalSysctlValue(match[2] ?? '')
      : undefined;
  });
  const last = places.findLastIndex((place) => place !== undefined);
  all.forEach((line, index) => {
    if (places[index] === undefined) kept.push(line);
    else if (index === last && value !== undefined) {
      kept.push(places[index] === value ? line : `${name}=${value}`);
      isSet = true;
    }
  });
  if (!isSet && value !== undefined) kept.push(`${name}=${value}`);
  const text = kept.join('\n');
  return text === '' ? '' : `${text}\n`;
}
