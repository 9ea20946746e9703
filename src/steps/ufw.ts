import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type UfwState, ufwState } from '../facts/firewall.ts';
import { choice, flag, optional, text, whole } from './arguments.ts';

const args = Type.Object(
  {
    state: optional(
      choice(
        ['enabled', 'disabled', 'reloaded', 'reset'],
        'Whether the firewall works; reloaded and reset act on every run.',
      ),
    ),
    rule: optional(choice(['allow', 'deny', 'reject', 'limit'], 'What a rule does.')),
    port: optional(text('Port or ports: 6443, 30000:32767, 80,443.', { aliases: ['to_port'] })),
    proto: optional(
      choice(['any', 'tcp', 'udp', 'ipv6', 'esp', 'ah', 'gre', 'igmp'], 'Protocol. Default any.', {
        aliases: ['protocol'],
      }),
    ),
    from_ip: optional(text('Where from: an address or network. Default any.', { aliases: ['from', 'src'] })),
    from_port: optional(text('Port it comes from.')),
    to_ip: optional(text('Where to. Default any.', { aliases: ['to', 'dest'] })),
    direction: optional(
      choice(
        ['in', 'out', 'incoming', 'outgoing', 'routed'],
        'Direction; with default, of the default policy.',
      ),
    ),
    interface: optional(text('Only on this interface.', { aliases: ['if'] })),
    interface_in: optional(text('Only what comes in on this interface.', { aliases: ['if_in'] })),
    interface_out: optional(text('Only what goes out on this interface.', { aliases: ['if_out'] })),
    log: optional(flag('What matches the rule is logged.')),
    insert: optional(
      whole('The place of a new rule among all, from 1; a rule that is there stays in its place.', {
        minimum: 1,
      }),
    ),
    name: optional(text('An application profile, for instance OpenSSH.', { aliases: ['app'] })),
    default: optional(
      choice(
        ['allow', 'deny', 'reject'],
        'The default policy, of incoming unless direction says otherwise.',
        { aliases: ['policy'] },
      ),
    ),
    logging: optional(choice(['on', 'off', 'low', 'medium', 'high', 'full'], 'How much is logged.')),
    delete: optional(flag('Removes the rule.')),
    comment: optional(text('A comment on the rule.')),
    route: optional(flag('The rule is for forwarded traffic.')),
  },
  { additionalProperties: false },
);

type Seen = { readonly ufw: UfwState };

/** community.general's `ufw`. */
export const ufwStep = defineStep<typeof args, Seen>({
  name: 'ufw',
  summary: 'ufw has a rule, a default policy, or is on or off.',
  args,
  examples: [`- ufw: rule=allow port=6443 proto=tcp from=10.0.0.0/24`, `- ufw: state=enabled default=deny`],
  look: () => ({ ufw: ask(ufwState) }),
  plan(seen, args): Plan<Seen> {
    const { ufw } = seen;
    if (!ufw.installed) {
      return args.state === 'disabled'
        ? unchanged('ufw is not installed')
        : refuse('ufw is not installed', 'Install it first: package: name=ufw.');
    }
    if (args.port !== undefined && !/^[\d:,]+$/.test(args.port)) {
      return refuse(
        `port ${args.port} is no number`,
        'ufw lists rules by number, so write port: 22 and proto: tcp.',
      );
    }
    const actions: Action[] = [];
    const because: string[] = [];
    let imperative = false;
    const act = (why: string, words: readonly string[]) => {
      because.push(why);
      actions.push({ kind: 'run', what: `ufw ${words.join(' ')}`, script: sh`ufw ${words}` });
    };
    if (
      args.logging !== undefined &&
      args.logging !== ufw.logging &&
      !(args.logging === 'on' && ufw.logging !== 'off')
    ) {
      act(`logging is ${ufw.logging || 'unknown'}`, ['logging', args.logging]);
    }
    if (args.default !== undefined) {
      const direction = {
        in: 'incoming',
        incoming: 'incoming',
        out: 'outgoing',
        outgoing: 'outgoing',
        routed: 'routed',
      }[args.direction ?? 'in'];
      const now = { incoming: ufw.defaultIncoming, outgoing: ufw.defaultOutgoing, routed: ufw.defaultRouted }[
        direction
      ];
      if (now !== args.default)
        act(`the default for ${direction} is ${now || 'unknown'}`, ['default', args.default, direction]);
    }
    if (args.rule !== undefined) {
      const rule = ruleWords(args, args.rule);
      const listed = listedAs(args, args.rule);
      const isThere = ufw.added.some(
        (line) => withoutComment(line) === listed || withoutComment(line) === rule.join(' '),
      );
      const route = args.route === true ? ['route'] : [];
      if (args.delete === true && isThere) act(`the rule is there: ${listed}`, [...route, 'delete', ...rule]);
      if (args.delete !== true && !isThere) {
        act(`there is no rule ${listed}`, [
          ...route,
          ...(args.insert === undefined ? [] : ['insert', String(args.insert)]),
          ...rule,
          ...(args.comment === undefined ? [] : ['comment', args.comment]),
        ]);
      }
    }
    if (args.state === 'enabled' && !ufw.active) act('ufw is off', ['--force', 'enable']);
    if (args.state === 'disabled' && ufw.active) act('ufw is on', ['disable']);
    if (args.state === 'reloaded' || args.state === 'reset') {
      act(
        `a ${args.state === 'reset' ? 'reset' : 'reload'} is asked for`,
        args.state === 'reset' ? ['--force', 'reset'] : ['reload'],
      );
      imperative = true;
    }
    const [first, ...rest] = actions;
    if (first === undefined) return unchanged('ufw is as wanted', { active: ufw.active });
    return change(because.join('; '), [first, ...rest], {
      touches: ['firewall:*'],
      ...(imperative ? { imperative: true as const } : {}),
    });
  },
});

