import { isIPv6 } from 'node:net';
import { lines, type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { change, type Diff, unchanged } from '../engine/step.ts';
import type { UfwState } from '../facts/firewall.ts';
import { ownPrefix } from '../facts/k3s-firewall.ts';
import { holdsNetwork, normalNetwork, portText } from '../k3s/network-needs.ts';
import {
  type FirewallNeeds,
  type FirewallPart,
  openingText,
  type ResolvedOpening,
} from './k3s-firewall-needs.ts';

/** One rule of ufw, from its listing or wanted. Ports are ranges; none means all. */
export interface UfwRule {
  readonly route: boolean;
  readonly action: string;
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly ports: readonly { readonly first: number; readonly last: number }[];
  readonly comment: string;
  /** Says something that this reading leaves out: an interface, outgoing traffic, an application profile. */
  readonly special: boolean;
  /** As `ufw show added` has it, without the comment. */
  readonly listed: string;
}

/** ufw gets rules that carry fleet's name; a rule of somebody else that says the same is left to serve. */
export function planUfw(ufw: UfwState, needs: FirewallNeeds, ipv6: boolean): FirewallPart {
  const present = ufw.added.map(readUfwRule);
  const wanted = ufwRules(needs, ipv6);
  const keys = new Map(wanted.map((rule) => [keyOf(rule), rule]));
  const there = new Set(present.filter((rule) => !rule.special).map(keyOf));
  const missing = [...keys].filter(([key]) => !there.has(key)).map(([, rule]) => rule);
  const obsolete =
    needs.unknown.length > 0 ? [] : present.filter((rule) => isOwn(rule) && !keys.has(keyOf(rule)));
  const stillBlocked = blockedByUfw(
    { ...ufw, added: [...ufw.added, ...missing.map((rule) => `${rule.listed} comment '${rule.comment}'`)] },
    needs,
    ipv6,
  );
  const note =
    stillBlocked.length === 0
      ? ''
      : `; warning: rules that are not fleet's still block ${stillBlocked.join(', ')}`;
  if (missing.length + obsolete.length === 0) return unchanged(`ufw lets in what k3s needs${note}`);
  const because = [
    ...(missing.length > 0
      ? [`ufw lacks ${missing.length} ${missing.length === 1 ? 'rule' : 'rules'} that k3s needs`]
      : []),
    ...(obsolete.length > 0
      ? [`${obsolete.length} of fleet's rules in ufw ${obsolete.length === 1 ? 'is' : 'are'} needed no more`]
      : []),
  ];
  const script = lines(
    sh`set -e`,
    ...missing.map(
      (rule) => sh`ufw ${[...(rule.route ? ['route'] : []), ...wordsOf(rule), 'comment', rule.comment]}`,
    ),
    ...obsolete.map(deletion),
  );
  const action: Action = {
    kind: 'run',
    what: `${missing.length} rules into ufw, ${obsolete.length} out of it`,
    script,
    survives: true,
  };
  return change<never>(`${because.join('; ')}${note}`, [action], {
    diff: [diffOf(present, missing, obsolete)],
  });
}

/** Rules that carry fleet's name go, whether ufw works or not. */
export function planWithoutUfw(ufw: UfwState): FirewallPart {
  const present = ufw.added.map(readUfwRule);
  const own = present.filter(isOwn);
  if (own.length === 0) return unchanged('ufw has no rule of fleet');
  return change<never>(
    `${own.length} rules of fleet are in ufw`,
    [
      {
        kind: 'run',
        what: `${own.length} rules out of ufw`,
        script: lines(sh`set -e`, ...own.map(deletion)),
        survives: true,
      },
    ],
    { diff: [diffOf(present, [], own)] },
  );
}

function deletion(rule: UfwRule): ShellScript {
  const words = rule.listed.replace(/^route /, '').split(' ');
  return rule.route ? sh`ufw route delete ${words}` : sh`ufw delete ${words}`;
}

function diffOf(present: readonly UfwRule[], more: readonly UfwRule[], less: readonly UfwRule[]): Diff {
  const own = present.filter(isOwn);
  const text = (rules: readonly UfwRule[]) => rules.map((rule) => `${rule.listed}\n`).join('');
  const after = text([...own.filter((rule) => !less.includes(rule)), ...more]);
  return {
    subject: "fleet's rules in ufw",
    before: own.length === 0 ? undefined : text(own),
    after: after === '' ? undefined : after,
  };
}

/** The wanted rules: one per source and protocol, for ufw has no sets of addresses. */
export function ufwRules(needs: FirewallNeeds, ipv6: boolean): readonly UfwRule[] {
  const bySource = new Map<string, ResolvedOpening[]>();
  for (const opening of needs.openings)
    for (const source of opening.sources) {
      const key = `${source} ${opening.protocol}`;
      bySource.set(key, [...(bySource.get(key) ?? []), opening]);
    }
  const rules = [...bySource].map(([key, openings]): UfwRule => {
    const [from = '', protocol = ''] = key.split(' ');
    const ports = openings
      .map(({ first, last }) => ({ first, last }))
      .sort((one, other) => one.first - other.first);
    const what = [...new Set(openings.map((opening) => opening.what))].join(' ');
    return rule({ from, protocol, ports, comment: `${ownPrefix} ${what}` });
  });
  const trusted = [...needs.pods, ...needs.services].map((from) =>
    rule({ from, comment: `${ownPrefix} ${needs.pods.includes(from) ? 'pods' : 'services'}` }),
  );
  const routed = needs.pods.flatMap((network) => [
    rule({ route: true, from: network, comment: `${ownPrefix} pods` }),
    rule({ route: true, to: network, comment: `${ownPrefix} pods` }),
  ]);
  return [...rules, ...trusted, ...routed].filter((each) => ipv6 || !isOfIpv6(each));
}

function rule(parts: Partial<UfwRule> & Pick<UfwRule, 'comment'>): UfwRule {
  const whole = {
    route: false,
    action: 'allow',
    from: 'any',
    to: 'any',
    protocol: 'any',
    ports: [],
    special: false,
    ...parts,
  };
  return { ...whole, listed: [...(whole.route ? ['route'] : []), ...wordsOf(whole)].join(' ') };
}

function wordsOf(rule: Omit<UfwRule, 'listed'>): readonly string[] {
  return [
    ...['allow', 'from', rule.from, 'to', rule.to],
    ...(rule.ports.length === 0 ? [] : ['port', rule.ports.map((ports) => portText(ports, ':')).join(',')]),
    ...(rule.protocol === 'any' ? [] : ['proto', rule.protocol]),
  ];
}

function isOfIpv6(rule: UfwRule): boolean {
  return [rule.from, rule.to].some((address) => isIPv6(address.split('/')[0] ?? ''));
}

function isOwn(rule: UfwRule): boolean {
  return rule.comment === ownPrefix || rule.comment.startsWith(`${ownPrefix} `);
}

function keyOf(rule: UfwRule): string {
  const ports = rule.ports.map((each) => portText(each)).sort();
  return [rule.route, rule.action, rule.from, rule.to, rule.protocol, ...ports].join(' ');
}

/** A line of `ufw show added`: `allow from 10.0.0.3 to any port 2379:2380,10250 proto tcp comment 'x'`, `allow 22/tcp`. */
export function readUfwRule(line: string): UfwRule {
  const comment = / comment '(.*)'$/.exec(line)?.[1] ?? '';
  const listed = line.replace(/ comment '.*'$/, '');
  const words = listed.split(' ');
  const route = words[0] === 'route';
  if (route) words.shift();
  const action = words.shift() ?? '';
  const read = { from: 'any', to: 'any', protocol: 'any', ports: '' };
  let special = false;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === 'in') continue;
    if (word === 'from') read.from = words.shift() ?? 'any';
    else if (word === 'to') read.to = words.shift() ?? 'any';
    else if (word === 'proto') read.protocol = words.shift() ?? 'any';
    else if (word === 'port' && read.ports === '') read.ports = words.shift() ?? '';
    else if (/^[\d:,]+(?:\/\w+)?$/.test(word)) {
      [read.ports = '', read.protocol = 'any'] = word.split('/');
    } else special = true;
  }
  const ports = read.ports.split(',').flatMap((text) => {
    const [first, last] = text.split(':').map(Number);
    return first === undefined || Number.isNaN(first) || first === 0 ? [] : [{ first, last: last ?? first }];
  });
  return {
    route,
    action,
    from: read.from === 'any' ? 'any' : (normalNetwork(read.from) ?? read.from),
    to: read.to === 'any' ? 'any' : (normalNetwork(read.to) ?? read.to),
    protocol: read.protocol,
    ports,
    comment,
    special,
    listed,
  };
}

