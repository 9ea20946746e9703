import { Type } from '@sinclair/typebox';
import { reveal, type Secret } from '../core/secret.ts';
import { lines, type ShellScript, sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type User, type UserKey, user, userKey } from '../facts/account.ts';
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
    expires: optional(
      text('When the account ends, in seconds since 1970 (the day counts); negative: never.'),
    ),
    password_expire_max: optional(whole('Days after which a password must be changed.')),
    password_expire_min: optional(whole('Days before which a password cannot be changed.')),
    skeleton: optional(path('The folder that a new home is a copy of. Default /etc/skel.')),
    umask: optional(text("A new home's permissions: 0077 makes it private.")),
    generate_ssh_key: optional(flag('The user has an SSH key; one that is there stays.')),
    ssh_key_file: optional(text('Where, absolute or in the home. Default .ssh/id_TYPE.')),
    ssh_key_type: optional(text("Default rsa, as Ansible's. ed25519 is shorter and no weaker.")),
    ssh_key_bits: optional(whole("Its length; ssh-keygen's default for the type where it is not given.")),
    ssh_key_comment: optional(text('Its comment. Default fleet-generated.')),
    ssh_key_passphrase: optional(secretText('What opens it. Default: nothing is needed.')),
    local: optional(anything('Ignored: accounts of the host itself are looked after.')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly user: User | undefined;
  readonly key?: UserKey;
}

/** Ansible's `user`. */
export const userStep = defineStep<typeof args, Seen>({
  name: 'user',
  summary: 'A user exists with certain groups, shell, home and password, or does not exist.',
  args,
  examples: [`- user:\n    name: deploy\n    groups: [sudo]\n    append: true\n    shell: /bin/bash`],
  look: (args) => ({
    user: ask(user(args.name)),
    ...(args.generate_ssh_key === true && args.state !== 'absent'
      ? { key: ask(userKey(args.name, keyFileOf(args))) }
      : {}),
  }),
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
    const expiry = args.expires === undefined ? undefined : Number(args.expires);
    if (expiry !== undefined && !Number.isFinite(expiry))
      return refuse(`expires is ${args.expires}`, 'Give seconds since 1970, or -1.');
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
          result: (answers) => ({
            name,
            state: 'present',
            create_home: args.create_home !== false,
            ...keyResult(answers[0]?.stdout),
          }),
        },
      );
    }
    const { options, because } = differences(now, args);
    const scripts: ShellScript[] = [];
    if (options.length > 0) scripts.push(sh`usermod ${options} ${name}`);
    const aging = agingOptions(args, now.aging);
    if (aging.options.length > 0) {
      because.push(...aging.because);
      scripts.push(sh`chage ${aging.options} ${name}`);
    }
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
    const { key } = seen;
    if (key !== undefined && !key.exists) {
      because.push(`there is no key ${key.file ?? keyFileOf(args)}`);
      scripts.push(keyScript(args));
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
      ...(key?.exists === true
        ? { ssh_key_file: key.file, ssh_public_key: key.publicKey, ssh_fingerprint: key.fingerprint }
        : {}),
    };
    if (first === undefined) return unchanged(`user ${name} is as wanted`, result);
    return change(
      `${name}: ${because.join(', ')}`,
      [{ kind: 'run', what: `change user ${name}`, script: lines(sh`set -e`, first, ...rest) }],
      {
        touches: ['account:*', 'file:*', 'content:*'],
        result: (answers) => ({ ...result, ...keyResult(answers[0]?.stdout) }),
      },
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
  readonly expires?: string;
  readonly password_expire_max?: number;
  readonly password_expire_min?: number;
  readonly skeleton?: string;
  readonly umask?: string;
  readonly generate_ssh_key?: boolean;
  readonly ssh_key_file?: string;
  readonly ssh_key_type?: string;
  readonly ssh_key_bits?: number;
  readonly ssh_key_comment?: string;
  readonly ssh_key_passphrase?: string | Secret;
}

function keyFileOf(args: UserArgs): string {
  return args.ssh_key_file ?? `.ssh/id_${args.ssh_key_type ?? 'rsa'}`;
}

