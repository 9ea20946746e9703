import type { Console } from './console.ts';
import type { ExitCode } from './exit-codes.ts';
import type { Flag, FlagGroup } from './flags.ts';
import type { Settings } from './settings.ts';

/** A command as data: parsing, help, completion and the reference page are drawn from it; its code is loaded when it runs. */
export interface Command {
  readonly name: string;
  /** One sentence without a full stop at the start of the help. */
  readonly summary: string;
  /** More, for `fleet help NAME`. */
  readonly details?: string;
  readonly arguments: readonly Argument[];
  /** What stands after `--`, where the command takes that. */
  readonly trailing?: Argument;
  readonly groups: readonly FlagGroup[];
  readonly flags: readonly Flag[];
  readonly examples: readonly string[];
  readonly hidden?: true;
  readonly load: () => Promise<RunCommand>;
}

export interface Argument {
  /** `<file>` must be given, `[pattern]` may be. */
  readonly name: string;
  readonly description: string;
  readonly completes?: 'file' | 'folder' | 'pattern' | 'command' | 'step' | 'variable' | readonly string[];
}

/** What a command was called with. */
export interface Invocation {
  readonly arguments: readonly string[];
  /** What stood after `--`; `undefined` where there was no `--`. */
  readonly trailing: readonly string[] | undefined;
  readonly settings: Settings;
  /** The command's own flags. */
  readonly flags: OwnFlags;
  readonly console: Console;
}

export type RunCommand = (invocation: Invocation) => Promise<ExitCode>;

/** Typed reading of a command's own flags. */
export class OwnFlags {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  has(key: string): boolean {
    return this.#values[key] === true;
  }

  text(key: string): string | undefined {
    const value = this.#values[key];
    return typeof value === 'string' ? value : undefined;
  }

  list(key: string): readonly string[] {
    const value = this.#values[key];
    return Array.isArray(value) ? value.map(String) : [];
  }
}
