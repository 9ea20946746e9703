import { expect, it } from 'vitest';
import { FleetError } from '../../src/core/errors.ts';
import { isOutOfReach } from '../../src/engine/host-error.ts';

const error = (code: string, host?: string) =>
  new FleetError({ code, message: 'why', ...(host === undefined ? {} : { host }) });

it.each([
  ['CONNECTION_LOST', undefined, true],
  ['HOST_UNREACHABLE', 'a1', true],
  ['CONNECT_TIMED_OUT', 'a1', true],
  // A server that speaks for the cluster is away; the host itself is there, and can be put back.
  ['HOST_UNREACHABLE', 's1', false],
  ['COMMAND_FAILED', 'a1', false],
  ['WAIT_TIMED_OUT', 'a1', false],
  ['COMMAND_TIMED_OUT', 'a1', false],
])('%s of %s: whether a1 itself is out of reach is %s', (code, host, is) => {
  expect(isOutOfReach(error(code, host), 'a1')).toBe(is);
});
