import { TemplateError } from './error.ts';
import { ExpressionParser } from './expression-parser.ts';
import { lexExpression, lexTemplate, type TemplatePiece } from './lexer.ts';
import type { Block, Expression, Statement, Target } from './syntax.ts';

/** Blocks nested deeper than this are refused, so that hostile input cannot exhaust the stack. */
const DEEPEST = 100;

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

/** Parses statements: what stands in `{% %}`, up to the tags that end it. */
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
