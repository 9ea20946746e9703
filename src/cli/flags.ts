/** A flag as data: the parser, `--help`, shell completion and docs/reference/commands.md are all drawn from it. */
export interface Flag {
  /** As a person writes it: `-l, --limit <pattern>`. */
  readonly flags: string;
  readonly description: string;
  /** May be given several times; its value is a list. */
  readonly repeatable?: true;
  readonly choices?: readonly string[];
  /** What completion offers for its value. */
  readonly completes?: 'file' | 'folder' | 'pattern' | 'cluster';
  /** The environment variable that stands in for it. */
  readonly env?: string;
}

/** Flags that several commands share, in the groups in which commands take them. */
export const flagGroups = {
  inventory: [
    {
      flags: '-i, --inventory <path>',
      description: 'Inventory file, folder, executable or host list `a,b,`. Default: ./inventory.yml.',
      repeatable: true,
      completes: 'file',
      env: 'FLEET_INVENTORY',
    },
    {
      flags: '-e, --extra-vars <vars>',
      description: 'Variables that win over all others: `key=value`, YAML or JSON, or `@file`.',
      repeatable: true,
    },
    { flags: '-l, --limit <pattern>', description: 'Only the hosts of this pattern.', completes: 'pattern' },
    {
      flags: '--cluster <name>',
      description: 'Which cluster, where the inventory has several.',
      completes: 'cluster',
    },
    {
      flags: '--vault-id <label@source>',
      description: 'A vault password: `label@prompt` or `label@file`.',
      repeatable: true,
    },
    {
      flags: '--vault-password-file <path>',
      description: 'File with the vault password, or a program that prints it.',
      repeatable: true,
      completes: 'file',
      env: 'ANSIBLE_VAULT_PASSWORD_FILE',
    },
    { flags: '-J, --ask-vault-pass', description: 'Ask for the vault password.' },
  ],
  connection: [
    { flags: '-u, --user <name>', description: 'Log in as this user where the inventory names none.' },
    {
      flags: '--private-key <path>',
      description: 'Log in with this key where the inventory names none.',
      completes: 'file',
    },
    { flags: '-k, --ask-pass', description: 'Ask for the password to log in with.' },
    { flags: '-K, --ask-become-pass', description: 'Ask for the password to become root with.' },
    {
      flags: '--host-key-checking <mode>',
      description:
        'What to do about a host key that known_hosts does not have: `strict` refuses, `accept-new` adds it and says so, `off` takes any.',
      choices: ['strict', 'accept-new', 'off'],
    },
    {
      flags: '-f, --forks <number>',
      description: 'How many hosts at once. Default: all, within safe limits.',
    },
    { flags: '--timeout <seconds>', description: 'Deadline for connecting to a host. Default: 20.' },
  ],
  run: [
    { flags: '-t, --tags <tags>', description: 'Only steps with one of these tags.', repeatable: true },
    { flags: '--skip-tags <tags>', description: 'No steps with one of these tags.', repeatable: true },
    {
      flags: '-C, --check',
      description: 'Decide and show, change nothing. Exit code 2 where something would change.',
    },
    { flags: '-D, --diff', description: 'Show differences below each change.' },
    { flags: '-y, --yes', description: 'Ask nothing, act.' },
  ],
  output: [
    {
      flags: '-o, --output <format>',
      description: 'For people, or JSON on stdout: one event per line while running, else one document.',
      choices: ['text', 'json'],
    },
    {
      flags: '--color <when>',
      description: 'Colour. Default: auto, honouring NO_COLOR.',
      choices: ['auto', 'always', 'never'],
    },
    { flags: '-v, --verbose', description: 'Also say what changed nothing.' },
    { flags: '-q, --quiet', description: 'Say only errors and results.' },
    { flags: '--debug', description: 'Stack traces for defects, as FLEET_DEBUG=1.' },
    { flags: '-h, --help', description: 'Help for a command.' },
  ],
} as const satisfies Record<string, readonly Flag[]>;

export type FlagGroup = keyof typeof flagGroups;

/** The long name without dashes: `skip-tags`. */
export function flagName(flag: Flag): string {
  return /--([a-z][a-z-]*)/.exec(flag.flags)?.[1] ?? flag.flags;
}

/** The key under which commander keeps it: `skipTags`. */
export function flagKey(flag: Flag): string {
  return flagName(flag).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

export function takesValue(flag: Flag): boolean {
  return flag.flags.includes('<');
}
