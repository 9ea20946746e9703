import { join } from 'node:path';
import { FleetError } from '../../core/errors.ts';
import { type ClusterRun, clusterRun } from '../cluster-run.ts';
import { seenServers, speaker } from '../cluster-servers.ts';
import type { Invocation, RunCommand } from '../command.ts';
import { driveAsking, drivePlan } from '../drive.ts';
import { type ExitCode, exit } from '../exit-codes.ts';
import { openFleet } from '../open-fleet.ts';

const subjects: Readonly<Record<string, RunCommand>> = {
  certs,
  token,
  'encryption-keys': encryptionKeys,
  ca,
};

/** Replaces what a cluster's nodes prove themselves with, in the right order. */
export const rotate: RunCommand = async (invocation) => {
  const [name = ''] = invocation.arguments;
  const subject = Object.hasOwn(subjects, name) ? subjects[name] : undefined;
  if (subject !== undefined) return subject(invocation);
  throw new FleetError({
    code: 'UNKNOWN_ACTION',
    message: `fleet rotate cannot rotate ${JSON.stringify(name)}`,
    fix: `It can: ${Object.keys(subjects).join(', ')}. See \`fleet help rotate\`.`,
    blame: 'usage',
  });
};

async function certs(invocation: Invocation): Promise<ExitCode> {
  const run = await clusterRun(invocation, { command: 'rotate', playbook: 'rotate-certs' });
  return driven(invocation, run, 'Give every node new certificates, one server at a time?');
}

async function token(invocation: Invocation): Promise<ExitCode> {
  const { console, settings } = invocation;
  refuseLimit(invocation, 'a node without the new token could not start again');
  const opened = await openFleet(invocation, { needsCluster: true });
  const servers = await seenServers(invocation, opened);
  const begun = servers.find(({ rotation }) => rotation !== undefined && rotation !== 'none');
  const on = begun ?? speaker(servers);
  const { token: inInventory, clusterContext } = on.node.settings;
  const note =
    inInventory === undefined ? '' : join('.fleet', `${clusterContext.replaceAll(/[^\w.-]/g, '_')}.token`);
  const run = await clusterRun(
    invocation,
    {
      command: 'rotate',
      playbook: 'rotate-token',
      vars: { rotate_on: on.host.name, rotate_goes_on: begun?.rotation === 'rotated', rotate_note: note },
    },
    opened,
  );
  const code = await driven(invocation, run, 'Give the cluster a new token, and restart every node with it?');
  if (code !== exit.ok || settings.check) return code;
  if (note !== '') {
    console.note(
      `The inventory still has the old token: put the one in ${note} (only you can read it) in its place, then delete that file. Until then fleet up refuses.`,
    );
  }
  console.note(
    'Snapshots from before open only with the old token; the servers keep it for fleet snapshot get and restore.',
  );
  return code;
}

async function encryptionKeys(invocation: Invocation): Promise<ExitCode> {
  refuseLimit(invocation, 'all servers must have the same keys');
  const opened = await openFleet(invocation, { needsCluster: true });
  const { host } = speaker(await seenServers(invocation, opened));
  const run = await clusterRun(
    invocation,
    { command: 'rotate', playbook: 'rotate-encryption-keys', vars: { rotate_on: host.name } },
    opened,
  );
  return driven(invocation, run, 'Encrypt all Secrets with a new key, and restart the servers?');
}

/** Which certificates, signed by whom, nobody but the owner can say; and pods must be restarted to trust a new root. */
async function ca(): Promise<ExitCode> {
  throw new FleetError({
    code: 'CA_BY_HAND',
    message:
      'fleet does not rotate a cluster’s authorities: k3s wants new ones that are signed as the owner decides, and with a new root every node needs another token and every pod a restart',
    fix: 'docs/snapshots-and-certificates.md has the way by `k3s certificate rotate-ca`, with the commands of fleet around it. Certificates below the authorities: fleet rotate certs.',
    blame: 'usage',
  });
}

function driven(invocation: Invocation, run: ClusterRun, question: string): Promise<ExitCode> {
  return invocation.settings.check ? drivePlan(invocation, run) : driveAsking(invocation, run, question);
}

function refuseLimit({ settings }: Invocation, because: string): void {
  if (settings.limit === undefined) return;
  throw new FleetError({
    code: 'LIMIT_MEANINGLESS',
    message: `this is about the whole cluster: ${because}`,
    fix: 'Leave out --limit.',
    blame: 'usage',
  });
}