interface RuleArgs {
  readonly port?: string;
  readonly proto?: string;
  readonly from_ip?: string;
  readonly from_port?: string;
  readonly to_ip?: string;
  readonly direction?: string;
  readonly interface?: string;
  readonly interface_in?: string;
  readonly interface_out?: string;
  readonly log?: boolean;
  readonly name?: string;
}

/** `in on eth0 out on eth1 log`: what stands between the verb of a rule and its addresses. */
function passageWords(args: RuleArgs): {
  readonly direction?: 'in' | 'out';
  readonly words: readonly string[];
} {
  const direction =
    args.direction === undefined ? undefined : args.direction.startsWith('out') ? 'out' : 'in';
  const log = args.log === true ? ['log'] : [];
  const interfaces = [
    ...(args.interface_in === undefined ? [] : ['in', 'on', args.interface_in]),
    ...(args.interface_out === undefined ? [] : ['out', 'on', args.interface_out]),
  ];
  if (interfaces.length > 0) return { words: [...interfaces, ...log] };
  if (args.interface !== undefined) return { words: [direction ?? 'in', 'on', args.interface, ...log] };
  return { ...(direction === undefined ? {} : { direction }), words: log };
}

/** The long form of a rule, which ufw takes for every rule. */
function ruleWords(args: RuleArgs, rule: string): readonly string[] {
  const passage = passageWords(args);
  const way = [...(passage.direction === undefined ? [] : [passage.direction]), ...passage.words];
  if (args.name !== undefined)
    return [
      rule,
      ...way,
      ...(args.from_ip === undefined ? [args.name] : ['from', args.from_ip, 'to', 'any', 'app', args.name]),
    ];
  return [
    rule,
    ...way,
    'from',
    args.from_ip ?? 'any',
    ...(args.from_port === undefined ? [] : ['port', args.from_port]),
    'to',
    args.to_ip ?? 'any',
    ...(args.port === undefined ? [] : ['port', args.port]),
    ...(args.proto === undefined || args.proto === 'any' ? [] : ['proto', args.proto]),
  ];
}

/** As `ufw show added` prints it: short where it can be (`allow 6443/tcp`), long where an address is in it. */
export function listedAs(args: RuleArgs, rule: string): string {
  const any = (address: string | undefined) => address === undefined || address === 'any';
  const { direction, words } = passageWords(args);
  const way = [...(direction === 'out' ? ['out'] : []), ...words];
  const anywhere = (args.interface ?? args.interface_in ?? args.interface_out) === undefined;
  const proto = args.proto === undefined || args.proto === 'any' ? undefined : args.proto;
  if (args.name !== undefined && any(args.from_ip)) return [rule, ...way, args.name].join(' ');
  if (
    any(args.from_ip) &&
    any(args.to_ip) &&
    args.from_port === undefined &&
    anywhere &&
    args.port !== undefined
  ) {
    return [rule, ...way, `${args.port}${proto === undefined ? '' : `/${proto}`}`].join(' ');
  }
  return [
    rule,
    ...way,
    ...(any(args.from_ip) && args.from_port === undefined ? [] : ['from', args.from_ip ?? 'any']),
    ...(args.from_port === undefined ? [] : ['port', args.from_port]),
    ...(any(args.to_ip) && args.port === undefined && args.name === undefined
      ? []
      : ['to', args.to_ip ?? 'any']),
    ...(args.port === undefined ? [] : ['port', args.port]),
    ...(args.name === undefined ? [] : ['app', args.name]),
    ...(proto === undefined ? [] : ['proto', proto]),
  ].join(' ');
}

function withoutComment(line: string): string {
  return line.replace(/^route /, '').replace(/ comment '.*'$/, '');
}
