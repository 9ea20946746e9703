import { NOT_LITERAL, parseLiteral } from '../jinja/literal.ts';
import { toPlain } from '../jinja/value.ts';
import { deepFreeze } from './deep-freeze.ts';
import type { Findings } from './findings.ts';
import { priorityOf } from './group-priority.ts';
import { expandHostPattern, HostRangeError } from './host-pattern.ts';
import type { InventoryDraft } from './inventory-draft.ts';
import { splitShellWords } from './shell-words.ts';
import type { SourceText } from './source-text.ts';

const SECTION = /^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?$/u;
const GROUP_NAME = /^([^:\]\s]+)\s*(?:#.*)?$/u;

type State = 'hosts' | 'children' | 'vars';

/** A group that was mentioned before its own section. */
interface Pending {
  readonly state: 'vars' | 'children';
  readonly offset: number;
  readonly parents: string[];
}

/** Reads an INI inventory into the draft as Ansible's ini plugin does. What is wrong goes to the findings. */
export function readIniInventory(source: SourceText, draft: InventoryDraft, findings: Findings): void {
  new IniReader(source, draft, findings).read();
}

/**
 * The value of an INI variable: what reads as a Python literal has its type (`5`, `True`, `[1, 2]`, `'quoted'`),
 * everything else is text, so `yes` and `true` are text here.
 */
export function iniValue(text: string): unknown {
  if (text.length > 100_000) return text;
  const value = parseLiteral(text);
  return value === NOT_LITERAL ? text : deepFreeze(toPlain(value));
}

class IniReader {
  readonly #pending = new Map<string, Pending>();
  #group = 'ungrouped';
  #state: State = 'hosts';

  constructor(
    readonly source: SourceText,
    readonly draft: InventoryDraft,
    readonly findings: Findings,
  ) {}

  read(): void {
    let offset = 0;
    for (const row of this.source.text.split(/(?<=\n)/)) {
      const indent = /^\s*/.exec(row)?.[0].length ?? 0;
      const line = row.trim();
      if (line !== '' && !line.startsWith('#') && !line.startsWith(';')) this.#line(line, offset + indent);
      offset += row.length;
    }
    for (const [name, pending] of this.#pending) {
      const parent = pending.parents.at(-1);
      this.#error(
        pending.offset,
        'INVENTORY_GROUP_UNKNOWN',
        pending.state === 'vars'
          ? `[${name}:vars] sets variables of group "${name}", which no section defines`
          : `[${parent ?? ''}:children] names group "${name}", which no section defines`,
        `Add a section [${name}], or correct the name.`,
      );
    }
  }

  #error(offset: number, code: string, message: string, fix: string): void {
    this.findings.error({ code, message, fix, where: this.source.place(offset) });
  }

  #line(line: string, offset: number): void {
    const section = SECTION.exec(line);
    if (section !== null) {
      this.#section(section[1] ?? '', section[2] ?? 'hosts', offset);
    } else if (line.startsWith('[') && (line.endsWith(']') || !line.includes(']'))) {
      this.#error(
        offset,
        'INI_SECTION',
        line.endsWith(']') ? `"${line}" is not a section` : `"${line}" is not closed by "]"`,
        'Write [name], [name:vars] or [name:children], without spaces.',
      );
    } else if (this.#state === 'hosts') this.#hosts(line, offset);
    else if (this.#state === 'vars') this.#variable(line, offset);
    else this.#child(line, offset);
  }

  #section(name: string, state: string, offset: number): void {
    if (state !== 'hosts' && state !== 'children' && state !== 'vars') {
      this.#error(
        offset,
        'INI_SECTION',
        `section [${name}:${state}] has an unknown type "${state}"`,
        'It can be hosts, vars or children.',
      );
      return;
    }
    this.#group = name;
    this.#state = state;
    const known = this.draft.groups.has(name);
    if (!known) {
      if (state === 'vars' && !this.#pending.has(name)) {
        this.#pending.set(name, { state: 'vars', offset, parents: [] });
      }
      this.draft.addGroup(name, this.source.place(offset));
    }
    const pending = this.#pending.get(name);
    if (pending !== undefined && state !== 'vars') {
      this.#pending.delete(name);
      if (pending.state === 'children')
        for (const parent of pending.parents) this.#addChild(parent, name, offset);
    }
  }

  #addChild(parent: string, child: string, offset: number): void {
    if (this.draft.addChild(parent, child) === 'loop') {
      this.#error(
        offset,
        'INVENTORY_GROUP_LOOP',
        `group "${child}" below "${parent}" makes a loop`,
        'A group cannot stand below itself, directly or through others.',
      );
    }
  }

  #hosts(line: string, offset: number): void {
    const split = splitShellWords(line);
    const [first, ...rest] = split?.words ?? [];
    if (split === undefined || first === undefined) {
      this.#error(
        offset,
        'INI_QUOTES',
        `a quote is not closed: ${line}`,
        'Close the quote, or escape it with a backslash.',
      );
      return;
    }
    if (split.cut?.includes('=')) {
      this.findings.warn({
        code: 'INI_COMMENT_IN_VALUE',
        message: `"${split.cut.split('=')[0] ?? ''}" ends at the "#", which starts a comment here`,
        fix: 'Put the whole value into quotes if the "#" belongs to it, or a space before a comment.',
        where: this.source.place(offset),
      });
    }
    const pattern = first.text;
    if (pattern === '---' || pattern === '') {
      this.#error(
        offset,
        'INVENTORY_NAME',
        `"${pattern}" is not a host name`,
        'Name a YAML inventory *.yml, or remove the line.',
      );
      return;
    }
    try {
      const { names, port } = expandHostPattern(pattern);
      if (pattern.endsWith(':') && port === undefined) {
        this.#error(
          offset,
          'INVENTORY_NAME',
          `host name "${pattern}" ends in ":"`,
          'Remove the ":", or write a port after it. Name a YAML inventory *.yml.',
        );
        return;
      }
      const vars = rest.flatMap(({ text, at }) => {
        const equals = text.indexOf('=');
        if (equals < 0) {
          this.#error(
            offset + at,
            'INI_VARIABLE',
            `"${text}" after host "${pattern}" is not name=value`,
            'Put quotes around a value with spaces: name="a b".',
          );
          return [];
        }
        const value = iniValue(text.slice(equals + 1));
        return [[text.slice(0, equals), { value, source: this.source, offset: offset + at }] as const];
      });
      const group = this.draft.addGroup(this.#group);
      const where = this.source.place(offset);
      for (const name of names) {
        const known = this.draft.hosts.has(name);
        const host = this.draft.addHost(name, group, where);
        if (port !== undefined && !known)
          host.vars.set('ansible_port', { value: port, source: this.source, offset });
        for (const [variable, written] of vars) host.vars.set(variable, written);
      }
    } catch (error) {
      if (!(error instanceof HostRangeError)) throw error;
      this.#error(
        offset,
        'INVENTORY_RANGE',
        `"${pattern}": ${error.message}`,
        'Write a range as node[1:3], node[01:10:2] or db[a:c].',
      );
    }
  }

  #variable(line: string, offset: number): void {
    const equals = line.indexOf('=');
    if (equals < 0) {
      this.#error(
        offset,
        'INI_VARIABLE',
        `"${line}" in [${this.#group}:vars] is not name=value`,
        'Write name=value.',
      );
      return;
    }
    const name = line.slice(0, equals).trim();
    const value = iniValue(line.slice(equals + 1).trim());
    const group = this.draft.addGroup(this.#group);
    if (name === 'ansible_group_priority') {
      const priority = priorityOf(value);
      if (priority === undefined) {
        this.#error(
          offset,
          'INVENTORY_PRIORITY',
          'ansible_group_priority must be a whole number',
          'Write a number such as 10.',
        );
      } else group.priority = priority;
      return;
    }
    group.vars.set(name, { value, source: this.source, offset });
  }

  #child(line: string, offset: number): void {
    const name = GROUP_NAME.exec(line)?.[1];
    if (name === undefined) {
      this.#error(
        offset,
        'INI_SECTION',
        `"${line}" in [${this.#group}:children] is not a group name`,
        'Write one group name a line.',
      );
      return;
    }
    if (this.draft.groups.has(name)) {
      this.#addChild(this.#group, name, offset);
      return;
    }
    const pending = this.#pending.get(name);
    if (pending === undefined) this.#pending.set(name, { state: 'children', offset, parents: [this.#group] });
    else pending.parents.push(this.#group);
  }
}
