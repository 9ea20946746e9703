import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { binaryPath } from '../k3s/paths.ts';

/** How far a server is with the keys that Secrets are encrypted with. */
export type EncryptionStatus =
  | {
      readonly enabled: boolean;
      /** `start`, `prepare`, `rotate`, `reencrypt_request`, `reencrypt_active` or `reencrypt_finished`. */
      readonly stage: string;
      readonly activeKey: string;
      /** All servers have the same keys on disk; where not, some are to be restarted. */
      readonly hashesMatch: boolean;
    }
  | { readonly unavailable: string };

/** @see https://docs.k3s.io/cli/secrets-encrypt#secrets-encryption-status */
export function encryptionStatus(dataFolder: string): Fact<EncryptionStatus> {
  return {
    key: `k3s:encryption:${dataFolder}`,
    sh: sh`${binaryPath} secrets-encrypt status --data-dir ${dataFolder} --output json`,
    parse: ({ stdout, stderr, code }) => {
      if (code !== 0) return { unavailable: stderr.trim().split('\n').at(-1) || `exit status ${code}` };
      const told = JSON.parse(stdout) as {
        readonly enable?: boolean | null;
        readonly stage?: string;
        readonly activekey?: string;
        readonly hashmatch?: boolean;
      };
      return {
        enabled: told.enable === true,
        stage: told.stage ?? '',
        activeKey: told.activekey ?? '',
        hashesMatch: told.hashmatch === true,
      };
    },
    volatile: true,
  };
}
