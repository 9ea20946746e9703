import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { waitUntil } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type InstalledBinary, installedBinary } from '../facts/k3s-binary.ts';
import { type EncryptionStatus, encryptionStatus } from '../facts/k3s-encryption.ts';
import { lastLogLines } from '../facts/k3s-start.ts';
import { binaryPath, defaultDataFolder } from '../k3s/paths.ts';
import { compareVersions, parseVersion } from '../k3s/version.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly status: EncryptionStatus;
  readonly installed: InstalledBinary;
}

/** k3s encrypts five Secrets a second: two hours are 36,000 of them. */
const reencryptionDeadlineMs = 2 * 60 * 60 * 1000;

/** Since when `rotate-keys` does it in one go. @see https://docs.k3s.io/cli/secrets-encrypt#encryption-key-rotation */
const oneGoSince = 'v1.30.5+k3s1';

export const k3sEncryptionKeysStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_encryption_keys',
  summary:
    'Secrets are encrypted with a new key, all of them. The servers are to be restarted then, this one first; where an earlier rotation still waits for that, no other one is begun.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_encryption_keys:\n'],
  look(_args, host) {
    return {
      status: ask(encryptionStatus(k3sNode(host).settings.k3sServerLocation)),
      installed: ask(installedBinary),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const { status, installed } = seen;
    const folder = k3sNode(host).settings.k3sServerLocation;
    const since = parseVersion(oneGoSince);
    if (
      installed.version !== undefined &&
      since !== undefined &&
      compareVersions(installed.version, since) < 0
    ) {
      return refuse(
        `${installed.version.text} cannot rotate keys in one go`,
        `Upgrade to ${oneGoSince} or later first.`,
      );
    }
    if ('unavailable' in status) {
      return refuse(`k3s does not tell its encryption status: ${status.unavailable}`, 'See fleet status.');
    }
    if (!status.enabled) {
      return refuse(
        'Secrets are not encrypted in this cluster',
        'k3s cannot begin to encrypt them later: `secrets-encryption: true` must be in server_config_yaml when the cluster is made.',
      );
    }
    const isUnderWay = status.stage === 'reencrypt_request' || status.stage === 'reencrypt_active';
    if (!isUnderWay && !status.hashesMatch) {
      return status.stage === 'reencrypt_finished'
        ? unchanged('the keys were rotated, and the servers wait for their restart')
        : refuse(
            `another rotation was begun by hand and stands at ${status.stage}`,
            'Finish it as https://docs.k3s.io/cli/secrets-encrypt says.',
          );
    }
    if (!isUnderWay && status.stage !== 'start' && status.stage !== 'reencrypt_finished') {
      return refuse(
        `another rotation was begun by hand and stands at ${status.stage}`,
        'Finish it as https://docs.k3s.io/cli/secrets-encrypt says.',
      );
    }
    const where = folder === defaultDataFolder ? [] : ['--data-dir', folder];
    const wait = waitUntil({
      what: 'all Secrets to be encrypted anew',
      fact: encryptionStatus(folder),
      holds: (now) =>
        'unavailable' in now
          ? now.unavailable
          : now.stage === 'reencrypt_finished' || `it stands at ${now.stage}`,
      deadlineMs: reencryptionDeadlineMs,
      everyMs: 2000,
      evidence: lastLogLines('server'),
    });
    if (isUnderWay)
      return change(`an earlier rotation stands at ${status.stage}`, [wait], { imperative: true });
    return change(
      'a new key is asked for',
      [
        {
          kind: 'run',
          what: 'make a new key and encrypt all Secrets with it',
          survives: true,
          deadlineMs: 180_000,
          script: sh`${binaryPath} secrets-encrypt rotate-keys ${where}`,
        },
        wait,
      ],
      { imperative: true, touches: ['k3s:encryption:*'] },
    );
  },
});
