import { deepFreeze } from './deep-freeze.ts';
import type { Findings } from './findings.ts';
import { priorityOf } from './group-priority.ts';
import type { DraftGroup, InventoryDraft } from './inventory-draft.ts';

/** Runs `program --host NAME` for programs that do not answer `_meta`; gives the JSON text. */
export type AskForHost = (host: string) => Promise<string>;

/**
 * Reads the JSON that a dynamic inventory answers to `--list` into the draft, by the rules of Ansible's script plugin:
 * a group is a dict of hosts, vars and children, or a list of hosts; `_meta.hostvars` saves a call per host.
 */
export async function readScriptAnswer(
  program: string,
  answer: string,
  draft: InventoryDraft,
  findings: Findings,
  askForHost: AskForHost,
): Promise<void> {
  const refuse = (message: string): void =>
    findings.error({
      code: 'INVENTORY_PROGRAM_ANSWER',
      message,
      fix: `Run "${program} --list" and correct what it prints: one JSON object of groups.`,
      where: { file: program },
    });
  let data: unknown;
  try {
    data = JSON.parse(answer);
  } catch (error) {
    refuse(
      `the inventory program did not answer JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
    return;
  }
  if (!isRecord(data)) {
    refuse('the inventory program must answer a JSON object of groups');
    return;
  }
  const meta = data._meta;
  for (const [name, content] of Object.entries(data)) {
    if (name !== '_meta') readGroup(name, content, draft, program, refuse);
  }
  const hostvars = isRecord(meta) && isRecord(meta.hostvars) ? meta.hostvars : undefined;
  for (const host of draft.hosts.values()) {
    if (host.source !== draft.source) continue;
    const vars =
      hostvars === undefined ? await askedVars(host.name, askForHost, refuse) : hostvars[host.name];
    if (isRecord(vars)) setVars(host.vars, vars, program);
  }
}

async function askedVars(host: string, ask: AskForHost, refuse: (message: string) => void): Promise<unknown> {
  const text = await ask(host);
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text) as unknown;
  } catch {
    refuse(`the inventory program did not answer JSON to --host ${host}`);
    return {};
  }
}

function readGroup(
  name: string,
  content: unknown,
  draft: InventoryDraft,
  program: string,
  refuse: (message: string) => void,
): void {
  const group = draft.addGroup(name, { file: program });
  const body = groupBody(name, content);
  if (body === undefined) {
    refuse(`group "${name}" must be an object or a list of hosts`);
    return;
  }
  if (body.hosts !== undefined && body.hosts !== null) addHosts(group, body.hosts, draft, program, refuse);
  const { vars, children } = body;
  if (vars !== undefined && vars !== null) {
    if (!isRecord(vars)) refuse(`"vars" of group "${name}" must be an object`);
    else {
      const priority = priorityOf(vars.ansible_group_priority);
      if (priority !== undefined) group.priority = priority;
      const { ansible_group_priority: _priority, ...rest } = vars;
      setVars(group.vars, rest, program);
    }
  }
  if (name === '_meta' || children === undefined || children === null) return;
  if (!Array.isArray(children)) {
    refuse(`"children" of group "${name}" must be a list`);
    return;
  }
  for (const child of children) {
    draft.addGroup(String(child), { file: program });
    if (draft.addChild(name, String(child)) === 'loop')
      refuse(`group "${String(child)}" below "${name}" makes a loop`);
  }
}

function groupBody(name: string, content: unknown): Readonly<Record<string, unknown>> | undefined {
  if (Array.isArray(content)) return { hosts: content };
  if (!isRecord(content)) return undefined;
  const known = ['hosts', 'vars', 'children'].some((key) => key in content);
  // An old form: an object with none of the three is the variables of a host of that name.
  return known || Object.keys(content).length === 0 ? content : { hosts: [name], vars: content };
}

function addHosts(
  group: DraftGroup,
  hosts: unknown,
  draft: InventoryDraft,
  program: string,
  refuse: (message: string) => void,
): void {
  if (!Array.isArray(hosts)) {
    refuse(`"hosts" of group "${group.name}" must be a list`);
    return;
  }
  for (const host of hosts) draft.addHost(String(host), group, { file: program });
}

function setVars(target: DraftGroup['vars'], vars: Readonly<Record<string, unknown>>, program: string): void {
  for (const [name, value] of Object.entries(vars)) {
    target.set(name, { value: deepFreeze(value), where: { file: program } });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
