import { asFleetErrors, type FleetError } from '../core/errors.ts';

const connectionFaults: ReadonlySet<string> = new Set([
  'CONNECTION_LOST',
  'HOST_UNREACHABLE',
  'HOST_NAME_UNRESOLVED',
  'HOST_KEY_CHANGED',
  'CONNECT_TIMED_OUT',
  'CONNECT_DROPPED',
  'PROXY_COMMAND_FAILED',
  'AUTH_FAILED',
]);

/** Whether an error says that this host itself does not answer, rather than what went wrong on it. */
export function isOutOfReach(error: FleetError, host: string): boolean {
  return connectionFaults.has(error.code) && (error.host === undefined || error.host === host);
}

/** Whatever was thrown while working for a host, as one error that names it. */
export function asHostError(thrown: unknown, host: string): FleetError {
  return asFleetErrors(thrown)[0].within({ host });
}