/** What ufw as it is would not let in. The first rule that fits decides, as in ufw; rules for single interfaces are not judged. */
export function blockedByUfw(ufw: UfwState, needs: FirewallNeeds, ipv6: boolean): readonly string[] {
  if (ufw.defaultIncoming === 'allow') return [];
  const rules = ufw.added.map(readUfwRule).filter((rule) => !rule.special);
  const isLetIn = (source: string, protocol: string, first: number, last: number): boolean => {
    const deciding = rules.find(
      (rule) =>
        !rule.route &&
        rule.to === 'any' &&
        holdsNetwork(rule.from, source) &&
        (rule.protocol === 'any' || rule.protocol === protocol) &&
        (rule.ports.length === 0 || rule.ports.some((ports) => ports.first <= first && ports.last >= last)),
    );
    return deciding !== undefined && (deciding.action === 'allow' || deciding.action === 'limit');
  };
  const judged = (source: string): boolean => ipv6 || !isIPv6(source.split('/')[0] ?? '');
  const ports = needs.openings.flatMap((opening) => {
    const out = opening.sources
      .filter(judged)
      .filter((source) => !isLetIn(source, opening.protocol, opening.first, opening.last));
    return out.length === 0 ? [] : [`${openingText(opening)} from ${out.join(', ')}`];
  });
  const networks = [...needs.pods, ...needs.services]
    .filter(judged)
    .filter((network) => !isLetIn(network, 'any', 0, 65535));
  return [...ports, ...(networks.length === 0 ? [] : [`everything from ${networks.join(', ')}`])];
}