/**
 * Makes the key as its user, so that nobody else ever owns it. A passphrase comes over stdin and reaches ssh-keygen by
 * SSH_ASKPASS, since arguments are for all to see.
 */
function keyScript(args: UserArgs): ShellScript {
  const words = [
    ...['-q', '-t', args.ssh_key_type ?? 'rsa'],
    ...(args.ssh_key_bits === undefined ? [] : ['-b', String(args.ssh_key_bits)]),
    ...['-C', args.ssh_key_comment ?? 'fleet-generated'],
  ];
  const passphrase = args.ssh_key_passphrase === undefined ? '' : reveal(args.ssh_key_passphrase);
  const make = lines(
    sh`set -e; umask 077`,
    sh`f=${keyFileOf(args)}; case $f in /*) ;; *) f=~/$f ;; esac`,
    sh`mkdir -p -- "$(dirname "$f")"`,
    ...(passphrase === ''
      ? [sh`ssh-keygen ${words} -N '' -f "$f" </dev/null`]
      : [
          sh`d=$(mktemp -d); trap 'rm -rf "$d"' EXIT; cat >"$d/passphrase"`,
          sh`printf '#!/bin/sh\\nexec cat "%s/passphrase"\\n' "$d" >"$d/ask"; chmod 700 "$d/ask"`,
          sh`DISPLAY=: SSH_ASKPASS="$d/ask" SSH_ASKPASS_REQUIRE=force ssh-keygen ${words} -f "$f" </dev/null`,
        ]),
    sh`printf '%s\\n' "ssh_key_file=$f"; cat "$f.pub"; ssh-keygen -l -f "$f.pub"`,
  );
  return sh`printf '%s\\n' ${passphrase} | su -s /bin/sh ${args.name} -c ${make.text}`;
}

/** What `register` keeps of a key that was made, from what its script printed. */
function keyResult(stdout = ''): Readonly<Record<string, string>> {
  const match = /^ssh_key_file=(.*)\n(.*)\n(.*)/m.exec(stdout);
  if (match === null) return {};
  const [, file = '', publicKey = '', fingerprint = ''] = match;
  return { ssh_key_file: file, ssh_public_key: publicKey, ssh_fingerprint: fingerprint };
}

/** What chage is told of the account, where it differs; without `now`, of a new one. */
function agingOptions(args: UserArgs, now?: User['aging']): { options: string[]; because: string[] } {
  const options: string[] = [];
  const because: string[] = [];
  const differ = (what: string, is: number | undefined, shall: number, flag: string): void => {
    if (is === shall) return;
    because.push(`${what} ${is ?? 'none'} → ${shall < 0 ? 'none' : shall}`);
    options.push(flag, String(shall));
  };
  if (args.password_expire_max !== undefined)
    differ('longest days of a password', now?.atMost, args.password_expire_max, '-M');
  if (args.password_expire_min !== undefined)
    differ('fewest days of a password', now?.atLeast, args.password_expire_min, '-m');
  if (args.expires !== undefined) {
    const day = Number(args.expires) < 0 ? -1 : Math.floor(Number(args.expires) / 86_400);
    if (day >= 0 || now?.endsOnDay !== undefined) differ('last day', now?.endsOnDay, day, '-E');
  }
  return { options, because };
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
  const aging = agingOptions(args).options;
  const options = [
    ...(args.system === true ? ['-r'] : []),
    ...(args.uid === undefined ? [] : ['-u', String(args.uid), ...(args.non_unique === true ? ['-o'] : [])]),
    ...(args.group === undefined ? [] : ['-g', args.group]),
    ...(args.groups === undefined || args.groups.length === 0 ? [] : ['-G', args.groups.join(',')]),
    ...(args.shell === undefined ? [] : ['-s', args.shell]),
    ...(args.home === undefined ? [] : ['-d', args.home]),
    ...(args.comment === undefined ? [] : ['-c', args.comment]),
    ...(args.skeleton === undefined ? [] : ['-k', args.skeleton]),
    ...(args.umask === undefined ? [] : ['-K', `UMASK=${args.umask}`]),
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
    ...(args.generate_ssh_key === true ? [keyScript(args)] : []),
    ...(aging.length === 0 ? [] : [sh`chage ${aging} ${name}`]),
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
