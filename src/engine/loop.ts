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

/** The scope of one item: the loop variable, its index, and Ansible's `ansible_loop` where that is wanted. */
export function loopScope(loop: Loop, scope: Variables, items: readonly unknown[], index: number): Variables {
  const { variable, indexVariable } = loop;
  return scope.with({
    [variable]: asData(items[index]),
    ansible_loop_var: variable,
    ...(loop.extended === true ? { ansible_loop: position(loop, items, index) } : {}),
    ...(indexVariable === undefined ? {} : { [indexVariable]: index, ansible_index_var: indexVariable }),
  });
}

function position({ omitsAllItems }: Loop, items: readonly unknown[], index: number): object {
  const last = items.length - 1;
  return {
    index: index + 1,
    index0: index,
    first: index === 0,
    last: index === last,
    length: items.length,
    revindex: items.length - index,
    revindex0: last - index,
    ...(omitsAllItems === true ? {} : { allitems: asData(items) }),
    ...(index > 0 ? { previtem: asData(items[index - 1]) } : {}),
    ...(index < last ? { nextitem: asData(items[index + 1]) } : {}),
  };
}
