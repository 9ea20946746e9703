import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type FirewalldState, firewalldZone } from '../facts/firewall.ts';
import { anything, choice, flag, optional, text, whole } from './arguments.ts';

const args = Type.Object(
  {
    zone: optional(text('The zone. Default the default zone.')),
    service: optional(text('A service of firewalld, for instance ssh.')),
    port: optional(text('Port and protocol: 6443/tcp, 30000-32767/tcp.')),
    source: optional(text('A network: what comes from it is in the zone.')),
    interface: optional(text('An interface: what comes over it is in the zone.')),
    protocol: optional(text('A protocol.')),
    rich_rule: optional(text('A rule in the rich language.')),
    masquerade: optional(flag('Whether the zone masquerades.')),
    state: choice(['enabled', 'disabled', 'present', 'absent'], 'Whether it is let in.'),
    permanent: optional(
      flag('After a reload and reboot too. When firewalld is off, always. Default false, as in Ansible.'),
    ),
    immediate: optional(flag('Now. Default: when not permanent.')),
    offline: optional(anything('Ignored: the offline tool is used where firewalld is off.')),
    timeout: optional(whole('Ignored.')),
  },
  { additionalProperties: false },
);

type Seen = { readonly zone: FirewalldState };

/** ansible.posix's `firewalld`. */
export const firewalldStep = defineStep<typeof args, Seen>({
  name: 'firewalld',
  summary: 'A zone of firewalld lets something in, or not.',
  args,
  examples: [`- firewalld: port=6443/tcp permanent=true immediate=true state=enabled`],
  look: (args) => ({ zone: ask(firewalldZone(args.zone)) }),
  plan(seen, args): Plan<Seen> {
    const { zone } = seen;
    const isWanted = args.state === 'enabled' || args.state === 'present';
    if (!zone.installed) {
      return isWanted
        ? refuse('firewalld is not installed', 'Install it first, or leave this step out for this host.')
        : unchanged('firewalld is not installed');
    }
    const entry = entryOf(args);
    if (entry === undefined)
      return refuse(
        'nothing to let in is given',
        'Give service, port, source, interface, protocol, rich_rule or masquerade.',
      );
    const offline = !zone.running;
    const permanent = args.permanent === true || offline;
    const immediate = !offline && (args.immediate ?? !args.permanent);
    const of = args.zone === undefined ? [] : [`--zone=${args.zone}`];
    const option = `--${isWanted ? 'add' : 'remove'}-${entry.option}`;
    const actions: Action[] = [];
    const because: string[] = [];
    if (permanent && zone.permanent.has(entry.listed) !== isWanted) {
      because.push(`${entry.listed} is ${isWanted ? 'not let in' : 'let in'} after a reload`);
      actions.push({
        kind: 'run',
        what: `${isWanted ? 'let in' : 'keep out'} ${entry.listed}, permanently`,
        script: offline
          ? sh`firewall-offline-cmd ${of} ${option}`
          : sh`firewall-cmd -q --permanent ${of} ${option}`,
      });
    }
    if (immediate && zone.inUse.has(entry.listed) !== isWanted) {
      because.push(`${entry.listed} is ${isWanted ? 'not let in' : 'let in'}`);
      actions.push({
        kind: 'run',
        what: `${isWanted ? 'let in' : 'keep out'} ${entry.listed}`,
        script: sh`firewall-cmd -q ${of} ${option}`,
      });
    }
    const [first, ...rest] = actions;
    if (first === undefined) return unchanged(`${entry.listed} is ${isWanted ? 'let in' : 'not let in'}`);
    const set = (now: ReadonlySet<string>) =>
      isWanted ? new Set([...now, entry.listed]) : new Set([...now].filter((one) => one !== entry.listed));
    return change(because.join('; '), [first, ...rest], {
      after: {
        zone: {
          ...zone,
          ...(permanent ? { permanent: set(zone.permanent) } : {}),
          ...(immediate ? { inUse: set(zone.inUse) } : {}),
        },
      },
      touches: ['firewall:*'],
    });
  },
});

interface EntryArgs {
  readonly service?: string;
  readonly port?: string;
  readonly source?: string;
  readonly interface?: string;
  readonly protocol?: string;
  readonly rich_rule?: string;
  readonly masquerade?: boolean;
}

function entryOf(args: EntryArgs): { listed: string; option: string } | undefined {
  for (const kind of ['service', 'port', 'source', 'interface', 'protocol'] as const) {
    const value = args[kind];
    if (value !== undefined) return { listed: `${kind} ${value}`, option: `${kind}=${value}` };
  }
  if (args.rich_rule !== undefined)
    return { listed: `rich ${args.rich_rule.trim()}`, option: `rich-rule=${args.rich_rule.trim()}` };
  if (args.masquerade === true) return { listed: 'masquerade', option: 'masquerade' };
  return undefined;
}
