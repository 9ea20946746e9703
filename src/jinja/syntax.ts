/** An expression of a template. `at` is its offset in the text, for errors. */
export type Expression =
  | { readonly kind: 'literal'; readonly value: unknown }
  | { readonly kind: 'name'; readonly name: string; readonly at: number }
  | { readonly kind: 'list' | 'tuple'; readonly items: readonly Expression[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: 'attribute'; readonly of: Expression; readonly name: string; readonly at: number }
  | { readonly kind: 'index'; readonly of: Expression; readonly index: Expression; readonly at: number }
  | {
      readonly kind: 'slice';
      readonly of: Expression;
      readonly from: Expression | undefined;
      readonly to: Expression | undefined;
      readonly step: Expression | undefined;
      readonly at: number;
    }
  | { readonly kind: 'call'; readonly callee: Expression; readonly args: Arguments; readonly at: number }
  | {
      readonly kind: 'filter';
      readonly of: Expression | undefined;
      readonly name: string;
      readonly args: Arguments;
      readonly at: number;
    }
  | {
      readonly kind: 'test';
      readonly of: Expression;
      readonly name: string;
      readonly args: Arguments;
      readonly negated: boolean;
      readonly at: number;
    }
  | {
      readonly kind: 'unary';
      readonly operator: 'not' | '-' | '+';
      readonly of: Expression;
      readonly at: number;
    }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly at: number;
    }
  | { readonly kind: 'logic'; readonly operator: 'and' | 'or'; readonly operands: readonly Expression[] }
  | {
      readonly kind: 'compare';
      readonly first: Expression;
      readonly rest: readonly { readonly operator: CompareOperator; readonly right: Expression }[];
      readonly at: number;
    }
  | { readonly kind: 'concat'; readonly parts: readonly Expression[] }
  | {
      readonly kind: 'choice';
      readonly condition: Expression;
      readonly yes: Expression;
      readonly no: Expression | undefined;
      readonly at: number;
    };

export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**';
export type CompareOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

/** The arguments of a call: by place, by name, and what `*` and `**` spread. */
export interface Arguments {
  readonly positional: readonly { readonly value: Expression; readonly spread: boolean }[];
  readonly named: readonly { readonly name: string | undefined; readonly value: Expression }[];
}

/** What a statement assigns to: a name, several names, or an attribute of a `namespace()`. */
export type Target =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'attribute'; readonly of: string; readonly name: string }
  | { readonly kind: 'names'; readonly targets: readonly Target[] };

export interface Parameter {
  readonly name: string;
  readonly fallback: Expression | undefined;
}

export type Statement =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly value: Expression; readonly at: number }
  | {
      readonly kind: 'if';
      readonly branches: readonly { readonly condition: Expression; readonly body: Block }[];
      readonly otherwise: Block | undefined;
      readonly at: number;
    }
  | {
      readonly kind: 'for';
      readonly target: Target;
      readonly over: Expression;
      readonly filter: Expression | undefined;
      readonly recursive: boolean;
      readonly body: Block;
      readonly otherwise: Block | undefined;
      readonly at: number;
    }
  | { readonly kind: 'set'; readonly target: Target; readonly value: Expression; readonly at: number }
  | {
      readonly kind: 'setBlock';
      readonly target: Target;
      readonly filters: readonly Expression[];
      readonly body: Block;
    }
  | {
      readonly kind: 'with';
      readonly bindings: readonly { readonly target: Target; readonly value: Expression }[];
      readonly body: Block;
    }
  | { readonly kind: 'filterBlock'; readonly filters: readonly Expression[]; readonly body: Block }
  | {
      readonly kind: 'macro';
      readonly name: string;
      readonly parameters: readonly Parameter[];
      readonly body: Block;
    }
  | {
      readonly kind: 'callBlock';
      readonly parameters: readonly Parameter[];
      readonly call: Expression;
      readonly body: Block;
      readonly at: number;
    };

export type Block = readonly Statement[];
