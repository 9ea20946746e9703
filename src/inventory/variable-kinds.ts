import { Type } from '@sinclair/typebox';

/** Which machines read a variable, so that it is checked only where it counts. */
export type VariableScope = 'connection' | 'node' | 'server' | 'agent' | 'control';

/** What is said of a variable. */
export interface About {
  readonly description: string;
  readonly scope: VariableScope;
  readonly default?: unknown;
  readonly example?: unknown;
  /** Shown nowhere. */
  readonly secret?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** One line of text; numbers are text too. */
export function text(about: About & { readonly choices?: readonly string[] }) {
  const { choices, ...rest } = about;
  return Type.Union([Type.String(choices === undefined ? {} : { enum: [...choices] }), Type.Number()], rest);
}

/** Text that may span lines; a dict is taken as the YAML it stands for. */
export function yamlText(about: About) {
  return Type.Union([Type.String(), Type.Record(Type.String(), Type.Unknown())], about);
}

/** A whole number, also as text. */
export function number(about: About) {
  const { minimum, maximum, ...rest } = about;
  const bounds = {
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
  };
  return Type.Union([Type.Integer(bounds), Type.String({ pattern: '^[0-9]+$' })], rest);
}

/** Some of many: a number from 1, or a percentage. */
export function amount(about: About) {
  return Type.Union([Type.Integer({ minimum: 1 }), Type.String({ pattern: '^[1-9][0-9]*%?$' })], about);
}

/** A boolean, or the words that Ansible takes for one. */
export function flag(about: About) {
  return Type.Union(
    [
      Type.Boolean(),
      Type.String({
        pattern: '^(?:[Yy]es|[Nn]o|[Tt]rue|[Ff]alse|[Oo]n|[Oo]ff|YES|NO|TRUE|FALSE|ON|OFF|y|n|0|1)$',
      }),
      Type.Integer({ minimum: 0, maximum: 1 }),
    ],
    about,
  );
}

/** A boolean as `flag` takes it, or one of some words. */
export function flagOr(words: readonly string[], about: About) {
  return Type.Union([...flag(about).anyOf, Type.String({ enum: [...words] })], about);
}

/** A list of words, or one text of them. */
export function list(about: About) {
  return Type.Union(
    [Type.Array(Type.Union([Type.String(), Type.Number(), Type.Boolean()])), Type.String()],
    about,
  );
}

/** A single value. */
export const scalar = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]);

/** Whether host keys are checked: a boolean, or a word that says how. */
export function hostKeyChecking() {
  return Type.Union([
    Type.Boolean(),
    Type.String({ pattern: '^(?:[Yy]es|[Nn]o|[Tt]rue|[Ff]alse|accept-new|ask|off|on)$' }),
  ]);
}
