import { FilterArguments } from './arguments.ts';
import { DateTime, padded, TimeDelta } from './date-time.ts';
import { TemplateError } from './error.ts';
import type { Filter } from './evaluator.ts';
import { isNumber, makeFloat, numberOf, toText } from './value.ts';

/** The attributes and methods of dates and spans that templates use; `undefined` for others. */
export function timeAttribute(value: DateTime | TimeDelta, name: string): unknown {
  if (value instanceof TimeDelta) {
    const { days, seconds, micros } = value.parts();
    const known: Readonly<Record<string, unknown>> = { days, seconds, microseconds: micros };
    return Object.hasOwn(known, name) ? known[name] : undefined;
  }
  const date = new Date(value.milliseconds);
  const known: Readonly<Record<string, number>> = {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    microsecond: date.getUTCMilliseconds() * 1000 + value.microseconds,
  };
  return Object.hasOwn(known, name) ? known[name] : undefined;
}

const DATE_METHODS = ['strftime', 'isoformat', 'timestamp', 'weekday', 'isoweekday', 'toordinal'];

export function isTimeMethod(value: unknown, name: string): boolean {
  if (value instanceof TimeDelta) return name === 'total_seconds';
  return value instanceof DateTime && DATE_METHODS.includes(name);
}

export function callTimeMethod(value: DateTime | TimeDelta, name: string, args: readonly unknown[]): unknown {
  if (value instanceof TimeDelta) return makeFloat(value.microseconds / 1_000_000);
  const date = new Date(value.milliseconds);
  switch (name) {
    case 'strftime':
      return formatTime(toText(args[0] ?? ''), date, 0, 'UTC', value.microseconds);
    case 'isoformat':
      return value.isoformat();
    case 'timestamp':
      // Of no time zone: Python takes it for local time.
      return makeFloat(
        new Date(
          date.getUTCFullYear(),
          date.getUTCMonth(),
          date.getUTCDate(),
          date.getUTCHours(),
          date.getUTCMinutes(),
          date.getUTCSeconds(),
          date.getUTCMilliseconds(),
        ).getTime() / 1000,
      );
    case 'weekday':
      return (date.getUTCDay() + 6) % 7;
    case 'isoweekday':
      return ((date.getUTCDay() + 6) % 7) + 1;
    default:
      return Math.floor(value.milliseconds / 86_400_000) + 719_163;
  }
}

/** `a - b` and `a + b` of dates and spans; `undefined` where neither is one. @throws TemplateError for a mix that means nothing */
export function timeArithmetic(operator: string, left: unknown, right: unknown): unknown {
  const isTime = (value: unknown): value is DateTime | TimeDelta =>
    value instanceof DateTime || value instanceof TimeDelta;
  if (!isTime(left) && !isTime(right)) return undefined;
  const of = (value: DateTime | TimeDelta): number =>
    value instanceof DateTime ? value.milliseconds * 1000 + value.microseconds : value.microseconds;
  if (isTime(left) && isTime(right)) {
    if (operator === '-' && left instanceof DateTime === right instanceof DateTime)
      return new TimeDelta(of(left) - of(right));
    if (operator === '+' && left instanceof TimeDelta && right instanceof TimeDelta)
      return new TimeDelta(of(left) + of(right));
    if (left instanceof DateTime && right instanceof TimeDelta && (operator === '+' || operator === '-'))
      return dateAt(of(left) + (operator === '+' ? 1 : -1) * of(right));
    if (left instanceof TimeDelta && right instanceof DateTime && operator === '+')
      return dateAt(of(left) + of(right));
  }
  throw new TemplateError('failed', `"${operator}" does not work between these dates and times`);
}

