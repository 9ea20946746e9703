import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { FleetError } from '../core/errors.ts';
import type { ShellScript } from '../core/shell.ts';
import type { HostSession } from '../engine/host-session.ts';
import { saveFile } from '../engine/save.ts';
import { Sessions } from '../engine/sessions.ts';
import { tokenAt } from '../facts/k3s-old-tokens.ts';
import { accessTo } from './access.ts';
import { asRoot } from './ask-hosts.ts';
import type { SeenServer } from './cluster-servers.ts';
import type { Invocation } from './command.ts';
import { type ExitCode, exit } from './exit-codes.ts';
import type { OpenedFleet } from './open-fleet.ts';
import { sealFrom, sealToken, tokenSuffix } from './sealed-token.ts';
import { type SnapshotSource, sourceOf } from './snapshot-source.ts';

/** How long a snapshot may take to arrive. */
const fetchDeadlineMs = 2 * 60 * 60 * 1000;

/** Fetches a snapshot, checked byte for byte, and beside it the token that opens it, encrypted. */
export async function fetchSnapshot(
  invocation: Invocation,
  opened: OpenedFleet,
  servers: readonly SeenServer[],
  name: string,
): Promise<ExitCode> {
  const { console, flags } = invocation;
  const { holder, at, from } = await sourceOf(invocation, opened, servers, name);
  const folder = flags.text('to') ?? '.';
  const path = join(folder, name);
  const token = tokenAt(holder.oldTokens, at) ?? holder.data?.token;
  // Asked for before a long wait, not after it.
  const seal = flags.has('withoutToken') || token === undefined ? undefined : await sealFrom(invocation);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await fetchFile(invocation, opened, holder.host.name, from, path);
  if (token !== undefined && seal !== undefined) {
    await saveFile({
      kind: 'save',
      path: `${path}${tokenSuffix}`,
      content: await sealToken(token, seal),
      mode: '0600',
    });
  }
  console.result(path);
  console.note(
    seal === undefined
      ? 'The token of the cluster is not with it: without that token the snapshot opens nowhere else.'
      : `${path}${tokenSuffix} holds the token that opens it, encrypted. It restores with: fleet snapshot restore ${path}`,
  );
  return exit.ok;
}

/** @throws FleetError FETCH_DAMAGED where other bytes arrived than are there */
async function fetchFile(
  invocation: Invocation,
  opened: OpenedFleet,
  host: string,
  from: SnapshotSource,
  to: string,
): Promise<void> {
  const temporary = `${to}.part`;
  const sessions = new Sessions(await accessTo(opened, invocation), { count: 0 }, () => {});
  const out = createWriteStream(temporary, { mode: 0o600 });
  try {
    await chmod(temporary, 0o600).catch(() => {});
    const session = sessions.of(host, asRoot);
    const hash = createHash('sha256');
    let bytes = 0;
    const sent = await session.runBeside(from.read, {
      deadlineMs: fetchDeadlineMs,
      onStdout: (chunk) => {
        hash.update(chunk);
        bytes += chunk.length;
        out.write(chunk);
      },
    });
    out.end();
    await finished(out);
    const arrived = hash.digest('hex');
    const sum = from.sum === undefined ? arrived : await sumBy(session, from.sum);
    if (sent.code !== 0 || sum !== arrived || (from.sizeBytes > 0 && bytes !== from.sizeBytes)) {
      throw new FleetError({
        code: 'FETCH_DAMAGED',
        message: `${from.what} did not arrive whole: ${sent.stderr.trim() || `${bytes} bytes of ${from.sizeBytes}, sha256 ${arrived}, there ${sum}`}`,
        host,
        fix: 'Run it again.',
      });
    }
    await rename(temporary, to);
  } finally {
    out.destroy();
    await rm(temporary, { force: true });
    await sessions.close();
  }
}

async function sumBy(session: HostSession, script: ShellScript): Promise<string> {
  const { stdout } = await session.runBeside(script, { deadlineMs: fetchDeadlineMs });
  const [sum = ''] = stdout.split(/\s/);
  return sum.replace(/^\\/, '');
}
