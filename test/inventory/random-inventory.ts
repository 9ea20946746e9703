/** A small reproducible generator of numbers, so that a difference found once can be found again. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** An integer of [0, sides). */
  roll(sides: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % sides;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.roll(items.length)] as T;
  }

  chance(percent: number): boolean {
    return this.roll(100) < percent;
  }
}

const GROUPS = ['server', 'agent', 'k3s_cluster', 'web', 'db', 'eu', 'zone-a', 'all', 'ungrouped', 'lonely'];
const HOSTS = [
  'node1',
  'node2',
  'n[1:3]',
  'db[a:c].example.org',
  'web[01:03]',
  'h[1:9:4]',
  '10.0.0.1',
  '10.0.0.[2:4]',
  'fd00::1',
  'srv:2222',
  'příbor',
  'x_y',
  '"quoted"',
];
const YAML_VALUES = [
  '1',
  '"1"',
  'yes',
  'no',
  '0644',
  '1.5',
  'v1.30.1+k3s1',
  '1:30',
  '~',
  'null',
  '""',
  "'it''s'",
  '"a\\tb"',
  '[1, two, {three: 3}]',
  '{a: 1, b: [x, y]}',
  '"{{ other }}"',
  '2024-01-01x',
  '0x1f',
  '1e3',
  '1_000',
  '.5',
  'a # comment',
  'a#b',
  '-1',
  'true ',
  'é',
  '!unsafe "{{ x }}"',
  '&anchor shared',
  '|\n{INDENT}  line one\n{INDENT}    line two\n',
  '>-\n{INDENT}  folded\n{INDENT}  text\n',
];
const INI_VALUES = [
  '1',
  'yes',
  'True',
  '"two words"',
  "'single'",
  '1.5',
  '[1,2]',
  "\"['a','b']\"",
  'a#b',
  '0644',
  '{{other}}',
  '"{{ other }}"',
  'None',
  '-5',
  '0x10',
  '\'"nested"\'',
  'a=b',
  'v1.30',
  '1_0',
  '"#x"',
  '1e3',
  'x;y',
  '12abc',
];
const NAMES = [
  'v1',
  'v2',
  'token',
  'ansible_host',
  'ansible_port',
  'k3s_version',
  'extra_server_args',
  'x-y',
];

/** Files of one random inventory, by path. The first is the inventory itself. */
export type InventoryFilesByPath = ReadonlyMap<string, string>;

export function randomInventory(dice: Dice): InventoryFilesByPath {
  const files = new Map<string, string>();
  if (dice.chance(55)) files.set('inventory.yml', randomYaml(dice));
  else files.set('hosts.ini', randomIni(dice));
  for (const group of ['all', 'server', 'web', 'k3s_cluster']) {
    if (dice.chance(15))
      files.set(`group_vars/${group}${dice.pick(['.yml', '', '.yaml', '/a.yml'])}`, randomVarsFile(dice));
  }
  for (const host of ['node1', 'n2', 'web02']) {
    if (dice.chance(15))
      files.set(`host_vars/${host}${dice.pick(['.yml', '', '.json/b.yml'])}`, randomVarsFile(dice));
  }
  return files;
}

function randomVarsFile(dice: Dice): string {
  const names = NAMES.filter(() => dice.chance(35));
  if (names.length === 0) return '---\n';
  return names.map((name) => `${name}: ${yamlValue(dice, '')}\n`).join('');
}

function yamlValue(dice: Dice, indent: string): string {
  const value = dice.pick(YAML_VALUES);
  // PyYAML refuses a second anchor of the same name.
  return value.replaceAll('{INDENT}', indent).replace('&anchor', () => `&a${dice.roll(1_000_000_000)}`);
}

function randomYaml(dice: Dice): string {
  const newline = dice.chance(10) ? '\r\n' : '\n';
  let text = dice.chance(50) ? '---\n' : '';
  const top = [...new Set(Array.from({ length: 1 + dice.roll(4) }, () => dice.pick(GROUPS)))];
  for (const group of top) text += yamlGroup(dice, group, '', 0);
  if (dice.chance(10)) text = text.trimEnd();
  return text.replaceAll('\n', newline);
}

function yamlGroup(dice: Dice, name: string, indent: string, depth: number): string {
  if (dice.chance(12)) return `${indent}${name}:\n`;
  let body = '';
  const inner = `${indent}  `;
  if (dice.chance(70)) {
    const hosts = [...new Set(Array.from({ length: dice.roll(4) }, () => dice.pick(HOSTS)))];
    body += `${inner}hosts:\n`;
    for (const host of hosts) {
      body += `${inner}  ${host}:\n`;
      for (const variable of NAMES.filter(() => dice.chance(15))) {
        body += `${inner}    ${variable}: ${yamlValue(dice, `${inner}    `)}\n`;
      }
    }
  }
  if (dice.chance(50)) {
    body += `${inner}vars:\n`;
    for (const variable of NAMES.filter(() => dice.chance(30))) {
      body += `${inner}  ${variable}: ${yamlValue(dice, `${inner}  `)}\n`;
    }
    if (dice.chance(15)) body += `${inner}  ansible_group_priority: ${dice.roll(20)}\n`;
  }
  if (depth < 3 && dice.chance(55)) {
    body += `${inner}children:\n`;
    const children = [...new Set(Array.from({ length: dice.roll(3) }, () => dice.pick(GROUPS)))];
    for (const child of children.filter(
      (other) => other !== name && other !== 'all' && other !== 'ungrouped',
    )) {
      body += yamlGroup(dice, child, `${inner}  `, depth + 1);
    }
  }
  if (dice.chance(5)) body += `${inner}oddity:\n${inner}  a: 1\n`;
  return `${indent}${name}:\n${body.replace(/\n\n/g, '\n')}`;
}

function randomIni(dice: Dice): string {
  let text = dice.chance(30) ? '# a comment\n; another\n\n' : '';
  const hostLine = (): string => {
    const host = dice.pick(HOSTS.filter((name) => !name.startsWith('"')));
    const vars = NAMES.filter(() => dice.chance(15)).map((name) => `${name}=${dice.pick(INI_VALUES)}`);
    return `${dice.chance(10) ? '  ' : ''}${[host, ...vars].join(dice.chance(20) ? '   ' : ' ')}${dice.chance(10) ? ' # note' : ''}\n`;
  };
  if (dice.chance(40)) text += hostLine();
  const groups = [...new Set(Array.from({ length: 1 + dice.roll(4) }, () => dice.pick(GROUPS)))];
  for (const group of groups) {
    text += `\n[${group}]${dice.chance(10) ? ' # hosts' : ''}\n`;
    for (let count = dice.roll(4); count > 0; count -= 1) text += hostLine();
  }
  for (const group of groups) {
    if (dice.chance(40)) {
      text += `\n[${group}:vars]\n`;
      for (const name of NAMES.filter(() => dice.chance(30))) {
        text += `${name}${dice.pick(['=', ' = '])}${dice.pick(INI_VALUES)}\n`;
      }
      if (dice.chance(15)) text += `ansible_group_priority=${dice.roll(9)}\n`;
    }
    if (dice.chance(30)) {
      text += `\n[${group}:children]\n`;
      for (const child of groups.filter((other) => other > group && dice.chance(50))) text += `${child}\n`;
    }
  }
  return dice.chance(10) ? text.replaceAll('\n', '\r\n') : text;
}
