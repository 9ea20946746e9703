import { expect, test } from 'vitest';
import { iptables, repeatsRules } from '../../src/facts/iptables.ts';
import { addressToOthers, parseNodeRoutes } from '../../src/facts/node-routes.ts';
import { timeService } from '../../src/facts/time-service.ts';

/** Which address a node is given, from what `ip` says on machines of many kinds. */

const eth0 = '2: eth0    inet 203.0.113.7/24 brd 203.0.113.255 scope global eth0\\       valid_lft forever';
const eth1 = '3: eth1    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth1\\       valid_lft forever';
const wlan0 = '4: wlan0    inet 10.0.0.9/24 brd 10.0.0.255 scope global wlan0\\       valid_lft forever';
const viaEth0 = 'default via 203.0.113.1 dev eth0 proto dhcp src 203.0.113.7 metric 100';
const toPrivate = '10.0.0.6 dev eth1 src 10.0.0.5 uid 0 \\    cache';

test.each([
  ['one address', [eth1], 'default via 10.0.0.1 dev eth1', [toPrivate], { is: 'usual' }],
  [
    'a public and a private network',
    [eth0, eth1],
    viaEth0,
    [toPrivate],
    { is: 'told', interface: 'eth1', address: '10.0.0.5' },
  ],
  [
    'nodes that know each other by their public addresses',
    [eth0, eth1],
    viaEth0,
    ['203.0.113.8 dev eth0 src 203.0.113.7 uid 0'],
    { is: 'usual' },
  ],
  [
    'two ways to the others',
    [eth0, eth1],
    viaEth0,
    [toPrivate, '203.0.113.8 dev eth0 src 203.0.113.7 uid 0'],
    {
      is: 'unclear',
      among: [
        { interface: 'eth1', address: '10.0.0.5' },
        { interface: 'eth0', address: '203.0.113.7' },
      ],
    },
  ],
  [
    'containers and a virtual address beside it',
    [
      eth1,
      '3: eth1    inet 10.0.0.250/32 scope global eth1\\  valid_lft forever',
      '4: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\\ ',
      '5: flannel.1    inet 10.42.0.0/32 scope global flannel.1\\ ',
    ],
    'default via 10.0.0.1 dev eth1',
    [toPrivate],
    { is: 'usual' },
  ],
  ['no default route, one address', [eth1], '', [], { is: 'told', interface: 'eth1', address: '10.0.0.5' }],
  [
    'no default route, two addresses, nobody to ask',
    [eth0, eth1],
    '',
    [],
    {
      is: 'unclear',
      among: [
        { interface: 'eth0', address: '203.0.113.7' },
        { interface: 'eth1', address: '10.0.0.5' },
      ],
    },
  ],
  ['a tunnel for everything', [eth0, eth1], 'default dev ppp0 scope link', [], { is: 'usual' }],
  [
    'two default routes that are as good, nobody to ask',
    [eth0, eth1],
    'default via 203.0.113.1 dev eth0\ndefault via 10.0.0.1 dev eth1',
    [],
    {
      is: 'unclear',
      among: [
        { interface: 'eth0', address: '203.0.113.7' },
        { interface: 'eth1', address: '10.0.0.5' },
      ],
    },
  ],
  [
    'cable and radio in the same network, both as cheap',
    [eth1, wlan0],
    'default via 10.0.0.1 dev eth1 metric 100\ndefault via 10.0.0.1 dev wlan0 metric 600',
    [
      toPrivate,
      '+ default via 10.0.0.1 dev eth1 metric 100',
      '+ 10.0.0.0/24 dev eth1 proto kernel scope link src 10.0.0.5',
      '+ 10.0.0.0/24 dev wlan0 proto kernel scope link src 10.0.0.9',
    ],
    {
      is: 'unclear',
      among: [
        { interface: 'eth1', address: '10.0.0.5' },
        { interface: 'wlan0', address: '10.0.0.9' },
      ],
    },
  ],
  [
    'cable and radio in the same network, the radio dearer',
    [eth1, wlan0],
    'default via 10.0.0.1 dev eth1 metric 100\ndefault via 10.0.0.1 dev wlan0 metric 600',
    [
      toPrivate,
      '+ default via 10.0.0.1 dev eth1 metric 100',
      '+ 10.0.0.0/24 dev eth1 proto kernel scope link src 10.0.0.5 metric 100',
      '+ 10.0.0.0/24 dev wlan0 proto kernel scope link src 10.0.0.9 metric 600',
    ],
    { is: 'usual' },
  ],
  [
    'a rule that leads past the table',
    [eth0, '6: tailscale0    inet 100.64.0.3/32 scope global tailscale0\\ '],
    viaEth0,
    ['100.64.0.4 dev tailscale0 table 52 src 100.64.0.3 uid 0', `+ ${viaEth0}`],
    { is: 'told', interface: 'tailscale0', address: '100.64.0.3' },
  ],
  [
    'a tunnel to the others',
    [eth0, '6: tailscale0    inet 100.64.0.3/32 scope global tailscale0\\ '],
    viaEth0,
    ['100.64.0.4 dev tailscale0 table 52 src 100.64.0.3 uid 0'],
    { is: 'told', interface: 'tailscale0', address: '100.64.0.3' },
  ],
  [
    'the host itself',
    [eth1],
    'default via 10.0.0.1 dev eth1',
    ['local 10.0.0.5 dev lo src 10.0.0.5 uid 0'],
    { is: 'usual' },
  ],
  [
    'the nearer of two default routes',
    [eth0, eth1],
    'default via 10.0.0.1 dev eth1 metric 600\ndefault via 203.0.113.1 dev eth0 metric 100',
    [toPrivate],
    { is: 'told', interface: 'eth1', address: '10.0.0.5' },
  ],
])('%s', (_name, addresses, defaults, routes, wanted) => {
  const said = `${addresses.join('\n')}\n=\n${defaults}\n=\n${routes.join('\n')}\n`;
  expect(addressToOthers(parseNodeRoutes(said))).toEqual(wanted);
});

test.each([
  ['iptables v1.8.9 (nf_tables)\n', '1.8.9', false],
  ['iptables v1.8.2 (nf_tables)\n', '1.8.2', true],
  ['iptables v1.8.4 (nf_tables)\n', '1.8.4', true],
  ['iptables v1.8.4 (legacy)\n', '1.8.4', false],
  ['iptables v1.8.10 (nf_tables)\n', '1.8.10', false],
  ['iptables v1.6.1\n', '1.6.1', false],
  ['', undefined, false],
])('%j', (stdout, version, repeats) => {
  const found = iptables.parse({ stdout, stderr: '', code: 0 });
  expect(found?.version).toBe(version);
  expect(repeatsRules(found)).toBe(repeats);
});

test('who minds the clock', () => {
  const said = 'installed chronyd\nactive chronyd\ninstalled systemd-timesyncd\n';
  expect(timeService.parse({ stdout: said, stderr: '', code: 0 })).toEqual({
    active: ['chronyd'],
    installed: ['chronyd', 'systemd-timesyncd'],
    guest: false,
  });
  expect(timeService.parse({ stdout: 'guest\n', stderr: '', code: 0 }).guest).toBe(true);
});
