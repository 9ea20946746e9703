import type { Place } from '../core/errors.ts';
import type { AnyStep } from '../engine/step.ts';
import { shown } from './args.ts';
import { type Context, report } from './context.ts';
import { isBalanced, parseFreeForm } from './free-form.ts';
import { loopForms, taskKeywords } from './keywords.ts';
import { entryOf, type Located, type LocatedEntry } from './located.ts';
import { meant } from './nearest.ts';
import { findStep, shortStepName } from './step-library.ts';
import { hasTemplate } from './template-text.ts';

/** Words that stand where a step does, but that the compiler itself acts on. */
export const directives = [
  'include',
  'import',
  'include_tasks',
  'import_tasks',
  'include_role',
  'import_role',
  'meta',
] as const;
export type Directive = (typeof directives)[number];

/** Which step a task names, in any of Ansible's forms, with its arguments by name. */
export interface FoundStep {
  /** As written, without the collection. */
  readonly name: string;
  readonly directive?: Directive;
  readonly step?: AnyStep;
  readonly args: unknown;
  readonly where: Place;
  /** The place of an argument, or of the step itself. */
  readonly placeOf: (argument: string | undefined) => Place | undefined;
  /** Written as `local_action`. */
  readonly local: boolean;
}

/** Ansible's modules that people bring and that fleet has not, each with what to do instead. */
const elsewhere: Readonly<Record<string, string>> = {
  add_host: 'Write the host into the inventory: it cannot change during a run.',
  group_by: 'Use `when` with a fact, or a group in the inventory.',
  async_status: 'Steps are waited for; use `timeout`.',
  pip: "Use 'command: pip install …' with `creates`.",
  git: "Use 'command: git …' with `creates`, or get_url of an archive.",
  helm: "Use 'command: helm …' on a server, or a HelmChart manifest in extra_manifests.",
  docker_container: "Use 'command: docker …'.",
  synchronize: "Use 'copy' with a folder, or 'unarchive'.",
  expect: "Use 'shell' with the program's own flags for unattended use.",
  apt_key: "Put the key into /etc/apt/keyrings with 'get_url' or 'copy', and name it by signed-by.",
  apt_repository: "Write /etc/apt/sources.list.d/NAME.list with 'copy', then apt: update_cache=true.",
  yum_repository: "Write /etc/yum.repos.d/NAME.repo with 'copy'.",
  debconf: "Use 'shell' with debconf-set-selections.",
  ini_file: "Use 'lineinfile' with insertafter, or 'template'.",
  iptables: "Use 'nftables', 'ufw' or 'firewalld'.",
  pam_limits: "Write /etc/security/limits.d/NAME.conf with 'copy'.",
  package_facts: 'Use a command with register: dpkg-query or rpm.',
  service_facts: 'Use a command with register: systemctl is-active.',
  getent: "Use 'command: getent …' with register.",
  tempfile: "Use 'command: mktemp' with register.",
  known_hosts: "Use 'lineinfile' on the known_hosts file.",
  alternatives: "Use 'command: update-alternatives --set …' or 'link'.",
  archive: "Use 'command: tar …' with `creates`.",
  assemble: "Use 'template' with the parts included.",
  locale_gen: "Use 'lineinfile' on /etc/locale.gen and 'command: locale-gen'.",
};

/** Options of commands as free-form text; every other `a=b` belongs to the command. */
const commandOptions = new Set([
  'creates',
  'removes',
  'chdir',
  'executable',
  'warn',
  'stdin',
  'stdin_add_newline',
  'strip_empty_ends',
]);
const commands = new Set(['command', 'shell', 'script', 'raw']);

/** Finds the one step of a task. Everything wrong with it is noted; then the answer is `undefined`. */
export function stepOf(context: Context, node: Located): FoundStep | undefined {
  const { steps } = context.compilation;
  const found: { entry: LocatedEntry; name: string }[] = [];
  const unknown: LocatedEntry[] = [];
  for (const entry of node.entries ?? []) {
    if (entry.key === 'action' || entry.key === 'local_action') found.push({ entry, name: entry.key });
    else if (Object.hasOwn(taskKeywords, entry.key) || isLoopForm(entry.key)) continue;
    else if (directiveNamed(entry.key) !== undefined || findStep(steps, entry.key) !== undefined) {
      found.push({ entry, name: entry.key });
    } else unknown.push(entry);
  }

  const [first, second] = found;
  let isMisplaced = false;
  for (const entry of unknown) {
    const known = first === undefined ? stepNames(context) : [];
    const step = first === undefined ? undefined : findStep(steps, first.name);
    isMisplaced = reportUnknown(context, entry, known, first, step) || isMisplaced;
  }
  // Its arguments are not where they belong: that they are missing needs no telling.
  if (isMisplaced) return undefined;
  if (first === undefined) {
    if (unknown.length === 0) {
      report(context, {
        code: 'PLAYBOOK_NO_STEP',
        message: 'this task names no step',
        fix: "Add one, e.g. 'command: uptime'; 'fleet doc' lists all.",
        where: node.place,
      });
    }
    return undefined;
  }
  if (second !== undefined) {
    report(context, {
      code: 'PLAYBOOK_TWO_STEPS',
      message: `one task cannot be both '${first.entry.key}' and '${second.entry.key}'`,
      fix: "Write two tasks, each with its own '-'.",
      where: second.entry.keyPlace,
    });
    return undefined;
  }
  if (first.name === 'action' || first.name === 'local_action') return fromAction(context, node, first.entry);
  return resolved(context, node, first.name, first.entry, first.entry.node, undefined, false);
}

