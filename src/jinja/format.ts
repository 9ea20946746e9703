import { TemplateError } from './error.ts';
import { dictGet, isDict, isFloat, isNumber, numberOf, repr, Tuple, toText, typeName } from './value.ts';

const PERCENT = /%(?:\(([^)]*)\))?([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d+))?[hlL]?([diouxXeEfFgGcrsa%])/g;
const WIDEST = 10_000;

/** Python's `template % values`. @throws TemplateError when they do not fit together. */
export function formatPercent(template: string, values: unknown): string {
  const list = values instanceof Tuple ? [...values] : [values];
  let next = 0;
  const take = (): unknown => {
    if (next >= list.length) throw new TemplateError('failed', 'not enough values for the format');
    next += 1;
    return list[next - 1];
  };
  let byName = false;
  const text = template.replace(
    PERCENT,
    (
      _whole,
      name: string | undefined,
      flags: string,
      width: string | undefined,
      precision: string | undefined,
      type: string,
    ) => {
      if (type === '%') return '%';
      const size = width === '*' ? Number(take()) : Number(width ?? 0);
      const digits =
        precision === '*' ? Number(take()) : precision === undefined ? undefined : Number(precision);
      let value: unknown;
      if (name === undefined) {
        value = take();
      } else {
        byName = true;
        if (!isDict(values)) throw new TemplateError('failed', 'the format needs a dict');
        value = dictGet(values, name);
        if (value === undefined) throw new TemplateError('failed', `the format needs a key '${name}'`);
      }
      const body = type === 'r' || type === 'a' ? repr(value) : type === 's' ? toText(value) : undefined;
      return pad(
        body === undefined ? formatNumber(value, type, digits, flags) : body.slice(0, digits),
        size,
        flags.includes('-') ? '<' : '>',
        flags.includes('0') && !flags.includes('-') && body === undefined ? '0' : ' ',
      );
    },
  );
  if (!byName && next < list.length && !isDict(values)) {
    throw new TemplateError('failed', 'too many values for the format');
  }
  return text;
}

function formatNumber(value: unknown, type: string, digits: number | undefined, flags = ''): string {
  if (type === 'c') return typeof value === 'number' ? String.fromCodePoint(value) : toText(value);
  const number = typeof value === 'boolean' ? Number(value) : isNumber(value) ? numberOf(value) : undefined;
  if (number === undefined)
    throw new TemplateError('failed', `the format needs a number, not ${typeName(value)}`);
  const size = Math.abs(number);
  const sign = number < 0 ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  return sign + digitsOf(size, type, digits, flags);
}

function digitsOf(size: number, type: string, digits: number | undefined, flags: string): string {
  const precision = Math.min(digits ?? 6, 100);
  const alternate = flags.includes('#');
  switch (type) {
    case 'x':
      return (alternate ? '0x' : '') + Math.trunc(size).toString(16);
    case 'X':
      return (alternate ? '0X' : '') + Math.trunc(size).toString(16).toUpperCase();
    case 'o':
      return (alternate ? '0o' : '') + Math.trunc(size).toString(8);
    case 'b':
      return (alternate ? '0b' : '') + Math.trunc(size).toString(2);
    case 'e':
    case 'E': {
      const text = size.toExponential(precision).replace(/e([+-])(\d)$/, 'e$10$2');
      return type === 'E' ? text.toUpperCase() : text;
    }
    case 'f':
    case 'F':
      return size.toFixed(precision);
    case 'g':
    case 'G': {
      const significant = Math.max(precision, 1);
      const exponent = size === 0 ? 0 : Math.floor(Math.log10(size));
      const text =
        exponent < -4 || exponent >= significant
          ? size
              .toExponential(significant - 1)
              .replace(/\.?0+e/, 'e')
              .replace(/e([+-])(\d)$/, 'e$10$2')
          : size
              .toPrecision(significant)
              .replace(/(\.\d*?)0+$/, '$1')
              .replace(/\.$/, '');
      return type === 'G' ? text.toUpperCase() : text;
    }
    default:
      return Math.trunc(size)
        .toFixed(0)
        .padStart(digits ?? 0, '0');
  }
}

function pad(text: string, width: number, align: string, fill: string): string {
  if (width > WIDEST) throw new TemplateError('limit', 'the format asks for too wide a field');
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  if (align === '<') return text + fill.repeat(missing);
  if (align === '^') return fill.repeat(Math.floor(missing / 2)) + text + fill.repeat(Math.ceil(missing / 2));
  const sign = fill === '0' ? (/^[-+ ]/.exec(text)?.[0] ?? '') : '';
  return sign + fill.repeat(missing) + text.slice(sign.length);
}

const FIELD = /\{\{|\}\}|\{([^{}!:]*)(?:!([rsa]))?(?::([^{}]*))?\}/g;
const SPEC = /^(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/u;

/** Python's `template.format(…)`. @throws TemplateError when they do not fit together. */
export function formatBraces(
  template: string,
  args: readonly unknown[],
  named: ReadonlyMap<string, unknown>,
): string {
  let next = 0;
  return template.replace(
    FIELD,
    (whole, path: string | undefined, conversion: string | undefined, spec: string | undefined) => {
      if (whole === '{{') return '{';
      if (whole === '}}') return '}';
      const [head = '', ...rest] = (path ?? '').split(/[.[]/).map((part) => part.replace(/\]$/, ''));
      let value: unknown;
      if (head === '') {
        value = args[next];
        next += 1;
      } else {
        value = /^\d+$/.test(head) ? args[Number(head)] : named.get(head);
      }
      for (const key of rest) {
        if (Array.isArray(value)) value = value[Number(key)];
        else value = isDict(value) ? dictGet(value, key) : undefined;
      }
      if (value === undefined) throw new TemplateError('failed', `format() was not given "${path ?? ''}"`);
      return applySpec(conversion === 'r' || conversion === 'a' ? repr(value) : value, spec ?? '');
    },
  );
}

function applySpec(value: unknown, spec: string): string {
  if (spec === '') return toText(value);
  const match = SPEC.exec(spec);
  if (match === null) throw new TemplateError('failed', `format() does not know the form "${spec}"`);
  const [, fill, align, sign = '', alternate, zero, width, group, precision, type] = match;
  const numeric = isNumber(value) || typeof value === 'boolean';
  let text: string;
  if (!numeric) {
    text = toText(value).slice(0, precision === undefined ? undefined : Number(precision));
  } else if (type === '%') {
    const number = isNumber(value) ? numberOf(value) : Number(value);
    text = `${formatNumber(number * 100, 'f', precision === undefined ? 6 : Number(precision), sign)}%`;
  } else if (type === undefined && isFloat(value) && precision === undefined) {
    text = toText(value);
  } else {
    const form = type === undefined || type === 'n' ? (isFloat(value) ? 'g' : 'd') : type;
    const digits = precision === undefined ? undefined : Number(precision);
    text = formatNumber(value, form, digits, sign + (alternate ?? ''));
  }
  if (group !== undefined) text = text.replace(/\d+/, (digits) => digits.replace(/\B(?=(\d{3})+$)/g, group));
  const side = align === '=' ? '>' : (align ?? (numeric ? '>' : '<'));
  return pad(text, Number(width ?? 0), side, fill ?? (zero !== undefined ? '0' : ' '));
}
