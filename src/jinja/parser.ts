import { TemplateError } from './error.ts';
import { lexExpression, lexTemplate, type TemplatePiece, type TemplateToken } from './lexer.ts';
import type {
  Arguments,
  BinaryOperator,
  Block,
  CompareOperator,
  Expression,
  Parameter,
  Statement,
  Target,
} from './syntax.ts';
import { makeFloat } from './value.ts';

/** Blocks or operators nested deeper than this are refused, so that hostile input cannot exhaust the stack. */
const DEEPEST = 100;
/** A chain of operators (`a + b + …`, `x | f | …`) builds a tree as deep as it is long. */
const LONGEST_CHAIN = 500;

const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=']);
const RESERVED = new Set(['and', 'or', 'not', 'in', 'is', 'if', 'else']);
const FILE_TAGS = new Set(['include', 'import', 'from', 'extends']);

/**
 * Parses a template into statements, by the grammar of Jinja 3.
 * @throws TemplateError (`syntax`, or `limit` for one that is nested too deeply).
 */
export function parseTemplate(source: string): Block {
  const reader = new BlockReader(lexTemplate(source));
  return reader.readAll();
}

/** Parses a bare expression, as `when` and `until` have it. @throws TemplateError (`syntax`). */
export function parseExpression(source: string): Expression {
  const parser = new ExpressionParser(lexExpression(source));
  const expression = parser.tuple();
  parser.expectEnd();
  return expression;
}

class BlockReader {
  readonly #pieces: readonly TemplatePiece[];
  #next = 0;
  #depth = 0;

  constructor(pieces: readonly TemplatePiece[]) {
    this.#pieces = pieces;
  }

  readAll(): Block {
    return this.#readUntil([]).body;
  }

  /** Statements up to one of the given tags; that tag's parser is handed back, standing after its name. */
  #readUntil(
    ends: readonly string[],
    openedAt?: number,
  ): { body: Block; end: string; parser: ExpressionParser } {
    this.#depth += 1;
    if (this.#depth > DEEPEST) throw new TemplateError('limit', 'blocks are nested too deeply', openedAt);
    const body: Statement[] = [];
    for (;;) {
      const piece = this.#pieces[this.#next];
      this.#next += 1;
      if (piece === undefined) {
        if (ends.length > 0) throw new TemplateError('syntax', `missing {% ${ends.at(-1)} %}`, openedAt);
        return { body, end: '', parser: new ExpressionParser([]) };
      }
      if (piece.kind === 'text') {
        body.push(piece);
        continue;
      }
      const parser = new ExpressionParser(piece.tokens);
      if (piece.kind === 'print') {
        const value = parser.tuple();
        parser.expectEnd();
        body.push({ kind: 'print', value, at: piece.at });
        continue;
      }
      const tag = parser.takeName('a tag');
      if (ends.includes(tag)) {
        this.#depth -= 1;
        return { body, end: tag, parser };
      }
      body.push(this.#statement(tag, parser, piece.at));
    }
  }

  #statement(tag: string, parser: ExpressionParser, at: number): Statement {
    if (tag === 'if') return this.#if(parser, at);
    if (tag === 'for') return this.#for(parser, at);
    if (tag === 'set') return this.#set(parser, at);
    if (tag === 'with') return this.#with(parser, at);
    if (tag === 'filter') return this.#filter(parser, at);
    if (tag === 'macro') return this.#macro(parser, at);
    if (tag === 'call') return this.#call(parser, at);
    if (FILE_TAGS.has(tag)) {
      throw new TemplateError(
        'syntax',
        `{% ${tag} %} would read another file; use lookup('file', …) for that`,
        at,
      );
    }
    throw new TemplateError('syntax', `unknown tag {% ${tag} %}`, at);
  }

  #body(end: string, at: number): Block {
    const { body, parser } = this.#readUntil([end], at);
    // `{% endmacro name %}` and `{% endblock name %}` may repeat the name.
    parser.tryName();
    parser.expectEnd();
    return body;
  }

  #if(parser: ExpressionParser, at: number): Statement {
    const branches: { condition: Expression; body: Block }[] = [];
    let condition = parser.tuple();
    parser.expectEnd();
    for (;;) {
      const read = this.#readUntil(['elif', 'else', 'endif'], at);
      branches.push({ condition, body: read.body });
      if (read.end === 'elif') {
        condition = read.parser.tuple();
        read.parser.expectEnd();
        continue;
      }
      read.parser.expectEnd();
      const otherwise = read.end === 'else' ? this.#body('endif', at) : undefined;
      return { kind: 'if', branches, otherwise, at };
    }
  }

  #for(parser: ExpressionParser, at: number): Statement {
    const target = parser.target();
    parser.expectWord('in');
    const over = parser.tuple({ choices: false });
    const filter = parser.tryWord('if') ? parser.expression() : undefined;
    const recursive = parser.tryWord('recursive');
    parser.expectEnd();
    const read = this.#readUntil(['else', 'endfor'], at);
    read.parser.expectEnd();
    const otherwise = read.end === 'else' ? this.#body('endfor', at) : undefined;
    return { kind: 'for', target, over, filter, recursive, body: read.body, otherwise, at };
  }

  #set(parser: ExpressionParser, at: number): Statement {
    const target = parser.target();
    if (parser.tryOperator('=')) {
      const value = parser.tuple();
      parser.expectEnd();
      return { kind: 'set', target, value, at };
    }
    const filters = parser.filters();
    parser.expectEnd();
    return { kind: 'setBlock', target, filters, body: this.#body('endset', at) };
  }

  #with(parser: ExpressionParser, at: number): Statement {
    const bindings: { target: Target; value: Expression }[] = [];
    while (!parser.atEnd()) {
      if (bindings.length > 0) parser.expectOperator(',');
      const target = parser.target();
      parser.expectOperator('=');
      bindings.push({ target, value: parser.expression() });
    }
    return { kind: 'with', bindings, body: this.#body('endwith', at) };
  }

  #filter(parser: ExpressionParser, at: number): Statement {
    const filters = parser.filters(true);
    parser.expectEnd();
    return { kind: 'filterBlock', filters, body: this.#body('endfilter', at) };
  }

  #macro(parser: ExpressionParser, at: number): Statement {
    const name = parser.takeName("a macro's name");
    const parameters = parser.parameters();
    parser.expectEnd();
    return { kind: 'macro', name, parameters, body: this.#body('endmacro', at) };
  }

  #call(parser: ExpressionParser, at: number): Statement {
    const parameters = parser.isOperator('(') ? parser.parameters() : [];
    const call = parser.expression();
    parser.expectEnd();
    return { kind: 'callBlock', parameters, call, body: this.#body('endcall', at), at };
  }
}

