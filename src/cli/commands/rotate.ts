import { join, resolve } from 'node:path';
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
  if (name !== 'ca' && invocation.flags.text('path') !== undefined) {
    throw new FleetError({
      code: 'FLAG_MEANINGLESS',
      message: `--path is about authorities, and fleet rotate ${name} makes none`,
      fix: 'Leave it out, or say fleet rotate ca.',
      blame: 'usage',
    });
  }
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
  refuseWhile(
    'ca',
    servers.some(({ caRotation }) => caRotation === 'loaded'),
  );
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

async function ca(invocation: Invocation): Promise<ExitCode> {
  const { console, settings } = invocation;
  refuseLimit(invocation, 'a node that does not know the new authorities could not come back');
  const opened = await openFleet(invocation, { needsCluster: true });
  const servers = await seenServers(invocation, opened);
  refuseWhile(
    'token',
    servers.some(({ rotation }) => rotation !== undefined && rotation !== 'none'),
  );
  const begun = servers.find(({ caRotation }) => caRotation !== undefined && caRotation !== 'none');
  const { host } = begun ?? speaker(servers);
  const path = invocation.flags.text('path');
  const run = await clusterRun(
    invocation,
    {
      command: 'rotate',
      playbook: 'rotate-ca',
      vars: {
        rotate_on: host.name,
        rotate_goes_on: begun?.caRotation === 'loaded',
        ...(path === undefined ? {} : { rotate_ca_path: resolve(path) }),
      },
    },
    opened,
  );
  const code = await driven(
    invocation,
    run,
    path === undefined
      ? 'Give the cluster new authorities, signed by the old ones, and restart every node with them?'
      : `Give the cluster the authorities of ${path}, and restart every node with them?`,
  );
  if (code !== exit.ok || settings.check) return code;
  console.note(
    path === undefined
      ? 'Kubeconfigs elsewhere go on working until the old authorities end; a full token (K10…) that you keep elsewhere names the old one: take the new one from server/token.'
      : 'Kubeconfigs and full tokens (K10…) elsewhere go on working where the root is the same as before.',
  );
  return code;
}

function driven(invocation: Invocation, run: ClusterRun, question: string): Promise<ExitCode> {
  return invocation.settings.check ? drivePlan(invocation, run) : driveAsking(invocation, run, question);
}

/** A token names its authority: one of the two must stand still while the other changes. */
function refuseWhile(other: 'ca' | 'token', isUnderWay: boolean): void {
  if (!isUnderWay) return;
  throw new FleetError({
    code: 'ROTATION_UNDER_WAY',
    message: `fleet rotate ${other} was broken off, and not every node has the new ${other === 'ca' ? 'authorities' : 'token'}`,
    fix: `Finish it first: fleet rotate ${other}.`,
  });
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
