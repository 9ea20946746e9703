import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** Whether the cluster's authorities are being changed from this server: made, or in the datastore and on their way to the nodes. */
export type CaRotation = 'none' | 'made' | 'loaded';

/** Holds the new authorities until every node has them, and how far the rotation is. For root alone. */
export function caRotationFolder(dataFolder: string): string {
  return `${dataFolder}/server/fleet-ca-rotation`;
}

export function caRotation(dataFolder: string): Fact<CaRotation> {
  const folder = caRotationFolder(dataFolder);
  return {
    key: `k3s:ca-rotation:${dataFolder}`,
    sh: sh`if [ -e ${`${folder}/loaded`} ]; then echo loaded
elif [ -e ${`${folder}/made`} ]; then echo made
else echo none; fi`,
    parse: ({ stdout }) => {
      const word = stdout.trim();
      return word === 'made' || word === 'loaded' ? word : 'none';
    },
  };
}
