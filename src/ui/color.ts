import { styleText } from 'node:util';

/** The few styles that fleet uses. Each returns its text unchanged where colour is off. */
export interface Palette {
  readonly bold: Style;
  readonly dim: Style;
  readonly red: Style;
  readonly green: Style;
  readonly yellow: Style;
  readonly cyan: Style;
}
export type Style = (text: string) => string;

export type ColorChoice = 'auto' | 'always' | 'never';

export interface ColorCircumstances {
  /** What `--color` says. */
  readonly choice: ColorChoice;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether the stream that is written to is a terminal. */
  readonly isTerminal: boolean;
}

/** Whether to colour: the flag first, then NO_COLOR (https://no-color.org) and FORCE_COLOR, then whether a person looks. */
export function wantsColor({ choice, env, isTerminal }: ColorCircumstances): boolean {
  if (choice !== 'auto') return choice === 'always';
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false;
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false';
  return isTerminal && env.TERM !== 'dumb';
}

export function createPalette(enabled: boolean): Palette {
  const style =
    (format: keyof Palette): Style =>
    (text) =>
      // Our own decision stands: node must not ask the stream a second time.
      enabled && text !== '' ? styleText(format, text, { validateStream: false }) : text;
  return {
    bold: style('bold'),
    dim: style('dim'),
    red: style('red'),
    green: style('green'),
    yellow: style('yellow'),
    cyan: style('cyan'),
  };
}
