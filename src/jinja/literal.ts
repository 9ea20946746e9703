import { unescapeString } from './lexer.ts';
import { makeFloat, Tuple, tupleOf } from './value.ts';

const DEEPEST = 100;
const SPACE = /[ \t\r\n\f]*/y;
const NUMBER =
  /0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*|0[oO][0-7](?:_?[0-7])*|0[bB][01](?:_?[01])*|(?:(?:\d(?:_?\d)*)?\.\d(?:_?\d)*|\d(?:_?\d)*\.?)(?:[eE][+-]?\d(?:_?\d)*)?/y;
const STRING =
  /([rRuUbB]{0,2})(?:'''([\s\S]*?)'''|"""([\s\S]*?)"""|'([^'\\\n]*(?:\\[\s\S][^'\\\n]*)*)'|"([^"\\\n]*(?:\\[\s\S][^"\\\n]*)*)")/y;
const NAME = /[A-Za-z_]\w*/y;

/** Marks "not a literal", since `None` is a value. */
export const NOT_LITERAL = Symbol('not a Python literal');

export interface LiteralOptions {
  /** Whether `true`, `false` and `null` count too, as where Ansible reads a template's result. */
  readonly json?: boolean;
}

/**
 * Python's `ast.literal_eval`, which types the values of INI inventories and of templates that print a list or dict:
 * numbers, strings, True/False/None, lists, tuples, sets (as lists) and dicts. Gives `NOT_LITERAL` for anything else.
 */
export function parseLiteral(text: string, options: LiteralOptions = {}): unknown {
  try {
    return new LiteralReader(text, options).read();
  } catch (error) {
    if (error === NOT_LITERAL) return NOT_LITERAL;
    throw error;
  }
}

class LiteralReader {
  #at = 0;

  constructor(
    readonly text: string,
    readonly options: LiteralOptions,
  ) {}

  read(): unknown {
    // Python strips leading blanks of the expression, but refuses an indented further line.
    const first = this.#value(0);
    let value = first;
    if (this.#try(',')) {
      const items = [first];
      while (!this.#done()) {
        items.push(this.#value(0));
        if (!this.#try(',')) break;
      }
      value = tupleOf(...items);
    }
    if (!this.#done()) throw NOT_LITERAL;
    return value;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text);
    if (match !== null) this.#at += match[0].length;
    return match;
  }

  #done(): boolean {
    this.#match(SPACE);
    return this.#at >= this.text.length || this.text[this.#at] === '#';
  }

  #try(character: string): boolean {
    this.#match(SPACE);
    if (this.text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #value(depth: number): unknown {
    if (depth > DEEPEST) throw NOT_LITERAL;
    this.#match(SPACE);
    const character = this.text[this.#at];
    if (character === undefined) throw NOT_LITERAL;
    if (this.#try('[')) return this.#items(']', depth);
    if (this.#try('(')) return this.#tuple(depth);
    if (this.#try('{')) return this.#dictOrSet(depth);
    if (character === '-' || character === '+') return this.#signed(depth);
    const strings = this.#strings();
    if (strings !== undefined) return strings;
    const number = this.#match(NUMBER);
    if (number !== null && number[0] !== '') return this.#number(number[0]);
    const name = this.#match(NAME)?.[0];
    if (name === 'True') return true;
    if (name === 'False') return false;
    if (name === 'None') return null;
    if (this.options.json === true) {
      if (name === 'true') return true;
      if (name === 'false') return false;
      if (name === 'null') return null;
    }
    throw NOT_LITERAL;
  }

  #number(text: string): unknown {
    const next = this.text[this.#at];
    if (next !== undefined && /[\w.]/.test(next)) throw NOT_LITERAL;
    const plain = text.replaceAll('_', '');
    if (/^0[xob]/i.test(plain)) return Number(plain);
    if (/[.eE]/.test(plain)) return makeFloat(Number(plain));
    // Python 3 refuses 0755, so Ansible keeps such a value as text.
    if (/^0+[1-9]/.test(plain)) throw NOT_LITERAL;
    return Number(plain);
  }

  #signed(depth: number): unknown {
    const minus = this.text[this.#at] === '-';
    this.#at += 1;
    const value = this.#value(depth + 1);
    if (typeof value === 'number') return minus ? -value || 0 : value;
    if (value !== null && typeof value === 'object' && 'value' in value && typeof value.value === 'number') {
      return makeFloat(minus ? -value.value : value.value);
    }
    throw NOT_LITERAL;
  }

  #strings(): string | undefined {
    let value: string | undefined;
    for (;;) {
      const start = this.#at;
      const match = this.#match(STRING);
      if (match === null) {
        this.#at = start;
        return value;
      }
      const prefix = (match[1] ?? '').toLowerCase();
      if (prefix.includes('b')) throw NOT_LITERAL;
      const body = match[2] ?? match[3] ?? match[4] ?? match[5] ?? '';
      value = (value ?? '') + (prefix.includes('r') ? body : unescapeString(body));
      this.#match(SPACE);
    }
  }

  #items(close: string, depth: number): unknown[] {
    const items: unknown[] = [];
    while (!this.#try(close)) {
      items.push(this.#value(depth + 1));
      if (!this.#try(',')) {
        if (!this.#try(close)) throw NOT_LITERAL;
        break;
      }
    }
    return items;
  }

  #tuple(depth: number): unknown {
    if (this.#try(')')) return new Tuple();
    const first = this.#value(depth + 1);
    if (this.#try(')')) return first;
    if (!this.#try(',')) throw NOT_LITERAL;
    return tupleOf(first, ...this.#items(')', depth));
  }

  #dictOrSet(depth: number): unknown {
    const dict = new Map<unknown, unknown>();
    if (this.#try('}')) return dict;
    const first = this.#value(depth + 1);
    if (!this.#try(':')) {
      if (this.#try('}')) return [first];
      if (!this.#try(',')) throw NOT_LITERAL;
      return [first, ...this.#items('}', depth)];
    }
    let key = first;
    for (;;) {
      if (key !== null && typeof key === 'object') throw NOT_LITERAL;
      dict.set(key, this.#value(depth + 1));
      if (this.#try('}')) return dict;
      if (!this.#try(',')) throw NOT_LITERAL;
      if (this.#try('}')) return dict;
      key = this.#value(depth + 1);
      if (!this.#try(':')) throw NOT_LITERAL;
    }
  }
}
