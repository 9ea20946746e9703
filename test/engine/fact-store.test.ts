import { describe, expect, it } from 'vitest';
import { FactStore } from '../../src/engine/fact-store.ts';

function storeWith(...keys: string[]): FactStore {
  const store = new FactStore({ count: 0 });
  for (const key of keys) store.set(key, { value: `seen ${key}` }, false);
  return store;
}

describe('what is known of a host', () => {
  it('is forgotten by key, by family, or altogether', () => {
    const store = storeWith('file:/a', 'file:/b', 'service:k3s');
    store.forget(['file:/a']);
    expect(store.get('file:/a')).toBeUndefined();
    expect(store.get('file:/b')).toEqual({ value: 'seen file:/b' });
    store.forget(['file:*']);
    expect(store.get('file:/b')).toBeUndefined();
    store.forget('everything');
    expect(store.get('service:k3s')).toBeUndefined();
  });

  it('is not believed after an action anywhere when it is volatile', () => {
    const epoch = { count: 0 };
    const store = new FactStore(epoch);
    store.set('k3s:nodes', { value: 'ready' }, true);
    store.set('file:/a', { value: 'there' }, false);
    epoch.count += 1;
    expect(store.get('k3s:nodes')).toBeUndefined();
    expect(store.get('file:/a')).toEqual({ value: 'there' });
  });

  it('shows what a plan foresees, and what was seen once the plan is over', () => {
    const store = storeWith('file:/a');
    store.foresee('file:/a', 'written');
    expect(store.get('file:/a')).toEqual({ value: 'written' });
    store.endForesight();
    expect(store.get('file:/a')).toEqual({ value: 'seen file:/a' });
  });

  it('is in doubt where a plan cannot foresee it, until something foresees it again', () => {
    const store = storeWith('k3s:token');
    store.markUnforeseeable('k3s:*');
    expect(store.isUnforeseeable('k3s:token')).toBe(true);
    expect(store.isUnforeseeable('k3s:never-asked')).toBe(true);
    expect(store.isUnforeseeable('file:/a')).toBe(false);
    store.foresee('k3s:token', 'known');
    expect(store.isUnforeseeable('k3s:token')).toBe(false);
    store.endForesight();
    expect(store.isUnforeseeable('k3s:never-asked')).toBe(false);
  });
});
