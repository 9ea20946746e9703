import { distance } from 'fastest-levenshtein';
import { isMap, isScalar, isSeq, type Node, type YAMLMap } from 'yaml';
import { offsetOf } from '../jinja/yaml-read.ts';
import type { Findings } from './findings.ts';
import { priorityOf } from './group-priority.ts';
import { expandHostPattern, HostRangeError } from './host-pattern.ts';
import type { DraftGroup, InventoryDraft } from './inventory-draft.ts';
import type { SourceText } from './source-text.ts';
import type { Vault } from './vault.ts';
import { readYamlFile, type YamlFile } from './yaml-file.ts';

const SECTIONS = ['vars', 'children', 'hosts'];
/** Groups below groups deeper than this are no inventory. */
const DEEPEST_GROUPS = 60;

/** Reads a YAML inventory into the draft as Ansible's yaml plugin does. What is wrong goes to the findings. */
export function readYamlInventory(
  source: SourceText,
  draft: InventoryDraft,
  vault: Vault,
  findings: Findings,
): void {
  const file = readYamlFile(source, vault, findings);
  if (file === undefined) return;
  new YamlInventoryReader(source, file, draft, findings).read();
  file.finish();
}

class YamlInventoryReader {
  constructor(
    readonly source: SourceText,
    readonly file: YamlFile,
    readonly draft: InventoryDraft,
    readonly findings: Findings,
  ) {}

