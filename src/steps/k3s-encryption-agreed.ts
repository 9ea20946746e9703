import { Type } from '@sinclair/typebox';
import { waitUntil } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type EncryptionStatus, encryptionStatus } from '../facts/k3s-encryption.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly status: EncryptionStatus;
}

export const k3sEncryptionAgreedStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_encryption_agreed',
  summary: 'All servers have the same keys for encrypting Secrets; waited for where they have not yet.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_encryption_agreed:\n'],
  look(_args, host) {
    return { status: ask(encryptionStatus(k3sNode(host).settings.k3sServerLocation)) };
  },
  plan(seen, _args, host): Plan<Seen> {
    const { settings } = k3sNode(host);
    if (agreement(seen.status) === true) return unchanged('all servers have the same keys');
    return change(
      'the servers have different keys',
      [
        waitUntil({
          what: 'all servers to have the same keys',
          fact: encryptionStatus(settings.k3sServerLocation),
          holds: agreement,
          deadlineMs: settings.nodeReadyTimeoutS * 1000,
        }),
      ],
      { changesNothing: true },
    );
  },
});

function agreement(status: EncryptionStatus): true | string {
  if ('unavailable' in status) return status.unavailable;
  return status.hashesMatch || 'their hashes differ';
}
