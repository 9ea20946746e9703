import { type Fault, FleetError } from '../core/errors.ts';
import { visible } from '../core/terminal-text.ts';

/** What reading or checking an inventory found: errors stop a run, warnings are shown. */
export class Findings {
  readonly errors: FleetError[] = [];
  readonly warnings: FleetError[] = [];

  error(fault: Fault): void {
    this.errors.push(usageError(fault));
  }

  warn(fault: Fault): void {
    this.warnings.push(usageError(fault));
  }

  /** Runs work that may throw FleetErrors; what it throws is gathered. Anything else is a defect and passes through. */
  gather<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof FleetError)) throw error;
      this.errors.push(error);
      return undefined;
    }
  }
}

/** An error that the user's files or flags are to blame for. Their text is made safe to show. */
export function usageError(fault: Fault): FleetError {
  return new FleetError({ blame: 'usage', ...fault, message: visible(fault.message) });
}
