import { TemplateError } from './error.ts';
import type { TemplateToken } from './lexer.ts';
import type { Arguments, BinaryOperator, CompareOperator, Expression, Parameter, Target } from './syntax.ts';
import { TokenReader } from './token-reader.ts';
import { makeFloat } from './value.ts';

/** Expressions nested deeper than this are refused, so that hostile input cannot exhaust the stack. */
const DEEPEST = 100;
/** A chain of operators (`a + b + …`, `x | f | …`) builds a tree as deep as it is long. */
const LONGEST_CHAIN = 500;

const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=']);
const OPENING = new Set(['(', '[', '{']);
const RESERVED = new Set(['and', 'or', 'not', 'in', 'is', 'if', 'else']);
const NO_ARGUMENTS: Arguments = { positional: [], named: [] };

/** Parses expressions, by the grammar of Jinja 3: how firmly each operator binds is the order of the methods. */
export class ExpressionParser extends TokenReader {
  #depth = 0;

  #deeper<T>(read: () => T): T {
    this.#depth += 1;
    if (this.#depth > DEEPEST)
      throw new TemplateError('limit', 'the expression is nested too deeply', this.token.at);
    const result = read();
    this.#depth -= 1;
    return result;
  }

  #checkChain(length: number): void {
    if (length > LONGEST_CHAIN) throw new TemplateError('limit', 'the expression is too long', this.token.at);
  }

  target(): Target {
    const targets: Target[] = [];
    let several = false;
    const parenthesised = this.tryOperator('(');
    do {
      if (this.isWord('in') || this.isOperator(')') || this.isOperator('=')) break;
      targets.push(this.isOperator('(') ? this.#deeper(() => this.target()) : this.#singleTarget());
      if (!this.isOperator(',')) break;
      several = true;
    } while (this.tryOperator(','));
    if (parenthesised) this.expectOperator(')');
    const [only] = targets;
    if (only === undefined) throw this.unexpected('a name');
    return several ? { kind: 'names', targets } : only;
  }

  #singleTarget(): Target {
    const name = this.takeName('a name');
    if (this.tryOperator('.')) return { kind: 'attribute', of: name, name: this.takeName('a name') };
    return { kind: 'name', name };
  }

  parameters(): readonly Parameter[] {
    const parameters: Parameter[] = [];
    this.expectOperator('(');
    while (!this.tryOperator(')')) {
      if (parameters.length > 0) this.expectOperator(',');
      const name = this.takeName('a parameter');
      parameters.push({ name, fallback: this.tryOperator('=') ? this.expression() : undefined });
    }
    return parameters;
  }

  /** `| a | b(1)`; with `bare`, the first stands without its bar, as in `{% filter upper %}`. */
  filters(bare = false): readonly Expression[] {
    const filters: Expression[] = [];
    while (this.tryOperator('|') || (bare && filters.length === 0)) filters.push(this.#filterCall(undefined));
    return filters;
  }

  /** An expression, or several with commas between them, which make a tuple. */
  tuple(options: { choices: boolean } = { choices: true }): Expression {
    const first = options.choices ? this.expression() : this.#or();
    if (!this.isOperator(',')) return first;
    const items = [first];
    while (this.tryOperator(',')) {
      if (this.atEnd() || this.isOperator(')') || this.isOperator('=')) break;
      items.push(options.choices ? this.expression() : this.#or());
    }
    return { kind: 'tuple', items };
  }

  expression(): Expression {
    return this.#deeper(() => {
      let value = this.#or();
      for (let length = 0; this.isWord('if'); length += 1) {
        this.#checkChain(length);
        const { at } = this.token;
        this.skip();
        const condition = this.#or();
        const no = this.tryWord('else') ? this.expression() : undefined;
        value = { kind: 'choice', condition, yes: value, no, at };
      }
      return value;
    });
  }

  #or(): Expression {
    const operands = [this.#and()];
    while (this.tryWord('or')) operands.push(this.#and());
    return operands.length === 1 && operands[0] !== undefined
      ? operands[0]
      : { kind: 'logic', operator: 'or', operands };
  }

  #and(): Expression {
    const operands = [this.#not()];
    while (this.tryWord('and')) operands.push(this.#not());
    return operands.length === 1 && operands[0] !== undefined
      ? operands[0]
      : { kind: 'logic', operator: 'and', operands };
  }

  #not(): Expression {
    const { at } = this.token;
    if (this.tryWord('not')) {
      const of = this.#deeper(() => this.#not());
      return { kind: 'unary', operator: 'not', of, at };
    }
    return this.#comparison();
  }

  #comparison(): Expression {
    const first = this.#sum();
    const rest: { operator: CompareOperator; right: Expression }[] = [];
    const { at } = this.token;
    for (;;) {
      const operator = this.#comparisonOperator();
      if (operator === undefined) break;
      rest.push({ operator, right: this.#sum() });
    }
    return rest.length === 0 ? first : { kind: 'compare', first, rest, at };
  }

  #comparisonOperator(): CompareOperator | undefined {
    const token = this.token;
    if (token.kind === 'operator' && COMPARISONS.has(token.text)) {
      this.skip();
      return token.text as CompareOperator;
    }
    if (this.tryWord('in')) return 'in';
    const following = this.following;
    if (this.isWord('not') && following?.kind === 'name' && following.text === 'in') {
      this.skip(2);
      return 'not in';
    }
    return undefined;
  }

  #sum(): Expression {
    return this.#binary(['+', '-'], () => this.#concat());
  }

  #concat(): Expression {
    const parts = [this.#product()];
    while (this.tryOperator('~')) parts.push(this.#product());
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'concat', parts };
  }

  #product(): Expression {
    return this.#binary(['*', '/', '//', '%'], () => this.#power());
  }

  /** As in Jinja, `**` binds looser than a sign and is grouped from the left. */
  #power(): Expression {
    return this.#binary(['**'], () => this.#unary(true));
  }

  #binary(operators: readonly BinaryOperator[], operand: () => Expression): Expression {
    let left = operand();
    for (let length = 0; ; length += 1) {
      const operator = operators.find((candidate) => this.isOperator(candidate));
      if (operator === undefined) return left;
      this.#checkChain(length);
      const { at } = this.token;
      this.skip();
      left = { kind: 'binary', operator, left, right: operand(), at };
    }
  }

  #unary(withFilters: boolean): Expression {
    const { at } = this.token;
    const sign = this.isOperator('-') ? '-' : this.isOperator('+') ? '+' : undefined;
    let value: Expression;
    if (sign !== undefined) {
      this.skip();
      const of = this.#deeper(() => this.#unary(false));
      value = { kind: 'unary', operator: sign, of, at };
    } else {
      value = this.#postfix(this.#primary());
    }
    return withFilters ? this.#filtersAndTests(value) : value;
  }

  #filtersAndTests(start: Expression): Expression {
    let value = start;
    for (let length = 0; ; length += 1) {
      this.#checkChain(length);
      if (this.tryOperator('|')) value = this.#filterCall(value);
      else if (this.isWord('is')) value = this.#test(value);
      else if (this.isOperator('(')) value = this.#call(value);
      else return value;
    }
  }

  #filterCall(of: Expression | undefined): Expression {
    const { at } = this.token;
    const name = this.#dottedName("a filter's name");
    return { kind: 'filter', of, name, args: this.isOperator('(') ? this.#arguments() : NO_ARGUMENTS, at };
  }

  /** `ipaddr` or `ansible.utils.ipaddr`: fleet knows filters by their last name, as collections only prefix them. */
  #dottedName(wanted: string): string {
    let name = this.takeName(wanted);
    while (this.tryOperator('.')) name = this.takeName(wanted);
    return name;
  }

  #test(of: Expression): Expression {
    const { at } = this.token;
    this.skip();
    const negated = this.tryWord('not');
    const name = this.#dottedName("a test's name");
    const token = this.token;
    let args = NO_ARGUMENTS;
    if (this.isOperator('(')) {
      args = this.#arguments();
    } else if (
      (token.kind === 'name' && !RESERVED.has(token.text)) ||
      token.kind === 'string' ||
      token.kind === 'number' ||
      (token.kind === 'operator' && (token.text === '[' || token.text === '{'))
    ) {
      if (this.isWord('recursive')) return { kind: 'test', of, name, args, negated, at };
      args = { positional: [{ value: this.#postfix(this.#primary()), spread: false }], named: [] };
    }
    return { kind: 'test', of, name, args, negated, at };
  }

  #postfix(start: Expression): Expression {
    let value = start;
    for (let length = 0; ; length += 1) {
      this.#checkChain(length);
      if (this.isOperator('.')) {
        this.skip();
        const token = this.token;
        if (token.kind === 'name') {
          value = { kind: 'attribute', of: value, name: token.text, at: token.at };
        } else if (token.kind === 'number') {
          value = {
            kind: 'index',
            of: value,
            index: { kind: 'literal', value: Number(token.text) },
            at: token.at,
          };
        } else {
          throw this.unexpected('a name');
        }
        this.skip();
      } else if (this.isOperator('[')) {
        value = this.#subscript(value);
      } else if (this.isOperator('(')) {
        value = this.#call(value);
      } else {
        return value;
      }
    }
  }

  #call(callee: Expression): Expression {
    const { at } = this.token;
    return { kind: 'call', callee, args: this.#arguments(), at };
  }

  #subscript(of: Expression): Expression {
    const { at } = this.token;
    this.skip();
    const from = this.isOperator(':') ? undefined : this.tuple();
    if (this.tryOperator(']')) {
      if (from === undefined) throw this.unexpected('an index');
      return { kind: 'index', of, index: from, at };
    }
    this.expectOperator(':');
    const to = this.isOperator(':') || this.isOperator(']') ? undefined : this.expression();
    const step = this.tryOperator(':') && !this.isOperator(']') ? this.expression() : undefined;
    this.expectOperator(']');
    return { kind: 'slice', of, from, to, step, at };
  }

  #arguments(): Arguments {
    return this.#deeper(() => {
      const positional: { value: Expression; spread: boolean }[] = [];
      const named: { name: string | undefined; value: Expression }[] = [];
      this.expectOperator('(');
      let first = true;
      while (!this.tryOperator(')')) {
        if (!first) {
          this.expectOperator(',');
          if (this.tryOperator(')')) break;
        }
        first = false;
        const token = this.token;
        const following = this.following;
        if (this.tryOperator('**')) named.push({ name: undefined, value: this.expression() });
        else if (this.tryOperator('*')) positional.push({ value: this.expression(), spread: true });
        else if (token.kind === 'name' && following?.kind === 'operator' && following.text === '=') {
          this.skip(2);
          named.push({ name: token.text, value: this.expression() });
        } else {
          if (named.length > 0) throw this.unexpected('a named argument');
          positional.push({ value: this.expression(), spread: false });
        }
      }
      return { positional, named };
    });
  }

  #primary(): Expression {
    const token = this.token;
    if (token.kind === 'end') throw this.unexpected('an expression');
    if (token.kind === 'name') return this.#nameOrConstant(token);
    if (token.kind === 'operator' && !OPENING.has(token.text)) throw this.unexpected('an expression');
    this.skip();
    if (token.kind === 'string') return this.#adjacentStrings(token.text);
    if (token.kind === 'number') return { kind: 'literal', value: numberOf(token.text) };
    if (token.text === '(') return this.#parenthesised();
    if (token.text === '[') return { kind: 'list', items: this.#items(']') };
    return this.#dict();
  }

  #nameOrConstant(token: TemplateToken): Expression {
    if (RESERVED.has(token.text)) throw this.unexpected('an expression');
    this.skip();
    if (token.text === 'true' || token.text === 'True') return { kind: 'literal', value: true };
    if (token.text === 'false' || token.text === 'False') return { kind: 'literal', value: false };
    if (token.text === 'none' || token.text === 'None') return { kind: 'literal', value: null };
    return { kind: 'name', name: token.text, at: token.at };
  }

  #adjacentStrings(first: string): Expression {
    let value = first;
    while (this.token.kind === 'string') {
      value += this.token.text;
      this.skip();
    }
    return { kind: 'literal', value };
  }

  #parenthesised(): Expression {
    if (this.tryOperator(')')) return { kind: 'tuple', items: [] };
    const value = this.#deeper(() => this.tuple());
    this.expectOperator(')');
    return value;
  }

  #items(close: string): readonly Expression[] {
    const items: Expression[] = [];
    while (!this.tryOperator(close)) {
      if (items.length > 0) {
        this.expectOperator(',');
        if (this.tryOperator(close)) break;
      }
      items.push(this.expression());
    }
    return items;
  }

  #dict(): Expression {
    const entries: (readonly [Expression, Expression])[] = [];
    while (!this.tryOperator('}')) {
      if (entries.length > 0) {
        this.expectOperator(',');
        if (this.tryOperator('}')) break;
      }
      const key = this.expression();
      this.expectOperator(':');
      entries.push([key, this.expression()]);
    }
    return { kind: 'dict', entries };
  }
}

function numberOf(text: string): unknown {
  if (/^0[xob]/i.test(text)) return Number(text);
  return /[.eE]/.test(text) ? makeFloat(Number(text)) : Number(text);
}
