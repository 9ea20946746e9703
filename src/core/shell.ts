/** Text that is already valid POSIX sh. Only `sh` and `raw` make it, so nothing else can reach a host's shell unquoted. */
export class ShellScript {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/**
 * One word for a POSIX shell, in single quotes (`$'…'` is wrong under dash). The only place in fleet that quotes.
 * @throws RangeError for a NUL byte, which no shell word can hold.
 */
export function quote(word: string): string {
  if (word.includes('\0')) throw new RangeError('a shell word cannot hold a NUL byte');
  if (/^[A-Za-z0-9_/:=.,@%+-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

type Interpolated = string | number | ShellScript | readonly (string | number | ShellScript)[];

/**
 * A shell script from a template: every interpolated string is quoted as one word, every array as that many words,
 * and a nested `ShellScript` stands as it is: sh`install -m ${mode} ${from} ${to}`.
 */
export function sh(strings: TemplateStringsArray, ...values: readonly Interpolated[]): ShellScript {
  return new ShellScript(
    strings.reduce((text, part, index) => {
      const value = values[index - 1];
      return `${text}${value === undefined ? '' : interpolate(value)}${part}`;
    }),
  );
}

/** A script that somebody else wrote (a user's `shell` step, a file). It is run as it stands. */
export function raw(text: string): ShellScript {
  return new ShellScript(text);
}

/** Scripts one after the other, each on lines of its own. */
export function lines(...scripts: readonly ShellScript[]): ShellScript {
  return new ShellScript(scripts.map((script) => script.text).join('\n'));
}

function interpolate(value: Interpolated): string {
  if (value instanceof ShellScript) return value.text;
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number') return String(value);
  return value.map((item) => interpolate(item)).join(' ');
}

/**
 * A script that is asked of many things: alone it stands for `script()`, beside others of the same kind they share one subshell, and
 * what can be found out for all at once is, by one program instead of many.
 */
export interface AskedOfMany {
  /** What it is about: `$p` in `each`. */
  readonly about: string;
  /** Runs once, with all that is asked about as `"$@"`, which it leaves as it is. */
  readonly before?: ShellScript;
  /** Runs for each. It neither exits nor execs, and says nothing on stderr that only makes sense alone. */
  readonly each: ShellScript;
}

/** The script for one thing alone. */
export function alone({ about, before, each }: AskedOfMany): ShellScript {
  return lines(sh`p=${about}`, ...(before === undefined ? [] : [sh`set -- "$p"`, before]), each);
}
