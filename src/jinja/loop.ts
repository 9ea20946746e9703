import { Callable, equals, Undefined } from './value.ts';

/** What the rounds of one loop share. */
export interface LoopState {
  /** What `loop.changed(…)` was last called with. */
  changed?: readonly unknown[];
}

/** `loop` in a recursive `for`: its attributes, and itself to call. */
export class RecursiveLoop {
  constructor(
    readonly values: Map<unknown, unknown>,
    readonly again: Callable,
  ) {}
}

/**
 * The attributes of `loop` in one round.
 * @param depth how many recursive loops are around it
 */
export function loopVariables(
  items: readonly unknown[],
  index: number,
  depth: number,
  state: LoopState,
): Map<unknown, unknown> {
  return new Map<unknown, unknown>([
    ['index', index + 1],
    ['index0', index],
    ['revindex', items.length - index],
    ['revindex0', items.length - index - 1],
    ['first', index === 0],
    ['last', index === items.length - 1],
    ['length', items.length],
    ['depth', depth + 1],
    ['depth0', depth],
    ['previtem', index === 0 ? new Undefined('there is no previous item') : items[index - 1]],
    ['nextitem', index + 1 === items.length ? new Undefined('there is no next item') : items[index + 1]],
    [
      'cycle',
      new Callable('cycle', (args) =>
        args.length === 0 ? new Undefined('nothing to cycle through') : args[index % args.length],
      ),
    ],
    [
      'changed',
      new Callable('changed', (args) => {
        const different = state.changed === undefined || !equals(state.changed, [...args]);
        state.changed = [...args];
        return different;
      }),
    ],
  ]);
}
