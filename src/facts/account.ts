import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import type { Answer } from '../ssh/connection.ts';

/** A user of a host. */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly group: string;
  readonly comment: string;
  readonly home: string;
  readonly shell: string;
  /** Supplementary groups, sorted. */
  readonly groups: readonly string[];
  /** The password field of /etc/shadow as a hash of itself: enough to see whether it is a certain one. Empty when it cannot be read. */
  readonly passwordSha256: string;
  /** No password opens the account (`!`, `*` or `!hash`). */
  readonly locked: boolean;
  /** Of /etc/shadow, in days; `undefined` where nothing is set or it cannot be read. */
  readonly aging: {
    /** A password cannot be changed sooner. */
    readonly atLeast?: number;
    /** A password must be changed by then. */
    readonly atMost?: number;
    /** The account ends on this day, counted from 1970. */
    readonly endsOnDay?: number;
  };
}

/** A user by name; `undefined` when there is none. The password hash never leaves the host. Source: getent or /etc/passwd, id, /etc/shadow. */
export function user(name: string): Fact<User | undefined> {
  return {
    key: `account:user ${name}`,
    sh: sh`u=${name}
l=$(getent passwd "$u" 2>/dev/null || grep -e ${`^${escaped(name)}:`} /etc/passwd)
if [ -n "$l" ]; then
  printf '%s\\n' "$l" | head -n 1
  id -gn "$u"; id -Gn "$u"
  p=$(grep -e ${`^${escaped(name)}:`} /etc/shadow 2>/dev/null | cut -d : -f 2)
  case $p in '!'*|'*'*) echo locked ;; *) echo open ;; esac
  if [ -r /etc/shadow ]; then printf %s "$p" | sha256sum; else echo -; fi
  grep -e ${`^${escaped(name)}:`} /etc/shadow 2>/dev/null | cut -d : -f 4,5,8
fi`,
    parse: parseUser,
  };
}

function escaped(name: string): string {
  return name.replace(/[.[\]*^$\\]/g, '\\$&');
}

/** The parser of `user`: nothing, or passwd line, group, groups, locked, hash, aging. */
export function parseUser(answer: Answer): User | undefined {
  const [line = '', group = '', groups = '', lock = '', hash = '', aging = ''] = answer.stdout.split('\n');
  if (line === '') return undefined;
  const [name = '', , uid = '', gid = '', comment = '', home = '', shell = ''] = line.split(':');
  if (!/^\d+$/.test(uid)) throw new Error(`getent answered ${JSON.stringify(line)}`);
  return {
    name,
    uid: Number(uid),
    gid: Number(gid),
    group,
    comment,
    home,
    shell,
    groups: groups
      .split(' ')
      .filter((one) => one !== '' && one !== group)
      .sort(),
    passwordSha256: /^[0-9a-f]{64}/.exec(hash)?.[0] ?? '',
    locked: lock === 'locked',
    aging: agingOf(aging),
  };
}

// `0:99999:19700`, each of which may be empty.
function agingOf(fields: string): User['aging'] {
  const [atLeast, atMost, endsOnDay] = fields
    .split(':')
    .map((field) => (/^\d+$/.test(field) ? Number(field) : undefined));
  return {
    ...(atLeast === undefined ? {} : { atLeast }),
    ...(atMost === undefined ? {} : { atMost }),
    ...(endsOnDay === undefined ? {} : { endsOnDay }),
  };
}

/** A user's SSH key. */
export interface UserKey {
  /** Where it is, or would be. `undefined` where the user has no home yet. */
  readonly file: string | undefined;
  readonly exists: boolean;
  /** The text of FILE.pub; empty where there is none. */
  readonly publicKey: string;
  /** As `ssh-keygen -l` prints it. */
  readonly fingerprint: string;
}

/** A user's private key (its path absolute, or in their home) as far as it is public. Source: test, cat FILE.pub, ssh-keygen -l. */
export function userKey(name: string, path: string): Fact<UserKey> {
  return {
    key: `account:private key ${name} ${path}`,
    sh: sh`u=${name} f=${path}
h=$( (getent passwd "$u" 2>/dev/null || grep -e ${`^${escaped(name)}:`} /etc/passwd) | head -n 1 | cut -d : -f 6)
case $f in /*) ;; *) if [ -n "$h" ]; then f=$h/$f; else f=; fi ;; esac
echo "$f"
if [ -n "$f" ] && [ -e "$f" ]; then
  echo there; cat "$f.pub" 2>/dev/null | head -n 1; echo =
  ssh-keygen -l -f "$f.pub" 2>/dev/null
fi; true`,
    parse: (answer) => {
      const [file = '', there = '', ...rest] = answer.stdout.split('\n');
      const end = rest.indexOf('=');
      return {
        file: file === '' ? undefined : file,
        exists: there === 'there',
        publicKey: rest.slice(0, Math.max(0, end)).join('\n'),
        fingerprint: rest[end + 1] ?? '',
      };
    },
  };
}

/** A group by name; `undefined` when there is none. Source: getent or /etc/group. */
export function group(name: string): Fact<{ readonly name: string; readonly gid: number } | undefined> {
  return {
    key: `account:group ${name}`,
    sh: sh`getent group ${name} 2>/dev/null || grep -e ${`^${escaped(name)}:`} /etc/group; true`,
    parse: (answer) => {
      const [found = '', , gid = ''] = answer.stdout.split('\n')[0]?.split(':') ?? [];
      return found === '' ? undefined : { name: found, gid: Number(gid) };
    },
  };
}

/** Where a user's keys are and which are there. */
export interface AuthorizedKeys {
  readonly home: string | undefined;
  readonly group: string;
  /** The text of the file; empty when there is none. */
  readonly text: string;
  readonly exists: boolean;
  readonly mode: string;
  readonly owner: string;
}

/** A user's authorized_keys file, at `path` or in their home. Keys are public. Source: getent, cat, stat. */
export function authorizedKeys(name: string, path: string | undefined): Fact<AuthorizedKeys> {
  return {
    key: `account:keys ${name} ${path ?? ''}`,
    sh: sh`u=${name}
h=$( (getent passwd "$u" 2>/dev/null || grep -e ${`^${escaped(name)}:`} /etc/passwd) | head -n 1 | cut -d : -f 6)
echo "$h"; id -gn "$u" 2>/dev/null || echo
f=${path ?? ''}; [ -n "$f" ] || f=$h/.ssh/authorized_keys
if [ -n "$h$f" ] && [ -f "$f" ]; then stat -L -c '%a %U' "$f"; cat "$f"; else echo -; fi`,
    parse: (answer) => {
      const [home = '', group = '', stat = '-', ...text] = answer.stdout.split('\n');
      const [mode = '', owner = ''] = stat.split(' ');
      return {
        home: home === '' ? undefined : home,
        group,
        text: stat === '-' ? '' : text.join('\n'),
        exists: stat !== '-',
        mode: mode.padStart(4, '0'),
        owner,
      };
    },
  };
}

/** A user's crontab; empty when there is none. `undefined` when the host has no cron. Source: crontab -l. */
export function crontab(name: string | undefined): Fact<string | undefined> {
  const who = name === undefined ? [] : ['-u', name];
  return {
    key: `cron:${name ?? ''}`,
    sh: sh`if command -v crontab >/dev/null 2>&1; then echo =; crontab -l ${who} 2>/dev/null; fi; true`,
    parse: (answer) => (answer.stdout.startsWith('=\n') ? answer.stdout.slice(2) : undefined),
  };
}