/** Whether a key is one of the `with_…` loops. */
export function isLoopForm(key: string): boolean {
  return key.startsWith('with_') || Object.hasOwn(loopForms, key);
}

function directiveNamed(name: string): Directive | undefined {
  const short = name.replace(/^ansible\.(?:builtin|legacy)\./, '');
  return directives.find((directive) => directive === short);
}

/** A library that has its own step for it is preferred to ours. */
function isDirective(context: Context, name: string): boolean {
  return (
    directiveNamed(name) !== undefined &&
    context.compilation.steps.stepNamed(shortStepName(name)) === undefined
  );
}

function stepNames(context: Context): readonly string[] {
  const steps = context.compilation.steps.allSteps;
  return [...steps.flatMap((step) => [step.name, ...(step.aliases ?? [])]), ...directives];
}

function reportUnknown(
  context: Context,
  entry: LocatedEntry,
  steps: readonly string[],
  found: { readonly entry: LocatedEntry } | undefined,
  step: AnyStep | undefined,
): boolean {
  const { key, keyPlace } = entry;
  if (found === undefined) {
    const short = shortStepName(key);
    const instead = Object.hasOwn(elsewhere, short) ? elsewhere[short] : undefined;
    report(context, {
      code: 'PLAYBOOK_STEP_UNKNOWN',
      message: `no step is called '${key}'`,
      fix: instead ?? meant(short, [...steps, ...Object.keys(taskKeywords)], "'fleet doc' lists all steps."),
      where: keyPlace,
    });
    return false;
  }
  const properties = (step?.args as { properties?: object } | undefined)?.properties ?? {};
  const misplaced = found.entry.node.value === null && Object.hasOwn(properties, key);
  report(context, {
    code: 'PLAYBOOK_KEY_UNKNOWN',
    message: misplaced
      ? `'${key}' is an argument of '${found.entry.key}', but stands beside it`
      : `a task has no key '${key}'`,
    fix: misplaced
      ? `Indent it below '${found.entry.key}:'.`
      : meant(
          key,
          Object.keys(taskKeywords),
          `If it is an argument of '${found.entry.key}', indent it below.`,
        ),
    where: keyPlace,
  });
  return misplaced;
}

/** `action: copy src=a dest=b`, or `action: {module: copy, src: a, dest: b}`. */
function fromAction(context: Context, node: Located, entry: LocatedEntry): FoundStep | undefined {
  const local = entry.key === 'local_action';
  const { value } = entry.node;
  let name: string;
  let rest: unknown;
  if (typeof value === 'string') {
    const match = /^\s*(\S+)\s*([\s\S]*)$/.exec(value);
    name = match?.[1] ?? '';
    rest = match?.[2] ?? '';
  } else {
    const { module, ...others } = (entry.node.entries === undefined ? {} : entry.node.value) as Record<
      string,
      unknown
    >;
    // `local_action: {module: command uptime}` is an old form that still runs.
    const match = /^\s*(\S+)\s*([\s\S]*)$/.exec(String(module ?? ''));
    name = match?.[1] ?? '';
    rest = match?.[2] === undefined || match[2] === '' ? others : { ...others, _raw_params: match[2] };
  }
  if (
    name === '' ||
    (directiveNamed(name) === undefined && findStep(context.compilation.steps, name) === undefined)
  ) {
    const templated = hasTemplate(name);
    report(context, {
      code: name === '' ? 'PLAYBOOK_NO_STEP' : 'PLAYBOOK_STEP_UNKNOWN',
      message: templated
        ? 'the name of a step cannot be a template'
        : name === ''
          ? `'${entry.key}' names no step`
          : `no step is called '${name}'`,
      fix: templated
        ? "Write one task per step, each with its 'when'."
        : meant(name, stepNames(context), "Write 'module: NAME' or 'NAME key=value'."),
      where: entry.node.place,
    });
    return undefined;
  }
  const argument: Located = { ...entry.node, value: rest };
  return resolved(context, node, name, entry, argument, 'action', local);
}

