import type { ControlFact } from '../engine/fact.ts';
import { localFile } from '../engine/local-file.ts';

/** A snapshot on the control node. */
export interface LocalSnapshot {
  readonly sizeBytes: number;
}

/** @throws FleetError FILE_UNREADABLE */
export function localSnapshot(path: string): ControlFact<LocalSnapshot> {
  return {
    key: `local-snapshot:${path}`,
    read: async () => ({ sizeBytes: (await localFile(path)).size }),
  };
}

export const noLocalSnapshot: ControlFact<LocalSnapshot | undefined> = {
  key: 'local-snapshot:',
  read: async () => undefined,
};
