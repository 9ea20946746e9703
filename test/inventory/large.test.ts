import { expect, test } from 'vitest';
import { inventoryList } from '../../src/inventory/render.ts';
import { validateFleet } from '../../src/inventory/validate.ts';
import { loadIni, loadYaml } from './files-in-memory.ts';

const HOSTS = 10_000;
const head = `k3s_cluster:
  vars:
    k3s_version: v1.33.4+k3s1
    api_endpoint: "{{ hostvars[groups['server'][0]]['ansible_host'] | default(groups['server'][0]) }}"
  children:
    server: {hosts: {s1: {ansible_host: 10.9.9.9}}}
    agent:
      hosts:
`;

// Times are measured by bench/, where nothing else runs; what is asserted here is that the work does not grow with the square.
test('ten thousand hosts are read, listed, templated and checked within memory', async () => {
  const rows = Array.from(
    { length: HOSTS },
    (_item, at) => `        node${at}:\n          ansible_host: 10.1.${at >> 8}.${at & 255}\n`,
  );
  const before = process.memoryUsage().heapUsed;
  const fleet = await loadYaml(head + rows.join(''));
  expect(fleet.hosts.size).toBe(HOSTS + 1);
  expect(JSON.stringify(inventoryList(fleet)).length).toBeGreaterThan(HOSTS * 50);
  for (const host of fleet.hosts.values()) expect(host.vars.get('api_endpoint')).toBe('10.9.9.9');
  expect(validateFleet(fleet).errors).toEqual([]);
  expect((process.memoryUsage().heapUsed - before) / 1e6).toBeLessThan(300);
}, 60_000);

test('ranges and INI of the same size', async () => {
  expect((await loadYaml(`${head}        node[1:${HOSTS}]:\n`)).hosts.size).toBe(HOSTS + 1);
  const rows = Array.from(
    { length: HOSTS },
    (_item, at) => `n${at} ansible_host=10.1.${at >> 8}.${at & 255} index=${at}`,
  );
  expect((await loadIni(`[agent]\n${rows.join('\n')}\n`)).hosts.get('n9999')?.vars.get('index')).toBe(9999);
}, 60_000);
