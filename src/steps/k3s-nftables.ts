import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { posix } from 'node:path';
import { lines, type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { change, refuse, unchanged } from '../engine/step.ts';
import { ownPrefix } from '../facts/k3s-firewall.ts';
import { type BaseChain, fragmentPath, type K3sNftables } from '../facts/k3s-nftables.ts';
import { portText } from '../k3s/network-needs.ts';
import { type FirewallNeeds, type FirewallPart, openingText } from './k3s-firewall-needs.ts';

const include = `include "${fragmentPath}"`;
const noted = `# The ports that k3s needs, by fleet.\n${include}\n`;

/** Where sudo sets no path, as on Arch, it is that of the login user. */
const withSbin = sh`PATH=$PATH:/sbin:/usr/sbin`;

/** Whether nftables filters by rules of its own. */
export function nftablesFilters(nftables: K3sNftables): boolean {
  return nftables.chains.some(({ hook }) => hook === 'input');
}

/**
 * Rules at the head of the user's own chains: a packet that another table accepts would still be dropped there. They stand in a file
 * that the configuration includes once; what is in use is exchanged in one transaction, and nothing else is loaded anew, for that
 * would take away the rules of running pods.
 */
export function planNftables(nftables: K3sNftables, needs: FirewallNeeds): FirewallPart {
  const { config } = nftables;
  if (config === undefined) {
    return refuse(
      'nftables filters, but its rules are in none of the files that distributions load at boot',
      'Open the ports where your rules are kept (manage_firewall: check lists them).',
    );
  }
  const wanted = fragmentOf(nftables.chains, needs);
  const isIncluded = includes(config.text);
  const isWritten = nftables.fragment === wanted.text;
  if (isWritten && isIncluded && inUse(nftables, wanted)) return unchanged('nftables lets in what k3s needs');
  const because = [
    ...(isWritten ? [] : [`${fragmentPath} is not what k3s needs`]),
    ...(isIncluded ? [] : [`${config.path} does not include it`]),
    ...(isWritten && !inUse(nftables, wanted) ? ['nftables does not use what is on disk'] : []),
  ];
  const actions: Action[] = [];
  if (!isWritten) {
    actions.push(
      {
        kind: 'run',
        what: `make ${posix.dirname(fragmentPath)}`,
        script: sh`mkdir -p ${posix.dirname(fragmentPath)}`,
      },
      { kind: 'write', path: fragmentPath, content: wanted.text, mode: '0644', owner: 'root', group: 'root' },
    );
  }
  if (!isIncluded)
    actions.push(
      configWith(config.path, sh`printf %s ${noted} >>"$c.fleet~"`, `include it in ${config.path}`),
    );
  actions.push({
    kind: 'run',
    what: `${wanted.rules.length} rules into nftables`,
    script: lines(sh`set -e`, withSbin, sh`{ ${deletions}; cat ${fragmentPath}; } | nft -f -`),
    survives: true,
  });
  const [first, ...rest] = actions;
  if (first === undefined) return unchanged('nftables lets in what k3s needs');
  return change<never>(because.join('; '), [first, ...rest], {
    diff: isWritten ? [] : [{ subject: fragmentPath, before: nftables.fragment, after: wanted.text }],
  });
}

/** fleet's rules and its file go; the configuration is as it was before. */
export function planWithoutNftables(nftables: K3sNftables): FirewallPart {
  const { config, fragment, marks } = nftables;
  const isNoted = config?.text.includes(include) === true;
  if (fragment === undefined && marks.length === 0 && !isNoted)
    return unchanged('nftables has nothing of fleet');
  const actions: Action[] = [
    ...(isNoted && config !== undefined
      ? [
          configWith(
            config.path,
            sh`grep -v -x -F -e ${include} -e ${noted.split('\n')[0] ?? ''} "$c" >"$c.fleet~" || true`,
            `take it out of ${config.path}`,
          ),
        ]
      : []),
    ...(marks.length > 0
      ? [
          {
            kind: 'run' as const,
            what: `${marks.length} rules out of nftables`,
            script: lines(sh`set -e`, withSbin, sh`${deletions} | nft -f -`),
            survives: true as const,
          },
        ]
      : []),
    { kind: 'remove', path: fragmentPath },
    {
      kind: 'run',
      what: 'remove its folder where it is empty',
      script: sh`rmdir ${posix.dirname(fragmentPath)} 2>/dev/null; true`,
    },
  ];
  const [first, ...rest] = actions;
  if (first === undefined) return unchanged('nftables has nothing of fleet');
  return change<never>(`${marks.length} rules of fleet are in nftables`, [first, ...rest], {
    diff: [{ subject: fragmentPath, before: fragment, after: undefined }],
  });
}

/** What nftables may not let in: its rules are not read one by one, so everything where a chain drops by default. */
export function blockedByNftables(nftables: K3sNftables, needs: FirewallNeeds): readonly string[] {
  const drops = nftables.chains.some(({ hook, policy }) => hook === 'input' && policy === 'drop');
  if (!drops || inUse(nftables, fragmentOf(nftables.chains, needs))) return [];
  return [
    ...needs.openings.map((opening) => `${openingText(opening)} from ${opening.sources.join(', ')}`),
    `everything from ${[...needs.pods, ...needs.services].join(', ')}`,
  ];
}

/** The statements that delete every rule with fleet's mark, by their handles. */
const deletions: ShellScript = sh`nft -a list ruleset | awk ${`$1 == "table" { family = $2; table = $3 } $1 == "chain" { chain = $2 } index($0, "comment \\"${ownPrefix} ") { print "delete rule " family " " table " " chain " handle " $NF }`}`;

/** Changes a copy of the configuration, which must be valid before it takes the place of the file. */
function configWith(path: string, edit: ShellScript, what: string): Action {
  return {
    kind: 'run',
    what,
    script: lines(
      withSbin,
      sh`set -e; c=${path}; trap 'rm -f "$c.fleet~"' EXIT`,
      sh`cp -p "$c" "$c.fleet~"`,
      edit,
      sh`nft -c -f "$c.fleet~"`,
      sh`mv -f "$c.fleet~" "$c"`,
    ),
    survives: true,
  };
}

function includes(config: string): boolean {
  return /^\s*include\s+"\/etc\/nftables\.d\/(?:\*\.nft|\*|fleet-k3s\.nft)"/m.test(config);
}

interface Fragment {
  readonly rules: readonly string[];
  readonly mark: string;
  readonly text: string;
}

function inUse(nftables: K3sNftables, wanted: Fragment): boolean {
  return (
    nftables.marks.length === wanted.rules.length && nftables.marks.every((mark) => mark === wanted.mark)
  );
}

function fragmentOf(chains: readonly BaseChain[], needs: FirewallNeeds): Fragment {
  const rules = chains.flatMap((chain) => {
    const matches = chain.hook === 'input' ? inputMatches(needs) : forwardMatches(needs);
    return matches
      .filter(({ family }) => family === undefined || chain.family === 'inet' || chain.family === family)
      .map(({ text }) => `insert rule ${chain.family} ${chain.table} ${chain.chain} ${text} accept`);
  });
  const mark = createHash('sha256').update(rules.join('\n')).digest('hex').slice(0, 12);
  const marked = rules.map((rule) => `${rule} comment "${ownPrefix} ${mark}"\n`);
  return { rules, mark, text: `# Written by fleet: what k3s needs of this node.\n${marked.join('')}` };
}

interface Match {
  /** Which addresses it compares; `undefined` for none. */
  readonly family: 'ip' | 'ip6' | undefined;
  readonly text: string;
}

function inputMatches(needs: FirewallNeeds): readonly Match[] {
  const byKey = new Map<string, { sources: readonly string[]; protocol: string; ports: string[] }>();
  for (const opening of needs.openings) {
    const key = `${opening.protocol} ${opening.sources.join(',')}`;
    const entry = byKey.get(key) ?? { sources: opening.sources, protocol: opening.protocol, ports: [] };
    entry.ports.push(portText(opening));
    byKey.set(key, entry);
  }
  const ports = [...byKey.values()].flatMap(({ sources, protocol, ports: each }): readonly Match[] => {
    const port = `${protocol} dport { ${[...new Set(each)].join(', ')} }`;
    if (sources.includes('any')) return [{ family: undefined, text: port }];
    return addressed('saddr', sources).map(({ family, text }) => ({ family, text: `${text} ${port}` }));
  });
  return [...ports, ...addressed('saddr', [...new Set([...needs.pods, ...needs.services])])];
}

function forwardMatches(needs: FirewallNeeds): readonly Match[] {
  return [...addressed('saddr', needs.pods), ...addressed('daddr', needs.pods)];
}

function addressed(side: 'saddr' | 'daddr', networks: readonly string[]): readonly Match[] {
  return (['ip', 'ip6'] as const).flatMap((family) => {
    const own = networks.filter((network) => isIPv6(network.split('/')[0] ?? '') === (family === 'ip6'));
    return own.length === 0 ? [] : [{ family, text: `${family} ${side} { ${own.join(', ')} }` }];
  });
}