const NO_ARGUMENTS: Arguments = { positional: [], named: [] };
const END: TemplateToken = { kind: 'end', text: '', at: 0 };

class ExpressionParser {
  readonly #tokens: readonly TemplateToken[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly TemplateToken[]) {
    this.#tokens = tokens;
  }

  get #token(): TemplateToken {
    return this.#tokens[this.#next] ?? this.#tokens.at(-1) ?? END;
  }

  atEnd(): boolean {
    return this.#token.kind === 'end';
  }

  expectEnd(): void {
    if (!this.atEnd()) throw this.#unexpected();
  }

  isOperator(text: string): boolean {
    return this.#token.kind === 'operator' && this.#token.text === text;
  }

  tryOperator(text: string): boolean {
    if (!this.isOperator(text)) return false;
    this.#next += 1;
    return true;
  }

  expectOperator(text: string): void {
    if (!this.tryOperator(text)) throw this.#unexpected(`"${text}"`);
  }

  #isWord(text: string): boolean {
    return this.#token.kind === 'name' && this.#token.text === text;
  }

  tryWord(text: string): boolean {
    if (!this.#isWord(text)) return false;
    this.#next += 1;
    return true;
  }

  expectWord(text: string): void {
    if (!this.tryWord(text)) throw this.#unexpected(`"${text}"`);
  }

  tryName(): string | undefined {
    if (this.#token.kind !== 'name') return undefined;
    const { text } = this.#token;
    this.#next += 1;
    return text;
  }

  takeName(wanted: string): string {
    const name = this.tryName();
    if (name === undefined) throw this.#unexpected(wanted);
    return name;
  }

  #unexpected(wanted?: string): TemplateError {
    const token = this.#token;
    const found = token.kind === 'end' ? 'the end' : JSON.stringify(token.text);
    return new TemplateError(
      'syntax',
      wanted === undefined ? `unexpected: ${found}` : `expected ${wanted}, found ${found}`,
      token.at,
    );
  }

  #deeper<T>(read: () => T): T {
    this.#depth += 1;
    if (this.#depth > DEEPEST)
      throw new TemplateError('limit', 'the expression is nested too deeply', this.#token.at);
    const result = read();
    this.#depth -= 1;
    return result;
  }

  #checkChain(length: number): void {
    if (length > LONGEST_CHAIN)
      throw new TemplateError('limit', 'the expression is too long', this.#token.at);
  }

  target(): Target {
    const targets: Target[] = [];
    let several = false;
    const parenthesised = this.tryOperator('(');
    do {
      if (this.#isWord('in') || this.isOperator(')') || this.isOperator('=')) break;
      targets.push(this.isOperator('(') ? this.#deeper(() => this.target()) : this.#singleTarget());
      if (!this.isOperator(',')) break;
      several = true;
    } while (this.tryOperator(','));
    if (parenthesised) this.expectOperator(')');
    const [only] = targets;
    if (only === undefined) throw this.#unexpected('a name');
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
      for (let length = 0; this.#isWord('if'); length += 1) {
        this.#checkChain(length);
        const { at } = this.#token;
        this.#next += 1;
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
    const { at } = this.#token;
    if (this.tryWord('not')) {
      const of = this.#deeper(() => this.#not());
      return { kind: 'unary', operator: 'not', of, at };
    }
    return this.#comparison();
  }

  #comparison(): Expression {
    const first = this.#sum();
    const rest: { operator: CompareOperator; right: Expression }[] = [];
    const { at } = this.#token;
    for (;;) {
      const operator = this.#comparisonOperator();
      if (operator === undefined) break;
      rest.push({ operator, right: this.#sum() });
    }
    return rest.length === 0 ? first : { kind: 'compare', first, rest, at };
  }

  #comparisonOperator(): CompareOperator | undefined {
    const token = this.#token;
    if (token.kind === 'operator' && COMPARISONS.has(token.text)) {
      this.#next += 1;
      return token.text as CompareOperator;
    }
    if (this.tryWord('in')) return 'in';
    const following = this.#tokens[this.#next + 1];
    if (this.#isWord('not') && following?.kind === 'name' && following.text === 'in') {
      this.#next += 2;
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
      const { at } = this.#token;
      this.#next += 1;
      left = { kind: 'binary', operator, left, right: operand(), at };
    }
  }

  #unary(withFilters: boolean): Expression {
    const { at } = this.#token;
    const sign = this.isOperator('-') ? '-' : this.isOperator('+') ? '+' : undefined;
    let value: Expression;
    if (sign !== undefined) {
      this.#next += 1;
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
      else if (this.#isWord('is')) value = this.#test(value);
      else if (this.isOperator('(')) value = this.#call(value);
      else return value;
    }
  }

  #filterCall(of: Expression | undefined): Expression {
    const { at } = this.#token;
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
    const { at } = this.#token;
    this.#next += 1;
    const negated = this.tryWord('not');
    const name = this.#dottedName("a test's name");
    const token = this.#token;
    let args = NO_ARGUMENTS;
    if (this.isOperator('(')) {
      args = this.#arguments();
    } else if (
      (token.kind === 'name' && !RESERVED.has(token.text)) ||
      token.kind === 'string' ||
      token.kind === 'number' ||
      (token.kind === 'operator' && (token.text === '[' || token.text === '{'))
    ) {
      if (this.#isWord('recursive')) return { kind: 'test', of, name, args, negated, at };
      args = { positional: [{ value: this.#postfix(this.#primary()), spread: false }], named: [] };
    }
    return { kind: 'test', of, name, args, negated, at };
  }

  #postfix(start: Expression): Expression {
    let value = start;
    for (let length = 0; ; length += 1) {
      this.#checkChain(length);
      if (this.isOperator('.')) {
        this.#next += 1;
        const token = this.#token;
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
          throw this.#unexpected('a name');
        }
        this.#next += 1;
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
    const { at } = this.#token;
    return { kind: 'call', callee, args: this.#arguments(), at };
  }

  #subscript(of: Expression): Expression {
    const { at } = this.#token;
    this.#next += 1;
    const from = this.isOperator(':') ? undefined : this.tuple();
    if (this.tryOperator(']')) {
      if (from === undefined) throw this.#unexpected('an index');
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
        const token = this.#token;
        const following = this.#tokens[this.#next + 1];
        if (this.tryOperator('**')) named.push({ name: undefined, value: this.expression() });
        else if (this.tryOperator('*')) positional.push({ value: this.expression(), spread: true });
        else if (token.kind === 'name' && following?.kind === 'operator' && following.text === '=') {
          this.#next += 2;
          named.push({ name: token.text, value: this.expression() });
        } else {
          if (named.length > 0) throw this.#unexpected('a named argument');
          positional.push({ value: this.expression(), spread: false });
        }
      }
      return { positional, named };
    });
  }

  #primary(): Expression {
    const token = this.#token;
    if (token.kind === 'end') throw this.#unexpected('an expression');
    if (token.kind === 'name') return this.#nameOrConstant(token);
    this.#next += 1;
    if (token.kind === 'string') return this.#adjacentStrings(token.text);
    if (token.kind === 'number') return { kind: 'literal', value: numberOf(token.text) };
    if (token.text === '(') return this.#parenthesised();
    if (token.text === '[') return { kind: 'list', items: this.#items(']') };
    if (token.text === '{') return this.#dict();
    this.#next -= 1;
    throw this.#unexpected('an expression');
  }

  #nameOrConstant(token: TemplateToken): Expression {
    if (RESERVED.has(token.text)) throw this.#unexpected('an expression');
    this.#next += 1;
    if (token.text === 'true' || token.text === 'True') return { kind: 'literal', value: true };
    if (token.text === 'false' || token.text === 'False') return { kind: 'literal', value: false };
    if (token.text === 'none' || token.text === 'None') return { kind: 'literal', value: null };
    return { kind: 'name', name: token.text, at: token.at };
  }

  #adjacentStrings(first: string): Expression {
    let value = first;
    while (this.#token.kind === 'string') {
      value += this.#token.text;
      this.#next += 1;
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
