const BOOLEANS: ReadonlyMap<string, boolean> = new Map(
  [
    ['yes', true],
    ['true', true],
    ['on', true],
    ['no', false],
    ['false', false],
    ['off', false],
  ].flatMap(([word, value]) => {
    const text = String(word);
    const capital = text.charAt(0).toUpperCase() + text.slice(1);
    return [text, capital, text.toUpperCase()].map((form): [string, boolean] => [form, value === true]);
  }),
);

const FLOAT =
  /^(?:[-+]?\d[\d_]*\.[\d_]*(?:[eE][-+]\d+)?|\.\d[\d_]*(?:[eE][-+]\d+)?|[-+]?\d[\d_]*(?::[0-5]?\d)+\.[\d_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const INTEGER =
  /^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][\d_]*)|[-+]?0x[\da-fA-F_]+|[-+]?[1-9][\d_]*(?::[0-5]?\d)+)$/;

/**
 * The value of an unquoted YAML scalar by YAML 1.1 as PyYAML reads it, and so Ansible: `yes` is true, `0644` is octal,
 * `1:30` counts in sixties, `1e3` is text. Dates stay text.
 */
export function resolvePlain(text: string): string | number | boolean | null {
  const first = text.charCodeAt(0);
  if (Number.isNaN(first) || text === '~' || text === 'null' || text === 'Null' || text === 'NULL')
    return null;
  const boolean = BOOLEANS.get(text);
  if (boolean !== undefined) return boolean;
  // Only what starts like a number can be one: most scalars are words.
  if (!((first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46)) return text;
  if (INTEGER.test(text)) return integer(text.replaceAll('_', ''));
  if (FLOAT.test(text)) return float(text.replaceAll('_', '').toLowerCase());
  return text;
}

function integer(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.replace(/^[-+]/, '');
  if (digits === '0') return 0;
  if (/^0[bx]/.test(digits)) return sign * Number(digits);
  if (digits.startsWith('0')) return sign * Number.parseInt(digits, 8);
  return sign * (digits.includes(':') ? sixties(digits) : Number(digits));
}

function float(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.replace(/^[-+]/, '');
  if (digits === '.inf') return sign * Number.POSITIVE_INFINITY;
  if (digits === '.nan') return Number.NaN;
  return sign * (digits.includes(':') ? sixties(digits) : Number(digits));
}

function sixties(digits: string): number {
  return digits.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
}