  read(): void {
    const root = this.file.values.resolve(this.file.root);
    if (
      root === null ||
      root === undefined ||
      (isScalar(root) && (root.value === '' || root.value === null))
    ) {
      this.findings.warn({
        code: 'INVENTORY_EMPTY',
        message: 'the inventory file is empty',
        fix: 'Add hosts to it; `fleet init` writes one to start from.',
        where: { file: this.source.file },
      });
      return;
    }
    if (!isMap(root)) {
      this.#error(
        root,
        'INVENTORY_SHAPE',
        'a YAML inventory must be a dict of groups',
        'Start with "all:" or "k3s_cluster:".',
      );
      return;
    }
    const pairs = this.file.values.pairs(root);
    const plugin = pairs.find(({ key }) => key === 'plugin');
    if (plugin !== undefined) {
      const name = String(this.file.values.value(plugin.valueNode));
      this.#error(
        plugin.keyNode,
        'INVENTORY_PLUGIN',
        `the file configures Ansible's inventory plugin "${name}", which fleet cannot run`,
        `Write its result to a file that fleet reads: ansible-inventory -i ${this.source.file} --list --yaml > inventory.yml`,
      );
      return;
    }
    for (const { key, keyNode, valueNode } of pairs) this.#group(key, keyNode, valueNode, 0);
  }

  #error(node: unknown, code: string, message: string, fix: string): void {
    this.findings.error({ code, message, fix, where: this.source.place(offsetOf(node)) });
  }

  #warn(node: unknown, code: string, message: string, fix: string): void {
    this.findings.warn({ code, message, fix, where: this.source.place(offsetOf(node)) });
  }

  #group(key: unknown, keyNode: Node | null, valueNode: Node | null, depth: number): DraftGroup | undefined {
    const name = typeof key === 'string' ? key : String(key);
    if (typeof key !== 'string') {
      this.#error(
        keyNode,
        'INVENTORY_NAME',
        `the group name ${name} is not text`,
        `Put quotes around it: "${name}".`,
      );
      return undefined;
    }
    const body = this.file.values.resolve(valueNode);
    const empty =
      body === null || body === undefined || (isScalar(body) && this.file.values.value(body) === null);
    if (!empty && !isMap(body)) {
      this.#warn(
        keyNode,
        'INVENTORY_GROUP_SKIPPED',
        `"${name}" is not a group: it holds ${kindOf(body)}, so Ansible skips it`,
        depth === 0
          ? 'Variables belong below "vars:" of a group, for all hosts below "all: vars:".'
          : 'Remove it.',
      );
      return undefined;
    }
    if (depth > DEEPEST_GROUPS) {
      this.#error(keyNode, 'INVENTORY_SHAPE', 'groups are nested too deeply', 'Flatten the inventory.');
      return undefined;
    }
    if (depth === 0 && SECTIONS.includes(name)) {
      this.#warn(
        keyNode,
        'INVENTORY_LEVEL',
        `"${name}:" stands at the top of the file, so it is read as a group named "${name}"`,
        `Put it below a group, such as "all:" or "k3s_cluster:".`,
      );
    }
    const group = this.draft.addGroup(name, this.source.place(offsetOf(keyNode)));
    if (isMap(body)) this.#sections(group, body, depth);
    return group;
  }

  #sections(group: DraftGroup, body: YAMLMap, depth: number): void {
    for (const { key, keyNode, valueNode } of this.file.values.pairs(body)) {
      const section = String(key);
      const value = this.file.values.resolve(valueNode);
      if (value === null || value === undefined) continue;
      const scalar = isScalar(value) ? this.file.values.value(value) : undefined;
      if (isScalar(value) && scalar === null) continue;
      if (!SECTIONS.includes(section)) {
        if (isMap(value)) this.#misplaced(group, section, keyNode, value);
        else this.#misplacedValue(group, section, keyNode);
        continue;
      }
      if (typeof scalar === 'string') {
        this.#entry(group, section, scalar, value as Node, null, depth);
      } else if (isMap(value)) {
        if (section === 'vars') this.#vars(group, value);
        else {
          for (const pair of this.file.values.pairs(value)) {
            this.#entry(group, section, pair.key, pair.keyNode, pair.valueNode, depth);
          }
        }
      } else {
        this.#error(
          keyNode,
          'INVENTORY_SHAPE',
          `"${section}" of group "${group.name}" must be a dict, not ${kindOf(value)}`,
          section === 'vars'
            ? 'Write "name: value" lines below it.'
            : 'Write each name with a colon after it, without "- ".',
        );
      }
    }
  }

  #misplaced(group: DraftGroup, key: string, keyNode: Node | null, value: YAMLMap): void {
    const inner = value.items.map((pair) => (isScalar(pair.key) ? String(pair.key.value) : ''));
    const near = SECTIONS.find((section) => distance(section, key.toLowerCase()) <= 2);
    const looksLikeGroup = inner.some((name) => SECTIONS.includes(name));
    this.#warn(
      keyNode,
      'INVENTORY_LEVEL',
      `"${key}" stands directly below group "${group.name}", where only hosts, children and vars count: it is ignored`,
      near !== undefined
        ? `Rename it to "${near}" if that is what it means.`
        : looksLikeGroup
          ? `Put "children:" between "${group.name}:" and "${key}:".`
          : `Put it below "hosts:", "children:" or "vars:" of "${group.name}".`,
    );
  }

  #misplacedValue(group: DraftGroup, key: string, keyNode: Node | null): void {
    this.#warn(
      keyNode,
      'INVENTORY_LEVEL',
      `"${key}" stands directly below group "${group.name}" and is ignored: a variable belongs below "vars:"`,
      `Put it below "vars:" of "${group.name}".`,
    );
  }

  #vars(group: DraftGroup, vars: YAMLMap): void {
    for (const { key, keyNode, valueNode } of this.file.values.pairs(vars)) {
      const value = this.file.values.value(valueNode);
      const written = { value, source: this.source, offset: offsetOf(keyNode) };
      if (key === 'ansible_group_priority') {
        const priority = priorityOf(value);
        if (priority === undefined) {
          this.#error(
            keyNode,
            'INVENTORY_PRIORITY',
            'ansible_group_priority must be a whole number',
            'Write a number such as 10.',
          );
        } else group.priority = priority;
      } else group.vars.set(String(key), written);
    }
  }

  #entry(
    group: DraftGroup,
    section: string,
    key: unknown,
    keyNode: Node | null,
    valueNode: Node | null,
    depth: number,
  ): void {
    if (section === 'children') this.#child(group, key, keyNode, valueNode, depth);
    else if (section === 'hosts') this.#hosts(group, key, keyNode, valueNode);
    else {
      const message = `"vars" of group "${group.name}" must be a dict, not text`;
      this.#error(keyNode, 'INVENTORY_SHAPE', message, 'Write "name: value" lines below it.');
    }
  }

  #child(group: DraftGroup, key: unknown, keyNode: Node | null, valueNode: Node | null, depth: number): void {
    const child = this.#group(key, keyNode, valueNode, depth + 1);
    if (child === undefined) return;
    const body = this.file.values.resolve(valueNode);
    if (isMap(body) && body.items.some((pair) => isScalar(pair.key) && pair.key.value === 'hosts')) {
      child.writtenBelow.add(group.name);
    }
    if (this.draft.addChild(group.name, child.name) === 'loop') {
      this.#error(
        keyNode,
        'INVENTORY_GROUP_LOOP',
        `group "${child.name}" below "${group.name}" makes a loop`,
        'A group cannot stand below itself, directly or through others.',
      );
    }
  }

  #hosts(group: DraftGroup, key: unknown, keyNode: Node | null, valueNode: Node | null): void {
    if (typeof key !== 'string') {
      this.#error(
        keyNode,
        'INVENTORY_NAME',
        `the host name ${String(key)} is not text but ${kindOfValue(key)}`,
        `Put quotes around it: "${isScalar(keyNode) ? String(keyNode.value) : String(key)}".`,
      );
      return;
    }
    const body = this.file.values.resolve(valueNode);
    const empty =
      body === null || body === undefined || (isScalar(body) && this.file.values.value(body) === null);
    if (!empty && !isMap(body)) {
      this.#error(
        keyNode,
        'INVENTORY_SHAPE',
        `host "${key}" must hold variables, not ${kindOf(body)}`,
        'Write its variables as "name: value" lines below it.',
      );
      return;
    }
    try {
      const { names, port } = expandHostPattern(key);
      const where = this.source.place(offsetOf(keyNode));
      const vars = isMap(body) ? this.#hostVars(body) : [];
      for (const name of names) {
        const known = this.draft.hosts.has(name);
        const host = this.draft.addHost(name, group, where);
        if (port !== undefined && !known) {
          host.vars.set('ansible_port', { value: port, source: this.source, offset: offsetOf(keyNode) });
        }
        for (const [variable, written] of vars) host.vars.set(variable, written);
      }
    } catch (error) {
      if (!(error instanceof HostRangeError)) throw error;
      this.#error(
        keyNode,
        'INVENTORY_RANGE',
        `"${key}": ${error.message}`,
        'Write a range as node[1:3], node[01:10:2] or db[a:c].',
      );
    }
  }

  #hostVars(body: YAMLMap) {
    return this.file.values.pairs(body).map(({ key, keyNode, valueNode }) => {
      const value = this.file.values.value(valueNode);
      return [String(key), { value, source: this.source, offset: offsetOf(keyNode) }] as const;
    });
  }
}

function kindOf(node: unknown): string {
  if (isSeq(node)) return 'a list';
  if (isMap(node)) return 'a dict';
  return 'a single value';
}

function kindOfValue(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'a boolean';
  return typeof value === 'number' ? 'a number' : 'something else';
}