function dateAt(microseconds: number): DateTime {
  const milliseconds = Math.floor(microseconds / 1000);
  return new DateTime(milliseconds, microseconds - milliseconds * 1000);
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** strftime(3) in the C locale. The date's UTC fields are what is shown. */
function formatTime(
  format: string,
  date: Date,
  offsetMinutes: number,
  zone: string,
  microseconds = 0,
): string {
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  const [hour, minute, second, weekday] = [
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    date.getUTCDay(),
  ];
  const dayOfYear = Math.floor((Date.UTC(year, month, day) - Date.UTC(year, 0, 1)) / 86_400_000);
  const offset = `${offsetMinutes < 0 ? '-' : '+'}${padded(Math.abs(offsetMinutes) / 60, 2)}${padded(Math.abs(offsetMinutes) % 60, 2)}`;
  const iso = isoWeek(date);
  const again = (inner: string): string => formatTime(inner, date, offsetMinutes, zone, microseconds);
  const codes: Readonly<Record<string, () => string>> = {
    a: () => (DAYS[weekday] ?? '').slice(0, 3),
    A: () => DAYS[weekday] ?? '',
    b: () => (MONTHS[month] ?? '').slice(0, 3),
    B: () => MONTHS[month] ?? '',
    c: () => again('%a %b %e %H:%M:%S %Y'),
    C: () => padded(year / 100, 2),
    d: () => padded(day, 2),
    D: () => again('%m/%d/%y'),
    e: () => String(day).padStart(2),
    f: () => padded(date.getUTCMilliseconds() * 1000 + microseconds, 6),
    F: () => again('%Y-%m-%d'),
    g: () => padded(iso.year % 100, 2),
    G: () => String(iso.year),
    h: () => again('%b'),
    H: () => padded(hour, 2),
    I: () => padded(hour % 12 || 12, 2),
    j: () => padded(dayOfYear + 1, 3),
    k: () => String(hour).padStart(2),
    l: () => String(hour % 12 || 12).padStart(2),
    m: () => padded(month + 1, 2),
    M: () => padded(minute, 2),
    n: () => '\n',
    p: () => (hour < 12 ? 'AM' : 'PM'),
    P: () => (hour < 12 ? 'am' : 'pm'),
    r: () => again('%I:%M:%S %p'),
    R: () => again('%H:%M'),
    s: () => String(Math.floor(date.getTime() / 1000) - offsetMinutes * 60),
    S: () => padded(second, 2),
    t: () => '\t',
    T: () => again('%H:%M:%S'),
    u: () => String(weekday || 7),
    U: () => padded((dayOfYear + 7 - weekday) / 7, 2),
    V: () => padded(iso.week, 2),
    w: () => String(weekday),
    W: () => padded((dayOfYear + 7 - ((weekday + 6) % 7)) / 7, 2),
    x: () => again('%m/%d/%y'),
    X: () => again('%H:%M:%S'),
    y: () => padded(year % 100, 2),
    Y: () => String(year),
    z: () => offset,
    Z: () => zone,
    '%': () => '%',
  };
  return format.replace(/%([-_0^#]?)([a-zA-Z%])/g, (whole, flag: string, code: string) => {
    const text = Object.hasOwn(codes, code) ? codes[code]?.() : undefined;
    if (text === undefined) return whole;
    if (flag === '-') return text.replace(/^[0 ]+(?=.)/, '');
    if (flag === '_') return text.replace(/^0+(?=.)/, (zeros) => ' '.repeat(zeros.length));
    return flag === '^' ? text.toUpperCase() : text;
  });
}

/** ISO 8601: weeks begin on Monday, and the first has the first Thursday of the year. */
function isoWeek(date: Date): { readonly year: number; readonly week: number } {
  const thursday = new Date(date.getTime());
  thursday.setUTCDate(date.getUTCDate() + 3 - ((date.getUTCDay() + 6) % 7));
  const year = thursday.getUTCFullYear();
  return { year, week: 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / 604_800_000) };
}

function strftime(format: string, args: FilterArguments): string {
  const second = args.get(0, 'second');
  const text = second === undefined || second === null ? undefined : toText(second);
  if (text !== undefined && !/^[-+]?\d+(?:\.\d*)?$/.test(text.trim()))
    throw new TemplateError('failed', `strftime needs seconds since 1970, not "${text}"`);
  const at = new Date(text === undefined ? Date.now() : Number(text) * 1000);
  if (Number.isNaN(at.getTime())) throw new TemplateError('failed', 'strftime: the time is out of range');
  if (args.flag(1, 'utc', false)) return formatTime(format, at, 0, 'UTC');
  const offset = -at.getTimezoneOffset();
  const zone =
    new Intl.DateTimeFormat('en', { timeZoneName: 'short' })
      .formatToParts(at)
      .find(({ type }) => type === 'timeZoneName')?.value ?? '';
  return formatTime(format, new Date(at.getTime() + offset * 60_000), offset, zone);
}

/** What each code of strptime(3) reads. */
const READS: Readonly<Record<string, string>> = {
  Y: '(?<Y>\\d{4})',
  y: '(?<y>\\d{2})',
  m: '(?<m>1[0-2]|0?[1-9])',
  d: '(?<d>3[01]|[12]\\d|0?[1-9]| [1-9])',
  H: '(?<H>2[0-3]|[01]?\\d)',
  I: '(?<I>1[0-2]|0?[1-9])',
  M: '(?<M>[0-5]?\\d)',
  S: '(?<S>6[01]|[0-5]?\\d)',
  f: '(?<f>\\d{1,6})',
  p: '(?<p>[AaPp][Mm])',
  b: `(?<b>${MONTHS.map((name) => name.slice(0, 3)).join('|')})`,
  B: `(?<B>${MONTHS.join('|')})`,
  a: `(?:${DAYS.map((name) => name.slice(0, 3)).join('|')})`,
  A: `(?:${DAYS.join('|')})`,
  j: '(?<j>36[0-6]|3[0-5]\\d|[12]\\d\\d|0?\\d?\\d)',
  '%': '%',
};

function toDatetime(text: string, format: string): DateTime {
  const full = format.replaceAll('%T', '%H:%M:%S').replaceAll('%D', '%m/%d/%y').replaceAll('%R', '%H:%M');
  const source = full.replace(/%([a-zA-Z%])|\s+|[\\^$.*+?()[\]{}|/]/g, (token, code: string | undefined) => {
    if (code === undefined) return /^\s/.test(token) ? '\\s+' : `\\${token}`;
    const pattern = READS[code];
    if (pattern === undefined) throw new TemplateError('failed', `to_datetime does not know "%${code}"`);
    return pattern;
  });
  let match: RegExpExecArray | null;
  try {
    match = new RegExp(`^${source}$`, 'i').exec(text);
  } catch {
    throw new TemplateError('failed', `to_datetime cannot use the format "${format}"`);
  }
  if (match === null) throw new TemplateError('failed', `"${text}" is not of the form "${format}"`);
  const found: Readonly<Record<string, string | undefined>> = match.groups ?? {};
  const number = (code: string, otherwise: number): number =>
    found[code] === undefined ? otherwise : Number(found[code]);
  const short = number('y', 0);
  const year = number('Y', found.y === undefined ? 1900 : short < 69 ? 2000 + short : 1900 + short);
  const named = (found.b ?? found.B)?.slice(0, 3).toLowerCase();
  const month =
    named === undefined
      ? number('m', 1) - 1
      : MONTHS.findIndex((name) => name.slice(0, 3).toLowerCase() === named);
  const isAfternoon = found.p?.toLowerCase() === 'pm';
  const hour = found.I === undefined ? number('H', 0) : (number('I', 12) % 12) + (isAfternoon ? 12 : 0);
  const micros = Number((found.f ?? '0').padEnd(6, '0'));
  const day = found.j === undefined ? number('d', 1) : number('j', 1);
  const date = new Date(0);
  date.setUTCFullYear(year, found.j === undefined ? month : 0, day);
  if (found.j === undefined && date.getUTCDate() !== day)
    throw new TemplateError('failed', `"${text}" is a day that does not exist`);
  date.setUTCHours(hour, number('M', 0), number('S', 0), Math.floor(micros / 1000));
  return new DateTime(date.getTime(), micros % 1000);
}

/** Ansible's filters of dates. */
export const TIME_FILTERS: Readonly<Record<string, Filter>> = {
  strftime: {
    apply: (value, args, named) => strftime(toText(value), new FilterArguments(args, named)),
  },
  to_datetime: {
    apply: (value, args, named) =>
      value instanceof DateTime
        ? value
        : toDatetime(
            isNumber(value) ? String(numberOf(value)) : toText(value),
            new FilterArguments(args, named).text(0, 'format', '%Y-%m-%d %H:%M:%S'),
          ),
  },
};
