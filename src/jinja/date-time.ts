/** Python's naive `datetime`: a date and time of no time zone. */
export class DateTime {
  constructor(
    /** As if it were UTC. */
    readonly milliseconds: number,
    /** The part below a millisecond. */
    readonly microseconds = 0,
  ) {}

  /** `2024-05-01 12:00:00`, with microseconds where there are any. */
  toString(): string {
    return this.#text(' ');
  }

  isoformat(): string {
    return this.#text('T');
  }

  #text(between: string): string {
    const [date = '', time = ''] = new Date(this.milliseconds).toISOString().split('T');
    const fraction = (((this.milliseconds % 1000) + 1000) % 1000) * 1000 + this.microseconds;
    return `${date}${between}${time.slice(0, 8)}${fraction === 0 ? '' : `.${padded(fraction, 6)}`}`;
  }
}

/** Python's `timedelta`. */
export class TimeDelta {
  constructor(readonly microseconds: number) {}

  toString(): string {
    const { days, seconds, micros } = this.parts();
    const clock = `${Math.floor(seconds / 3600)}:${padded(Math.floor(seconds / 60) % 60, 2)}:${padded(seconds % 60, 2)}`;
    const day = days === 0 ? '' : `${days} day${Math.abs(days) === 1 ? '' : 's'}, `;
    return `${day}${clock}${micros === 0 ? '' : `.${padded(micros, 6)}`}`;
  }

  parts(): { readonly days: number; readonly seconds: number; readonly micros: number } {
    const days = Math.floor(this.microseconds / 86_400_000_000);
    const rest = this.microseconds - days * 86_400_000_000;
    return { days, seconds: Math.floor(rest / 1_000_000), micros: rest % 1_000_000 };
  }
}

/** The order of two dates or two spans; `undefined` for other values. */
export function compareTimes(left: unknown, right: unknown): number | undefined {
  if (left instanceof DateTime && right instanceof DateTime)
    return left.milliseconds - right.milliseconds || left.microseconds - right.microseconds;
  if (left instanceof TimeDelta && right instanceof TimeDelta) return left.microseconds - right.microseconds;
  return undefined;
}

/** A whole number with zeros in front. */
export function padded(number: number, width: number): string {
  return String(Math.trunc(number)).padStart(width, '0');
}
