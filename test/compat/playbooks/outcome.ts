/** What a run of a playbook came to, in terms of both tools. */
export interface Outcome {
  /** Nothing was begun: the playbook is wrong. */
  readonly refused: boolean;
  /** Hosts on which a task failed for good. */
  readonly failed: readonly string[];
  readonly unreachable: readonly string[];
  /** How many failures a block rescued, by host. */
  readonly rescued: Readonly<Record<string, number>>;
  /** By host, in order: `task [item]: status = what debug said`. */
  readonly tasks: Readonly<Record<string, readonly string[]>>;
  /** What stands in `out`. */
  readonly files: Readonly<Record<string, string>>;
}

/** A task or an item of its loop as it ended. */
export interface Ended {
  readonly host: string;
  readonly task: string;
  readonly item?: string | undefined;
  readonly status: string;
  /** What `debug` said. */
  readonly message?: string | undefined;
}

/**
 * By host, what changed something behind all that did not: fleet tells a change when it is done, which may be after tasks
 * behind it that change nothing. A loop of which every item was skipped counts as skipped as a whole, for that is how fleet
 * tells it; and of a host that was lost for good only that is compared, not at which task.
 */
export function tasksByHost(ended: readonly Ended[]): Outcome['tasks'] {
  const hosts = new Map<string, Ended[]>();
  for (const one of ended) hosts.set(one.host, [...(hosts.get(one.host) ?? []), one]);
  return Object.fromEntries(
    [...hosts].sort().flatMap(([host, its]) => {
      const all = joined(its.at(-1)?.status === 'unreachable' ? its.slice(0, -1) : its);
      const isChange = ({ status }: Ended): boolean => status === 'changed';
      const told = [...all.filter((one) => !isChange(one)), ...all.filter(isChange)].map(asText);
      return told.length === 0 ? [] : [[host, told]];
    }),
  );
}

function joined(ended: readonly Ended[]): readonly Ended[] {
  const groups: Ended[][] = [];
  for (const one of ended) {
    const last = groups.at(-1);
    if (one.item !== undefined && last?.[0]?.item !== undefined && last[0].task === one.task) last.push(one);
    else groups.push([one]);
  }
  return groups.flatMap((group) => {
    const [first] = group;
    if (first?.item === undefined || group.some(({ status }) => status !== 'skipped')) return group;
    return [{ host: first.host, task: first.task, status: 'skipped' }];
  });
}

function asText({ task, item, status, message: said }: Ended): string {
  // Of what failed, the tools say it in their own words.
  const message = status === 'failed' || status === 'ignored' ? undefined : said;
  return `${task}${item === undefined ? '' : ` [${item}]`}: ${status}${message === undefined ? '' : ` = ${message}`}`;
}

/** A value as both tools show it: keys in order, no spaces. */
export function shownValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(ordered(value));
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, ordered(inner)]),
  );
}
