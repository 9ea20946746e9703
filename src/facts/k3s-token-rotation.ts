import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** Whether the cluster's token is being changed from this server: asked for, or made and on its way to the nodes. */
export type TokenRotation = 'none' | 'begun' | 'rotated';

/** Holds where the old token is kept, and below it `rotated` once k3s has made the new one. */
export function rotationMarker(dataFolder: string): string {
  return `${dataFolder}/server/fleet-token-rotation`;
}

export function tokenRotation(dataFolder: string): Fact<TokenRotation> {
  return {
    key: `k3s:token-rotation:${dataFolder}`,
    sh: sh`if [ ! -e ${rotationMarker(dataFolder)} ]; then echo none
elif grep -qx rotated ${rotationMarker(dataFolder)}; then echo rotated
else echo begun; fi`,
    parse: ({ stdout }) => {
      const word = stdout.trim();
      return word === 'begun' || word === 'rotated' ? word : 'none';
    },
  };
}
