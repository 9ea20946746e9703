/** A place in a file that a person can jump to. Lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
}

/** `file:line:column`, as editors and terminals understand it. */
export function formatPlace(place: Place): string {
  return [place.file, place.line, place.column].filter((part) => part !== undefined).join(':');
}

/**
 * Who must act on an error, which also decides the exit code:
 * `usage` (flags, inventory, playbook; 64), `run` (a host, a network answer, a refused plan; 1),
 * `fleet` (a defect of ours; 70).
 */
export type Blame = 'usage' | 'run' | 'fleet';

export interface Fault {
  /** Stable upper-case identifier, listed in docs/errors.md, e.g. `HOST_KEY_CHANGED`. */
  readonly code: string;
  /** One lower-case sentence that names the wrong value. */
  readonly message: string;
  /** What to do next, as an imperative sentence or a command. */
  readonly fix?: string;
  readonly host?: string;
  readonly step?: string;
  readonly where?: Place;
  readonly blame?: Blame;
}

/** An error that a person is meant to read: one message, where it stands and what to do next. Never shown with a stack. */
export class FleetError extends Error implements Fault {
  override readonly name = 'FleetError';
  readonly code: string;
  readonly fix?: string;
  readonly host?: string;
  readonly step?: string;
  readonly where?: Place;
  readonly blame: Blame;

  constructor(fault: Fault, options?: { cause?: unknown }) {
    super(fault.message, options);
    this.code = fault.code;
    this.blame = fault.blame ?? 'run';
    if (fault.fix !== undefined) this.fix = fault.fix;
    if (fault.host !== undefined) this.host = fault.host;
    if (fault.step !== undefined) this.step = fault.step;
    if (fault.where !== undefined) this.where = fault.where;
  }

  /** The same error with a host, step or place filled in where it had none. */
  within(context: Pick<Fault, 'host' | 'step' | 'where'>): FleetError {
    return new FleetError({ ...context, ...this.toFault() }, { cause: this.cause });
  }

  toFault(): Fault {
    return {
      code: this.code,
      message: this.message,
      blame: this.blame,
      ...(this.fix === undefined ? {} : { fix: this.fix }),
      ...(this.host === undefined ? {} : { host: this.host }),
      ...(this.step === undefined ? {} : { step: this.step }),
      ...(this.where === undefined ? {} : { where: this.where }),
    };
  }
}

/** Several faults found at once, e.g. everything that is wrong with an inventory. Never empty. */
export class FleetErrors extends Error {
  override readonly name = 'FleetErrors';

  constructor(readonly errors: readonly [FleetError, ...FleetError[]]) {
    super(errors.map((error) => error.message).join('\n'));
  }

  /** Throws what was collected: nothing, the one error, or all of them together. */
  static throwIfAny(errors: readonly FleetError[]): void {
    const [first, ...rest] = errors;
    if (first === undefined) return;
    throw rest.length === 0 ? first : new FleetErrors([first, ...rest]);
  }
}

/** Every FleetError inside whatever was thrown; anything else becomes one `INTERNAL` error that asks for a bug report. */
export function asFleetErrors(thrown: unknown): readonly [FleetError, ...FleetError[]] {
  if (thrown instanceof FleetErrors) return thrown.errors;
  if (thrown instanceof FleetError) return [thrown];
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return [
    new FleetError(
      {
        code: 'INTERNAL',
        message: `fleet met a defect of its own: ${message}`,
        fix: 'Run again with FLEET_DEBUG=1 and report what it prints.',
        blame: 'fleet',
      },
      { cause: thrown },
    ),
  ];
}
