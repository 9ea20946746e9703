import { type TSchema, Type } from '@sinclair/typebox';

/** One word of the playbook language: what may stand behind it. Validation, the JSON Schema and the docs are drawn from these. */
export interface Keyword {
  readonly schema: TSchema;
  /** What a value must be, as an error says it after "must be". */
  readonly expects: string;
  readonly description: string;
  /** Understood so that playbooks load, without effect; says what to do instead. */
  readonly ignored?: string;
}

export type Keywords = Readonly<Record<string, Keyword>>;

const template = Type.String({ pattern: '\\{\\{|\\{%' });
const text = Type.Union([Type.String(), Type.Number(), Type.Boolean()]);
const flag = Type.Union([
  Type.Boolean(),
  Type.String({ pattern: '^\\s*(?:[Yy]es|[Nn]o|[Oo]n|[Oo]ff|[Tt]rue|[Ff]alse|YES|NO|TRUE|FALSE|0|1)\\s*$' }),
  Type.Integer({ minimum: 0, maximum: 1 }),
  template,
]);
const count = Type.Union([
  Type.Number({ minimum: 0 }),
  Type.String({ pattern: '^\\s*\\d+(?:\\.\\d+)?\\s*$' }),
  template,
]);
const condition = Type.Union([
  Type.String(),
  Type.Boolean(),
  Type.Number(),
  Type.Array(Type.Union([Type.String(), Type.Boolean(), Type.Number()])),
]);
const names = Type.Union([text, Type.Array(text)]);
const mapping = Type.Record(Type.String(), Type.Unknown());
const mappings = Type.Union([Type.Null(), mapping, Type.Array(mapping)]);
const list = Type.Union([Type.Null(), Type.Array(Type.Unknown())]);
const environment = Type.Union([
  Type.Null(),
  template,
  mapping,
  Type.Array(Type.Union([Type.Null(), template, mapping])),
]);

function keyword(schema: TSchema, expects: string, description: string): Keyword {
  return { schema, expects, description };
}

const nothing = (description: string, instead: string): Keyword => ({
  schema: Type.Unknown(),
  expects: 'anything',
  description,
  ignored: instead,
});

/** What plays, blocks and tasks share, and hand down to what is inside them. */
export const sharedKeywords: Keywords = {
  name: keyword(Type.Union([text, Type.Null()]), 'text', 'What it is for, as shown while it runs.'),
  vars: keyword(mappings, 'a mapping of names to values', 'Variables for everything inside.'),
  tags: keyword(
    names,
    'words: a list, or one string with commas',
    'Words that --tags and --skip-tags choose by.',
  ),
  become: keyword(flag, 'true or false', 'Whether to act as another user, by default root.'),
  become_user: keyword(text, 'a user name', 'The user to act as.'),
  become_method: keyword(text, "'sudo', 'doas' or 'su'", 'How to become that user.'),
  become_flags: nothing('Flags for the become program.', 'fleet passes its own.'),
  become_exe: nothing('Path of the become program.', 'It is looked up in PATH.'),
  environment: keyword(environment, 'a mapping of names to values', 'Environment variables for commands.'),
  ignore_errors: keyword(flag, 'true or false', 'A failure is shown and does not stop the host.'),
  ignore_unreachable: keyword(
    flag,
    'true or false',
    'A host that cannot be reached goes on with its next task; without it, it leaves the run.',
  ),
  no_log: keyword(flag, 'true or false', 'Neither arguments nor results are shown or kept.'),
  run_once: keyword(
    flag,
    'true or false',
    'Runs on the first host of the batch only; all hosts get its result.',
  ),
  check_mode: keyword(
    flag,
    'true or false',
    '`false` runs for real even when only planning; `true` never acts.',
  ),
  diff: keyword(flag, 'true or false', 'Whether differences are shown.'),
  any_errors_fatal: keyword(flag, 'true or false', 'A failure on one host ends the run for all.'),
  throttle: keyword(count, 'a number', 'How many hosts work on this at once.'),
  timeout: keyword(count, 'a number of seconds', 'Seconds after which the step is broken off and fails.'),
  connection: keyword(text, "'ssh' or 'local'", '`local` runs on the control node.'),
  module_defaults: keyword(mappings, 'a mapping of steps to arguments', 'Default arguments by step.'),
  remote_user: nothing('The login user.', 'Set it for the play, or ansible_user in the inventory.'),
  port: nothing('The SSH port.', 'Set ansible_port in the inventory.'),
  collections: nothing('Where Ansible looks for modules.', 'Steps are known by their short names.'),
  debugger: nothing("Ansible's interactive debugger.", 'Use --step or --start-at, or a `debug` step.'),
};

