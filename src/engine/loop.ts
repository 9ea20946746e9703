import { FleetError } from '../core/errors.ts';
import type { Variables } from '../inventory/fleet.ts';
import { asData } from './as-data.ts';
import type { Loop } from './play.ts';

/** The items of a loop, templated. @throws FleetError LOOP_NOT_A_LIST, or what its `with_…` form says of the value */
export function itemsOf(loop: Loop, scope: Variables): readonly unknown[] {
  const items = scope.template(loop.over);
  if (loop.expand !== undefined) return loop.expand(items);
  if (Array.isArray(items)) return items;
  throw new FleetError({
    code: 'LOOP_NOT_A_LIST',
    message: `loop wants a list, this is ${JSON.stringify(items) ?? 'undefined'}`,
    fix: 'Give a list; for a mapping use "{{ name | dict2items }}".',
    blame: 'usage',
  });
}

/** The scope of one item: the loop variable, its index, and Ansible's `ansible_loop`. */
export function loopScope(loop: Loop, scope: Variables, items: readonly unknown[], index: number): Variables {
  const position = { index: index + 1, index0: index, first: index === 0, last: index === items.length - 1 };
  const extended = {
    length: items.length,
    revindex: items.length - index,
    revindex0: items.length - index - 1,
    allitems: asData(items),
    ...(index > 0 ? { previtem: asData(items[index - 1]) } : {}),
    ...(index < items.length - 1 ? { nextitem: asData(items[index + 1]) } : {}),
  };
  return scope.with({
    [loop.variable]: asData(items[index]),
    ansible_loop_var: loop.variable,
    ansible_loop: loop.extended === true ? { ...position, ...extended } : position,
    ...(loop.indexVariable === undefined ? {} : { [loop.indexVariable]: index }),
  });
}
