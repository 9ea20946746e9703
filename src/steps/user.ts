import { Type } from '@sinclair/typebox';
import { reveal, type Secret } from '../core/secret.ts';
import { lines, type ShellScript, sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type User, user } from '../facts/account.ts';
import { sha256Of } from '../facts/file.ts';
import { anything, choice, flag, list, optional, path, secretText, text, whole } from './arguments.ts';

const args = Type.Object(
  {
    name: text('The user.', { aliases: ['user'] }),
    state: optional(choice(['present', 'absent'], 'Whether it exists. Default present.')),
    uid: optional(whole('Its number.', { minimum: 0 })),
    group: optional(text('Its primary group, which must exist.')),
    groups: optional(list('Its other groups; an empty list takes it out of all.')),
    append: optional(flag('Adds groups and takes it out of none.')),
    shell: optional(path('Its login shell.')),
    home: optional(path('Its home.')),
    create_home: optional(flag('Whether a new user gets a home. Default true.', { aliases: ['createhome'] })),
    move_home: optional(flag('Moves the home when home changes.')),
    comment: optional(text('Its full name.')),
    password: optional(
      secretText('The hash of its password, as crypt(3) writes it; never the password itself.'),
    ),
    update_password: optional(
      choice(['always', 'on_create'], 'Whether an existing user gets the password too. Default always.'),
    ),
    password_lock: optional(flag('Whether no password opens the account.')),
    system: optional(flag('A new user gets a number from the system range.')),
    remove: optional(flag('With state: absent, its home goes too.')),
    force: optional(flag('With state: absent, also when it is logged in.')),
    non_unique: optional(flag('Its number may belong to another user too.')),
    expires: optional(anything('Ignored.')),
    local: optional(anything('Ignored.')),
  },
  { additionalProperties: false },
);

type Seen = { readonly user: User | undefined };

/** Ansible's `user`. */
export const userStep = defineStep<typeof args, Seen>({
  name: 'user',
  summary: 'A user exists with certain groups, shell, home and password, or does not exist.',
  args,
  examples: [`- user:\n    name: deploy\n    groups: [sudo]\n    append: true\n    shell: /bin/bash`],
  look: (args) => ({ user: ask(user(args.name)) }),
  plan(seen, args): Plan<Seen> {
    const { name } = args;
    const now = seen.user;
    const password = args.password === undefined ? undefined : reveal(args.password);
    if (password !== undefined && password !== '' && !/^[*!$_./0-9A-Za-z]/.test(password)) {
      return refuse(
        'password is no hash',
        "Give a hash: openssl passwd -6, or Jinja's password_hash('sha512').",
      );
    }
    if (password !== undefined && /[:\n]/.test(password))
      return refuse('password holds a colon or a line break', 'Give a hash as crypt(3) writes it.');
    if (args.state === 'absent') {
      if (now === undefined) return unchanged(`there is no user ${name}`);
      const options = [...(args.remove === true ? ['-r'] : []), ...(args.force === true ? ['-f'] : [])];
      return change(
        `there is a user ${name}`,
        [
          {
            kind: 'run',
            what: `remove user ${name}`,
            script: sh`if command -v userdel >/dev/null 2>&1; then userdel ${options} ${name}; else deluser ${args.remove === true ? ['--remove-home'] : []} ${name}; fi`,
          },
        ],
        { after: { user: undefined }, touches: ['account:*', 'file:*', 'content:*'] },
      );
    }
    if (now === undefined) {
      return change(
        `there is no user ${name}`,
        [{ kind: 'run', what: `add user ${name}`, script: addScript(args, password) }],
        {
          touches: ['account:*', 'file:*', 'content:*'],
          result: () => ({ name, state: 'present', create_home: args.create_home !== false }),
        },
      );
    }
    const { options, because } = differences(now, args);
    const scripts: ShellScript[] = [];
    if (options.length > 0) scripts.push(sh`usermod ${options} ${name}`);
    const lockChange = args.password_lock !== undefined && args.password_lock !== now.locked;
    if (
      password !== undefined &&
      args.update_password !== 'on_create' &&
      !hasPassword(now, password, args.password_lock === true)
    ) {
      because.push('its password differs');
      scripts.push(passwordScript(name, password));
    }
    if (lockChange) {
      because.push(now.locked ? 'its password is locked' : 'its password is not locked');
      scripts.push(sh`usermod ${args.password_lock ? '-L' : '-U'} ${name}`);
    }
    const [first, ...rest] = scripts;
    const result = {
      name,
      uid: now.uid,
      group: now.gid,
      home: now.home,
      shell: now.shell,
      comment: now.comment,
      state: 'present',
    };
    if (first === undefined) return unchanged(`user ${name} is as wanted`, result);
    return change(
      `${name}: ${because.join(', ')}`,
      [{ kind: 'run', what: `change user ${name}`, script: lines(sh`set -e`, first, ...rest) }],
      { touches: ['account:*', 'file:*', 'content:*'], result: () => result },
    );
  },
});

