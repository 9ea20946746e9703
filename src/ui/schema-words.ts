/** The parts of a JSON Schema that a person is told about. */
export interface ShownSchema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly ShownSchema[];
  readonly oneOf?: readonly ShownSchema[];
  readonly items?: ShownSchema;
  readonly properties?: Readonly<Record<string, ShownSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | ShownSchema;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  /** Other names of an argument, as Ansible has them. */
  readonly aliases?: readonly string[];
}

/** What kind of value a schema takes, in words: `text`, `number or true/false`, `one of started, stopped`, `list of text`. */
export function typeWords(schema: ShownSchema): string {
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) {
    const constants = alternatives.filter((one) => one.const !== undefined);
    const others = alternatives.filter((one) => one.const === undefined).map(typeWords);
    const choice = constants.length === 0 ? [] : [choiceWords(constants.map((one) => one.const))];
    return [...new Set([...choice, ...others])].join(' or ');
  }
  if (schema.enum !== undefined) return choiceWords(schema.enum);
  if (schema.const !== undefined) return choiceWords([schema.const]);
  if (schema.type === undefined) return 'any value';
  const types = typeof schema.type === 'string' ? [schema.type] : schema.type;
  return types.map((type) => simpleWords(type, schema)).join(' or ');
}

function simpleWords(type: string, schema: ShownSchema): string {
  if (type === 'array') return schema.items === undefined ? 'list' : `list of ${typeWords(schema.items)}`;
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    integer: 'whole number',
    number: 'number',
    boolean: 'true or false',
    object: 'mapping',
    null: 'nothing',
  };
  return words[type] ?? type;
}

function choiceWords(values: readonly unknown[]): string {
  const words = values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value)));
  return words.length === 1 ? (words[0] ?? '') : `one of ${words.join(', ')}`;
}

/** A default or example as YAML would write it on one line. */
export function valueWords(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
