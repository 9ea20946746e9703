import { expect, it } from 'vitest';
import { effectiveSetting } from '../../src/k3s/effective-setting.ts';

const sources = {
  args: ['--cluster-cidr', '10.1.0.0/16', '--service-cidr=10.2.0.0/16'],
  env: new Map([
    ['K3S_DATA_DIR', '/env'],
    ['K3S_SERVICE_CIDR', '10.9.0.0/16'],
  ]),
  configs: [
    { 'data-dir': '/config', 'cluster-domain': 'one', 'cluster-dns': ['10.2.0.10', 'fd00::a'] },
    { 'cluster-domain': 'two' },
  ],
};

it.each([
  ['cluster-cidr', '10.1.0.0/16'],
  ['service-cidr', '10.2.0.0/16'],
  ['data-dir', '/env'],
  ['cluster-domain', 'two'],
  ['cluster-dns', '10.2.0.10,fd00::a'],
  ['token', undefined],
])('%s is what k3s goes by', (key, value) => {
  expect(effectiveSetting(key, sources)).toBe(value);
});