interface UserArgs {
  readonly name: string;
  readonly uid?: number;
  readonly group?: string;
  readonly groups?: readonly string[];
  readonly append?: boolean;
  readonly shell?: string;
  readonly home?: string;
  readonly create_home?: boolean;
  readonly move_home?: boolean;
  readonly comment?: string;
  readonly password?: string | Secret;
  readonly password_lock?: boolean;
  readonly system?: boolean;
  readonly non_unique?: boolean;
}

/** The hash is compared by its own hash, which is all that left the host. A locked account has a `!` before it. */
function hasPassword(now: User, password: string, locked: boolean): boolean {
  return [password, ...(locked || now.locked ? [`!${password}`] : [])].some(
    (one) => sha256Of(one) === now.passwordSha256,
  );
}

// chpasswd reads its stdin, and printf is a builtin: no hash in any process's arguments.
function passwordScript(name: string, hash: string): ShellScript {
  return sh`printf '%s:%s\\n' ${name} ${hash} | chpasswd -e`;
}

function addScript(args: UserArgs, password: string | undefined): ShellScript {
  const { name } = args;
  const options = [
    ...(args.system === true ? ['-r'] : []),
    ...(args.uid === undefined ? [] : ['-u', String(args.uid), ...(args.non_unique === true ? ['-o'] : [])]),
    ...(args.group === undefined ? [] : ['-g', args.group]),
    ...(args.groups === undefined || args.groups.length === 0 ? [] : ['-G', args.groups.join(',')]),
    ...(args.shell === undefined ? [] : ['-s', args.shell]),
    ...(args.home === undefined ? [] : ['-d', args.home]),
    ...(args.comment === undefined ? [] : ['-c', args.comment]),
    args.create_home === false ? '-M' : '-m',
  ];
  const busybox = [
    '-D',
    ...(args.system === true ? ['-S'] : []),
    ...(args.uid === undefined ? [] : ['-u', String(args.uid)]),
    ...(args.group === undefined ? [] : ['-G', args.group]),
    ...(args.shell === undefined ? [] : ['-s', args.shell]),
    ...(args.home === undefined ? [] : ['-h', args.home]),
    ...(args.comment === undefined ? [] : ['-g', args.comment]),
    ...(args.create_home === false ? ['-H'] : []),
  ];
  const groups = (args.groups ?? []).map((group) => sh`addgroup ${name} ${group}`);
  return lines(
    sh`set -e`,
    sh`if command -v useradd >/dev/null 2>&1; then`,
    sh`  useradd ${options} ${name}`,
    sh`else`,
    sh`  adduser ${busybox} ${name}`,
    ...groups,
    sh`fi`,
    ...(password === undefined ? [] : [passwordScript(name, password)]),
    ...(args.password_lock === true ? [sh`usermod -L ${name}`] : []),
  );
}

function differences(now: User, args: UserArgs): { options: string[]; because: string[] } {
  const options: string[] = [];
  const because: string[] = [];
  const differ = (what: string, is: string | number, shall: string | number, ...flags: string[]) => {
    because.push(`${what} ${is} → ${shall}`);
    options.push(...flags);
  };
  if (args.uid !== undefined && args.uid !== now.uid) {
    differ('uid', now.uid, args.uid, '-u', String(args.uid), ...(args.non_unique === true ? ['-o'] : []));
  }
  if (args.group !== undefined && args.group !== now.group && args.group !== String(now.gid)) {
    differ('group', now.group, args.group, '-g', args.group);
  }
  if (args.shell !== undefined && args.shell !== now.shell)
    differ('shell', now.shell, args.shell, '-s', args.shell);
  if (args.comment !== undefined && args.comment !== now.comment)
    differ('comment', now.comment, args.comment, '-c', args.comment);
  if (args.home !== undefined && args.home !== now.home) {
    differ('home', now.home, args.home, '-d', args.home, ...(args.move_home === true ? ['-m'] : []));
  }
  if (args.groups !== undefined) {
    const wanted = [...new Set(args.groups.filter((group) => group !== (args.group ?? now.group)))].sort();
    const missing = wanted.filter((group) => !now.groups.includes(group));
    const extra = args.append === true ? [] : now.groups.filter((group) => !wanted.includes(group));
    if (missing.length > 0 || extra.length > 0) {
      const target = args.append === true ? [...now.groups, ...missing] : wanted;
      differ('groups', now.groups.join(',') || 'none', target.join(',') || 'none', '-G', target.join(','));
    }
  }
  return { options, because };
}
