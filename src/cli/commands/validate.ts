import { asFleetErrors, type FleetError, FleetErrors } from '../../core/errors.ts';
import { clustersOf } from '../../inventory/cluster.ts';
import type { Fleet } from '../../inventory/fleet.ts';
import { validateFleet } from '../../inventory/validate.ts';
import { sortFaults } from '../../ui/fault-view.ts';
import { safeJson } from '../../ui/json.ts';
import { count } from '../../ui/wording.ts';
import type { RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { loadInventory } from '../open-fleet.ts';

/** Reads everything and connects to nobody; every error at once. */
export const validate: RunCommand = async (invocation) => {
  const { settings, console } = invocation;
  const isJson = settings.output === 'json';
  let doubts: readonly FleetError[] = [];
  try {
    const fleet = await loadInventory(invocation, undefined, (warnings) => {
      doubts = warnings;
      if (!isJson) for (const warning of warnings) console.warn(warning.toFault());
    });
    const { cluster } = settings;
    const { errors, warnings } = validateFleet(fleet, cluster === undefined ? {} : { cluster });
    doubts = warnings;
    if (!isJson) for (const warning of warnings) console.warn(warning.toFault());
    FleetErrors.throwIfAny(errors);
    if (isJson) {
      console.result(
        safeJson({ valid: true, errors: [], warnings: warnings.map((one) => one.toFault()) }, 2),
      );
    } else console.result(summary(fleet));
    return exit.ok;
  } catch (thrown) {
    const errors = asFleetErrors(thrown);
    if (!isJson || errors.some(({ blame }) => blame === 'fleet')) throw thrown;
    const faults = sortFaults(errors.map((error) => error.toFault()));
    console.result(
      console.redactor.mask(
        safeJson({ valid: false, errors: faults, warnings: doubts.map((one) => one.toFault()) }, 2),
      ),
    );
    return exit.usage;
  }
};

function summary(fleet: Fleet): string {
  const clusters = clustersOf(fleet).map(
    ({ name, servers, agents }) =>
      `cluster ${name}: ${count(servers.length, 'server')}, ${count(agents.length, 'agent')}`,
  );
  return [
    `${fleet.sources.join(', ')} is valid: ${count(fleet.hosts.size, 'host')}`,
    ...clusters.map((line) => `  ${line}`),
  ].join('\n');
}