const listOfTasks = keyword(list, 'a list of tasks', 'Tasks, in the order in which they run.');

/** Words of a play. */
export const playKeywords: Keywords = {
  ...sharedKeywords,
  hosts: keyword(names, 'a host pattern or a list of them', 'The hosts that the play is about.'),
  remote_user: keyword(
    text,
    'a user name',
    'The user to log in as on hosts whose variables name none; of several plays the first one counts.',
  ),
  pre_tasks: {
    ...listOfTasks,
    description: 'Run before roles; handlers that they notify run before the roles do.',
  },
  tasks: listOfTasks,
  steps: { ...listOfTasks, description: "The same as tasks, in fleet's own word." },
  post_tasks: { ...listOfTasks, description: 'Run after tasks and their handlers.' },
  handlers: {
    ...listOfTasks,
    description: 'Run at the end when a task that changed something notified them.',
  },
  roles: keyword(list, 'a list of roles', 'Roles to run between pre_tasks and tasks.'),
  vars_files: keyword(
    Type.Union([
      Type.Null(),
      Type.String(),
      Type.Array(Type.Union([Type.String(), Type.Array(Type.String())])),
    ]),
    'a list of file names',
    'Files of variables. A list in the list means the first that exists.',
  ),
  vars_prompt: keyword(
    Type.Union([Type.Null(), Type.Array(mapping)]),
    'a list of questions',
    'Variables that are asked for when the run begins.',
  ),
  gather_facts: keyword(flag, 'true or false', 'Whether ansible_facts are read first. Default: true.'),
  gather_subset: nothing('Which facts to gather.', 'Facts cost one trip in all.'),
  gather_timeout: nothing('How long gathering may take.', 'The connection deadline holds.'),
  fact_path: nothing('Where custom facts lie.', 'Use a command and register.'),
  serial: keyword(
    Type.Union([text, Type.Array(text)]),
    'a number, a percentage, or a list of them',
    'How many hosts go through the play at a time.',
  ),
  max_fail_percentage: keyword(
    Type.Union([
      Type.Number({ minimum: 0, maximum: 100 }),
      Type.String({ pattern: '^\\s*\\d+(?:\\.\\d+)?%?\\s*$' }),
      template,
    ]),
    'a number from 0 to 100',
    'The run ends when more than this share of a batch failed.',
  ),
  strategy: keyword(
    text,
    "'linear', 'free' or 'rolling'",
    '`free` lets each host run ahead of the others. `rolling`, fleet’s own: the state of the k3s cluster says who is next, so that its quorum and API stay; hosts with nothing to do are passed over, and the next begin when the last are well again.',
  ),
  order: keyword(
    Type.Union([
      template,
      ...['inventory', 'reverse_inventory', 'sorted', 'reverse_sorted', 'shuffle'].map((w) =>
        Type.Literal(w),
      ),
    ]),
    'inventory, reverse_inventory, sorted, reverse_sorted or shuffle',
    'The order in which hosts are worked on.',
  ),
  force_handlers: keyword(
    flag,
    'true or false',
    'Whether a host that failed still runs the handlers that it was notified of.',
  ),
};

/** Words of an entry that names another playbook. */
export const importKeywords: Keywords = {
  name: keyword(text, 'text', 'What it is for.'),
  import_playbook: keyword(Type.String(), 'a file name', 'Another playbook, whose plays stand here.'),
  include: keyword(Type.String(), 'a file name', 'The same as import_playbook.'),
  vars: keyword(mappings, 'a mapping of names to values', 'Variables for all its plays.'),
  tags: keyword(names, 'words: a list, or one string with commas', 'Tags for all its plays.'),
  when: keyword(condition, 'a condition or a list of them', 'A condition on all its tasks.'),
};