function resolved(
  context: Context,
  node: Located,
  name: string,
  entry: LocatedEntry,
  argument: Located,
  form: 'action' | undefined,
  local: boolean,
): FoundStep | undefined {
  const directive = isDirective(context, name) ? directiveNamed(name) : undefined;
  const step = directive === undefined ? findStep(context.compilation.steps, name) : undefined;
  const extra = entryOf(node, 'args')?.node;
  const own = argumentsOf(context, step, directive, name, argument);
  if (own === undefined) return undefined;
  const args = merged(context, own, extra, step, entry);
  if (args === undefined) return undefined;
  return {
    name: shortStepName(name),
    ...(directive === undefined ? {} : { directive }),
    ...(step === undefined ? {} : { step }),
    args,
    where: entry.keyPlace,
    placeOf: (key) => {
      if (key === undefined) return entry.keyPlace;
      const source = form === 'action' ? entry.node : argument;
      return (
        (entryOf(source, key) ?? (extra === undefined ? undefined : entryOf(extra, key)))?.keyPlace ??
        entry.node.place
      );
    },
    local,
  };
}

/** The step's arguments by name, whatever form they were written in. */
function argumentsOf(
  context: Context,
  step: AnyStep | undefined,
  directive: Directive | undefined,
  name: string,
  argument: Located,
): unknown {
  const { value } = argument;
  if (value === null || value === '') return {};
  const freeForm = step?.freeForm ?? (directive === undefined ? undefined : '_raw_params');
  if (typeof value === 'string') {
    const short = shortStepName(step?.name ?? name);
    if (freeForm === undefined && /^\s*\{\{[\s\S]*\}\}\s*$/.test(value)) return value;
    if (!commands.has(short) && !isBalanced(value) && !hasTemplate(value) && freeForm === undefined) {
      report(context, {
        code: 'PLAYBOOK_ARGS',
        message: `a quote is not closed in the arguments of '${name}'`,
        fix: 'Close it, or write the arguments below the step, one per line.',
        where: argument.place,
      });
      return undefined;
    }
    return freeFormArgs(context, step, directive, name, value, argument.place, freeForm, commands.has(short));
  }
  if (argument.entries !== undefined || (typeof value === 'object' && !Array.isArray(value))) {
    const { _raw_params: raw, ...rest } = value as Record<string, unknown>;
    if (raw === undefined || freeForm === undefined) return value;
    return { [freeForm]: raw, ...rest };
  }
  if (freeForm !== undefined) return { [freeForm]: value };
  report(context, {
    code: 'PLAYBOOK_ARGS',
    message: `'${name}' takes arguments by name, not ${shown(value)}`,
    fix: 'Write them below it, one per line.',
    where: argument.place,
  });
  return undefined;
}

function freeFormArgs(
  context: Context,
  step: AnyStep | undefined,
  directive: Directive | undefined,
  name: string,
  text: string,
  where: Place,
  freeForm: string | undefined,
  isCommand: boolean,
): unknown {
  const properties = (step?.args as { properties?: object } | undefined)?.properties ?? {};
  if (isCommand && freeForm !== undefined) {
    const { pairs, rest } = parseFreeForm(
      text,
      (key) => commandOptions.has(key) && (key === 'warn' || Object.hasOwn(properties, key)),
    );
    // `warn=false` silenced an old Ansible; it means nothing now.
    const { warn: _, ...options } = pairs;
    return { ...(rest === '' ? {} : { [freeForm]: rest }), ...options };
  }
  const { pairs, rest } = parseFreeForm(text);
  if (freeForm === undefined) {
    if (rest === '') return pairs;
    report(context, {
      code: 'PLAYBOOK_ARGS',
      message: `'${name}' takes arguments by name; '${rest.split(/\s/, 1)[0] ?? rest}' has none`,
      fix: `Write '${name}: key=value …', or one argument per line below it.`,
      where,
    });
    return undefined;
  }
  const keys = Object.keys(pairs);
  if (directive !== undefined) return { [freeForm]: rest, ...pairs };
  return rest === '' && keys.length > 0 && keys.every((key) => Object.hasOwn(properties, key))
    ? pairs
    : { [freeForm]: text };
}

/** The step's own arguments, over those of `args:`, over `module_defaults`. */
function merged(
  context: Context,
  own: unknown,
  extra: Located | undefined,
  step: AnyStep | undefined,
  entry: LocatedEntry,
): unknown {
  const defaults = context.inherited.moduleDefaults;
  const byDefault =
    step !== undefined && Object.hasOwn(defaults, step.name) ? defaults[step.name] : undefined;
  if (typeof own === 'string' || typeof extra?.value === 'string') {
    const empty = typeof own === 'object' && own !== null && Object.keys(own).length === 0;
    if (typeof own === 'string' && extra === undefined) return own;
    if (empty && extra !== undefined) return extra.value;
    report(context, {
      code: 'PLAYBOOK_ARGS',
      message: 'arguments that are one template cannot be joined with others',
      fix: 'Write all arguments by name, each with its own template.',
      where: entry.keyPlace,
    });
    return undefined;
  }
  return { ...byDefault, ...(extra?.value as object | undefined), ...(own as object) };
}
