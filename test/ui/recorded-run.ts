import type { Event, StampedEvent } from '../../src/engine/event.ts';

/** Stamps events as the engine does: one second apart unless a time (in seconds from the start) is given. */
export function stamp(events: readonly (Event | readonly [atS: number, event: Event])[]): StampedEvent[] {
  const start = Date.UTC(2026, 10, 20, 12, 0, 0);
  let seconds = -1;
  return events.map((entry, index) => {
    const isTimed = Array.isArray(entry);
    seconds = isTimed ? (entry[0] as number) : seconds + 1;
    const event = (isTimed ? entry[1] : entry) as Event;
    return { ...event, at: new Date(start + seconds * 1000).toISOString(), sequence: index + 1 };
  });
}

const play = 'Servers';
const install = { play, task: 'Install k3s v1.33.1+k3s1', step: 'k3s_binary' };
const service = { play, task: 'k3s service', step: 'k3s_service' };

/** An `up` on three servers: one is changed and waits, one has nothing to change, one fails. */
export const recordedRun: readonly StampedEvent[] = stamp([
  {
    kind: 'run-started',
    run: '20261120-120000-ab12',
    command: 'up',
    mode: 'apply',
    sources: ['inventory.yml'],
    hosts: 3,
  },
  { kind: 'host-connected', host: 'server1', durationMs: 40 },
  { kind: 'host-connected', host: 'server2', durationMs: 41 },
  { kind: 'host-connected', host: 'server3', durationMs: 400 },
  { kind: 'look-finished', hosts: 3, facts: 96, durationMs: 120 },
  { kind: 'play-started', play, hosts: ['server1', 'server2', 'server3'], mode: 'apply' },
  { kind: 'batch-started', play, hosts: ['server1'], number: 1, of: 3 },
  { kind: 'task-started', ...install, host: 'server1', because: 'v1.32.4+k3s1 is installed' },
  {
    kind: 'task-progress',
    ...install,
    host: 'server1',
    text: 'uploading',
    done: 34_000_000,
    total: 68_000_000,
    unit: 'bytes',
  },
  {
    kind: 'task-finished',
    ...install,
    host: 'server1',
    status: 'changed',
    because: 'v1.32.4+k3s1 is installed',
    actions: ['upload /usr/local/bin/k3s'],
    durationMs: 3_200,
  },
  { kind: 'task-started', ...service, host: 'server1', because: 'the running k3s is older' },
  {
    kind: 'task-waiting',
    ...service,
    host: 'server1',
    what: 'server1 to be Ready',
    reason: 'it is NotReady',
    deadlineMs: 300_000,
  },
  {
    kind: 'task-finished',
    ...service,
    host: 'server1',
    status: 'changed',
    because: 'the running k3s is older',
    actions: ['restart k3s'],
    durationMs: 12_300,
  },
  {
    kind: 'task-finished',
    ...install,
    host: 'server2',
    status: 'unchanged',
    because: 'v1.33.1+k3s1 is installed',
    durationMs: 0,
  },
  { kind: 'warning', code: 'EVEN_SERVERS', message: 'two servers have no quorum to lose', host: 'server2' },
  { kind: 'task-started', ...install, host: 'server3', because: 'k3s is not installed' },
  {
    kind: 'task-finished',
    ...install,
    host: 'server3',
    status: 'failed',
    because: 'k3s is not installed',
    error: {
      code: 'DISK_FULL',
      message: 'no room for 68 MB under /usr/local/bin',
      fix: 'Free some space: df -h /usr/local/bin',
      where: { file: 'playbooks/site.yml', line: 12, column: 5 },
    },
    output: 'cat: write error: No space left on device',
    durationMs: 900,
  },
  {
    kind: 'host-failed',
    host: 'server3',
    error: { code: 'DISK_FULL', message: 'no room for 68 MB under /usr/local/bin' },
  },
  {
    kind: 'run-finished',
    status: 'failed',
    hosts: {
      server1: { unchanged: 0, changed: 2, skipped: 0, failed: 0, ignored: 0, roundTrips: 3 },
      server2: { unchanged: 1, changed: 0, skipped: 0, failed: 0, ignored: 0, roundTrips: 1 },
      server3: { unchanged: 0, changed: 0, skipped: 0, failed: 1, ignored: 0, roundTrips: 2 },
    },
    durationMs: 18_000,
  },
]);

const config = { play, task: 'k3s config', step: 'k3s_config' };

/** A plan: two servers with the same change, one that needs what is not known yet, one that is refused. */
export const recordedPlan: readonly StampedEvent[] = stamp([
  {
    kind: 'run-started',
    run: '20261120-120000-cd34',
    command: 'plan',
    mode: 'plan',
    sources: ['inventory.yml'],
    hosts: 4,
  },
  { kind: 'play-started', play, hosts: ['server1', 'server2', 'server3', 'server4'], mode: 'plan' },
  ...(['server1', 'server2'] as const).map(
    (host): Event => ({
      kind: 'task-finished',
      ...config,
      host,
      status: 'would-change',
      because: 'the file differs',
      diff: [
        {
          subject: '/etc/rancher/k3s/config.yaml',
          before: 'a: 1\nb: 2\nc: 3\n',
          after: 'a: 1\nb: 22\nc: 3\n',
        },
      ],
      actions: ['write /etc/rancher/k3s/config.yaml', 'restart k3s'],
      durationMs: 1,
    }),
  ),
  {
    kind: 'task-finished',
    ...config,
    host: 'server3',
    status: 'would-change',
    because: 'it joins with the token of server1',
    diff: [{ subject: '/etc/rancher/k3s/config.yaml', after: 'server: https://10.0.0.1:6443\n' }],
    actions: ['write /etc/rancher/k3s/config.yaml'],
    knownAfterApply: true,
    durationMs: 1,
  },
  {
    kind: 'task-finished',
    ...config,
    host: 'server4',
    status: 'failed',
    because: 'a downgrade from v1.34.0+k3s1',
    error: {
      code: 'PLAN_REFUSED',
      message: 'k3s cannot go from v1.34.0+k3s1 back to v1.33.1+k3s1',
      fix: 'Set k3s_version to v1.34.0+k3s1 or newer.',
      host: 'server4',
    },
    durationMs: 1,
  },
  {
    kind: 'task-finished',
    ...install,
    host: 'server1',
    status: 'unchanged',
    because: 'it is installed',
    durationMs: 0,
  },
  {
    kind: 'host-failed',
    host: 'server4',
    error: {
      code: 'PLAN_REFUSED',
      message: 'k3s cannot go from v1.34.0+k3s1 back to v1.33.1+k3s1',
      host: 'server4',
    },
  },
  {
    kind: 'run-finished',
    status: 'would-change',
    hosts: { server1: { unchanged: 1, changed: 1, skipped: 0, failed: 0, ignored: 0, roundTrips: 1 } },
    durationMs: 300,
  },
]);