/** Words of a block. */
export const blockKeywords: Keywords = {
  ...sharedKeywords,
  block: listOfTasks,
  rescue: { ...listOfTasks, description: 'Run when a task of the block failed; the host then goes on.' },
  always: { ...listOfTasks, description: 'Run in any case.' },
  when: keyword(condition, 'a condition or a list of them', 'All must hold for each task inside.'),
  delegate_to: keyword(text, 'a host name', 'Another host to act on, with this host’s variables.'),
  delegate_facts: keyword(
    flag,
    'true or false',
    'Facts that a delegated step finds out or sets are the other host’s.',
  ),
  notify: keyword(
    names,
    'the name of a handler or a list of them',
    'Handlers to run when a task inside changed something.',
  ),
};

/** Words of a task, beside the name of its step. */
export const taskKeywords: Keywords = {
  ...sharedKeywords,
  when: blockKeywords.when as Keyword,
  delegate_to: blockKeywords.delegate_to as Keyword,
  delegate_facts: blockKeywords.delegate_facts as Keyword,
  notify: {
    ...(blockKeywords.notify as Keyword),
    description: 'Handlers to run when this changed something.',
  },
  listen: keyword(names, 'a word or a list of them', 'Names that a handler answers to, beside its own.'),
  action: keyword(
    Type.Union([Type.String(), mapping]),
    "a step with its arguments, e.g. 'command uptime'",
    'The step in another form.',
  ),
  local_action: keyword(
    Type.Union([Type.String(), mapping]),
    "a step with its arguments, e.g. 'command uptime'",
    'A step on the control node.',
  ),
  args: keyword(
    Type.Union([Type.Null(), template, mapping]),
    'a mapping of arguments',
    "More of the step's arguments.",
  ),
  loop: keyword(
    Type.Union([template, Type.Array(Type.Unknown())]),
    'a list or a template of one',
    'Runs once per item.',
  ),
  loop_control: keyword(
    Type.Object(
      {
        loop_var: Type.Optional(
          Type.String({ description: 'Name of the variable that holds the item. Default: item.' }),
        ),
        index_var: Type.Optional(
          Type.String({ description: 'Name of a variable that holds its number, from 0.' }),
        ),
        label: Type.Optional(Type.Unknown({ description: 'What is shown for an item.' })),
        pause: Type.Optional(
          Type.Union([Type.Number({ minimum: 0 }), Type.String({ pattern: '^\\s*\\d+(?:\\.\\d+)?\\s*$' })], {
            description: 'Seconds between items.',
          }),
        ),
        extended: Type.Optional(flag),
        extended_allitems: Type.Optional(flag),
      },
      { additionalProperties: false },
    ),
    'a mapping with loop_var, index_var, label, pause or extended',
    'How the loop names and shows its items.',
  ),
  until: keyword(condition, 'a condition or a list of them', 'Runs again until it holds.'),
  retries: keyword(count, 'a number', 'How many times to try again. Default: 3.'),
  delay: keyword(count, 'a number of seconds', 'Seconds between tries. Default: 5.'),
  register: keyword(
    Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }),
    'a variable name',
    'Keeps the result under this name.',
  ),
  changed_when: keyword(condition, 'a condition or a list of them', 'What counts as changed.'),
  failed_when: keyword(condition, 'a condition or a list of them', 'What counts as failed.'),
  async: keyword(count, 'a number of seconds', 'As `timeout`: how long it may take.'),
  poll: nothing('How often Ansible looks.', 'fleet waits for the step.'),
};

/** The `with_…` forms, each with what `loop` it stands for. */
export const loopForms: Readonly<Record<string, string>> = {
  with_items: 'A list, one level of lists in it flattened.',
  with_list: 'A list as it is.',
  with_flattened: 'A list, all lists in it flattened.',
  with_dict: 'A mapping: items with key and value.',
  with_sequence: 'Numbers: start=1 end=5 stride=1 format=%02d.',
  with_indexed_items: 'Pairs of number and item.',
  with_together: 'Lists in parallel.',
  with_nested: 'Every combination of lists.',
  with_cartesian: 'Every combination of lists.',
  with_subelements: 'Pairs of an item and each of a list inside it.',
  with_fileglob: 'Files of the control node that match.',
  with_first_found: 'The first file of the control node that exists.',
  with_random_choice: 'One of a list.',
  with_lines: 'Not here: use a command, register and loop over stdout_lines.',
};
