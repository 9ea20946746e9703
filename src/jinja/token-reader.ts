import { TemplateError } from './error.ts';
import type { TemplateToken } from './lexer.ts';

const END: TemplateToken = { kind: 'end', text: '', at: 0 };

/** The tokens of one expression or tag, taken one after the other. What must stand there and does not is a `syntax` error. */
export class TokenReader {
  readonly #tokens: readonly TemplateToken[];
  #next = 0;

  constructor(tokens: readonly TemplateToken[]) {
    this.#tokens = tokens;
  }

  /** The one that comes next. */
  protected get token(): TemplateToken {
    return this.#tokens[this.#next] ?? this.#tokens.at(-1) ?? END;
  }

  /** The one behind that. */
  protected get following(): TemplateToken | undefined {
    return this.#tokens[this.#next + 1];
  }

  protected skip(tokens = 1): void {
    this.#next += tokens;
  }

  atEnd(): boolean {
    return this.token.kind === 'end';
  }

  expectEnd(): void {
    if (!this.atEnd()) throw this.unexpected();
  }

  isOperator(text: string): boolean {
    return this.token.kind === 'operator' && this.token.text === text;
  }

  tryOperator(text: string): boolean {
    if (!this.isOperator(text)) return false;
    this.#next += 1;
    return true;
  }

  expectOperator(text: string): void {
    if (!this.tryOperator(text)) throw this.unexpected(`"${text}"`);
  }

  protected isWord(text: string): boolean {
    return this.token.kind === 'name' && this.token.text === text;
  }

  tryWord(text: string): boolean {
    if (!this.isWord(text)) return false;
    this.#next += 1;
    return true;
  }

  expectWord(text: string): void {
    if (!this.tryWord(text)) throw this.unexpected(`"${text}"`);
  }

  tryName(): string | undefined {
    if (this.token.kind !== 'name') return undefined;
    const { text } = this.token;
    this.#next += 1;
    return text;
  }

  takeName(wanted: string): string {
    const name = this.tryName();
    if (name === undefined) throw this.unexpected(wanted);
    return name;
  }

  /** What to throw where the next token cannot stand. */
  protected unexpected(wanted?: string): TemplateError {
    const token = this.token;
    const found = token.kind === 'end' ? 'the end' : JSON.stringify(token.text);
    return new TemplateError(
      'syntax',
      wanted === undefined ? `unexpected: ${found}` : `expected ${wanted}, found ${found}`,
      token.at,
    );
  }
}
