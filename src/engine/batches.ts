import { FleetError } from '../core/errors.ts';
import type { Play } from './play.ts';

/**
 * Cuts hosts into the batches that `serial` asks for: numbers, or percentages of all hosts (rounded down, at least one),
 * the last repeated until no host is left. No `serial`: one batch.
 * @see https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_strategies.html
 */
export function batchesOf<Item>(hosts: readonly Item[], serial: readonly (number | string)[]): Item[][] {
  if (serial.length === 0) return hosts.length === 0 ? [] : [[...hosts]];
  const batches: Item[][] = [];
  for (let start = 0, index = 0; start < hosts.length; index += 1) {
    const size = batchSize(serial[Math.min(index, serial.length - 1)] ?? hosts.length, hosts.length);
    batches.push(hosts.slice(start, start + size));
    start += size;
  }
  return batches;
}

/** The number of hosts that `3`, `"3"` or `"25%"` means out of `total`: at least one, and all for zero. */
export function batchSize(size: number | string, total: number): number {
  const text = String(size).trim();
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text);
  if (match === null) {
    throw new FleetError({
      code: 'BATCH_SIZE',
      message: `serial: ${JSON.stringify(size)} is neither a number nor a percentage`,
      fix: 'Write a number of hosts (2) or a percentage ("25%").',
      blame: 'usage',
    });
  }
  const value = Number(match[1]);
  if (value === 0) return Math.max(1, total);
  return Math.max(1, Math.floor(match[2] === '%' ? (total * value) / 100 : value));
}

/** Whether this many failed hosts of a batch are too many. A play whose hosts have all failed ends the run too. */
export function endsTheRun(play: Play, failures: number, size: number): boolean {
  if (play.anyErrorsFatal || failures === size) return true;
  return play.maxFailPercentage !== undefined && (failures * 100) / size > play.maxFailPercentage;
}
