import type { Place } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { Vault } from './vault.ts';

/** A `!vault` value: encrypted until somebody reads it. */
export class VaultText {
  constructor(
    readonly text: string,
    readonly vault: Vault,
    readonly where?: Place,
  ) {}

  /** @throws FleetError when no password opens it. */
  decrypt(): Secret {
    return this.vault.decrypt(this.text, this.where);
  }

  /** As `ansible-inventory --list` prints it. */
  toJSON(): unknown {
    return { __ansible_vault: this.text };
  }
}
