import { asFleetErrors, type FleetError } from '../core/errors.ts';

/** Whatever was thrown while working for a host, as one error that names it. */
export function asHostError(thrown: unknown, host: string): FleetError {
  return asFleetErrors(thrown)[0].within({ host });
}
