import type { Budget } from './budget.ts';
import { locate, TemplateError } from './error.ts';
import type { Evaluator } from './evaluator.ts';
import { Frame } from './frame.ts';
import { type LoopState, loopVariables, RecursiveLoop } from './loop.ts';
import type { Block, Parameter, Statement, Target } from './syntax.ts';
import { Callable, isTrue, iterate, limitText, Namespace, toText, tupleOf, Undefined } from './value.ts';

const DEEPEST_CALLS = 60;

/** Runs the statements of a parsed template: text, loops, assignments, macros. One renderer serves one rendering. */
export class Renderer {
  #calls = 0;
  #written = 0;
  readonly #evaluator: Evaluator;
  readonly #budget: Budget;

  constructor(evaluator: Evaluator) {
    this.#evaluator = evaluator;
    this.#budget = evaluator.surroundings.budget;
  }

  /** The values a template prints, text and expressions alike, in order. */
  render(block: Block): readonly unknown[] {
    const parts: unknown[] = [];
    this.#block(block, new Frame(), parts);
    return parts;
  }

  #block(block: Block, frame: Frame, out: unknown[]): void {
    for (const statement of block) this.#statement(statement, frame, out);
  }

  #text(block: Block, frame: Frame): string {
    const parts: unknown[] = [];
    this.#block(block, frame, parts);
    return limitText(parts.map(toText).join(''));
  }

  #print(value: unknown, out: unknown[]): void {
    if (value instanceof Undefined) {
      if (!value.lenient) throw value.error();
      out.push('');
      return;
    }
    if (typeof value === 'string') {
      this.#written += value.length;
      if (this.#written > 16 * 1024 * 1024) {
        throw new TemplateError('limit', 'the template makes more than 16 MiB of text');
      }
    }
    out.push(value);
  }

  #statement(statement: Statement, frame: Frame, out: unknown[]): void {
    this.#budget.spend(1);
    switch (statement.kind) {
      case 'text':
        this.#print(statement.text, out);
        return;
      case 'print':
        this.#print(
          locate(statement.at, () => this.#evaluator.value(statement.value, frame)),
          out,
        );
        return;
      case 'if':
        for (const branch of statement.branches) {
          if (isTrue(this.#evaluator.value(branch.condition, frame))) {
            this.#block(branch.body, frame, out);
            return;
          }
        }
        if (statement.otherwise !== undefined) this.#block(statement.otherwise, frame, out);
        return;
      case 'for':
        this.#loop(
          statement,
          locate(statement.at, () => iterate(this.#evaluator.value(statement.over, frame))),
          frame,
          out,
          0,
        );
        return;
      case 'set':
        this.#assign(statement.target, this.#evaluator.value(statement.value, frame), frame);
        return;
      case 'setBlock': {
        let value: unknown = this.#text(statement.body, new Frame(frame));
        for (const filter of statement.filters) value = this.#evaluator.filterWith(filter, value, frame);
        this.#assign(statement.target, value, frame);
        return;
      }
      case 'with': {
        const inner = new Frame(frame);
        for (const { target, value } of statement.bindings)
          this.#assign(target, this.#evaluator.value(value, frame), inner);
        this.#block(statement.body, inner, out);
        return;
      }
      case 'filterBlock': {
        let value: unknown = this.#text(statement.body, new Frame(frame));
        for (const filter of statement.filters) value = this.#evaluator.filterWith(filter, value, frame);
        this.#print(value, out);
        return;
      }
      case 'macro':
        frame.set(statement.name, this.#macro(statement.name, statement.parameters, statement.body, frame));
        return;
      case 'callBlock': {
        const caller = this.#macro('caller', statement.parameters, statement.body, frame);
        const { call } = statement;
        if (call.kind !== 'call') throw new TemplateError('syntax', '{% call %} needs a call', statement.at);
        const inner = new Frame(frame);
        inner.set('caller', caller);
        this.#print(this.#evaluator.call(call.callee, call.args, inner, call.at, caller), out);
        return;
      }
    }
  }

  #loop(
    statement: Extract<Statement, { kind: 'for' }>,
    all: readonly unknown[],
    frame: Frame,
    out: unknown[],
    depth: number,
  ): void {
    if (depth > DEEPEST_CALLS) throw new TemplateError('limit', 'the loop recurses too deeply', statement.at);
    const { filter } = statement;
    const items =
      filter === undefined
        ? all
        : all.filter((item) => {
            this.#budget.spend(1, statement.at);
            const inner = new Frame(frame);
            this.#assign(statement.target, item, inner);
            return isTrue(this.#evaluator.value(filter, inner));
          });
    if (items.length === 0) {
      if (statement.otherwise !== undefined) this.#block(statement.otherwise, frame, out);
      return;
    }
    const state: LoopState = {};
    items.forEach((item, index) => {
      this.#budget.spend(1, statement.at);
      const inner = new Frame(frame);
      this.#assign(statement.target, item, inner);
      const loop = loopVariables(items, index, depth, state);
      const again = new Callable('loop', ([items]) => {
        const parts: unknown[] = [];
        this.#loop(statement, iterate(items), frame, parts, depth + 1);
        return parts.map(toText).join('');
      });
      inner.set('loop', statement.recursive ? new RecursiveLoop(loop, again) : loop);
      this.#block(statement.body, inner, out);
    });
  }

  #macro(name: string, parameters: readonly Parameter[], body: Block, frame: Frame): Callable {
    return new Callable(name, (args, named) => {
      this.#calls += 1;
      if (this.#calls > DEEPEST_CALLS)
        throw new TemplateError('limit', `macro "${name}" calls itself too deeply`);
      const inner = new Frame(frame);
      parameters.forEach((parameter, index) => {
        const { fallback } = parameter;
        const value =
          index < args.length
            ? args[index]
            : named.has(parameter.name)
              ? named.get(parameter.name)
              : fallback === undefined
                ? new Undefined(`parameter '${parameter.name}' of macro '${name}' was not given`)
                : this.#evaluator.value(fallback, inner);
        inner.set(parameter.name, value);
      });
      inner.set('varargs', tupleOf(...args.slice(parameters.length)));
      const known = new Set(parameters.map((parameter) => parameter.name));
      inner.set('kwargs', new Map([...named].filter(([key]) => !known.has(key) && key !== 'caller')));
      if (named.has('caller')) inner.set('caller', named.get('caller'));
      const text = this.#text(body, inner);
      this.#calls -= 1;
      return text;
    });
  }

  #assign(target: Target, value: unknown, frame: Frame): void {
    if (target.kind === 'name') {
      frame.set(target.name, value);
      return;
    }
    if (target.kind === 'attribute') {
      const holder = frame.find(target.of)?.value;
      if (!(holder instanceof Namespace)) {
        throw new TemplateError(
          'failed',
          `cannot set "${target.of}.${target.name}": only a namespace() can be changed`,
        );
      }
      holder.values.set(target.name, value);
      return;
    }
    const items = iterate(value);
    if (items.length !== target.targets.length) {
      throw new TemplateError(
        'failed',
        `cannot spread ${items.length} values over ${target.targets.length} names`,
      );
    }
    target.targets.forEach((inner, index) => {
      this.#assign(inner, items[index], frame);
    });
  }
}
