import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { FleetError } from '../core/errors.ts';
import { lines, sh } from '../core/shell.ts';
import type { Answer } from '../ssh/connection.ts';
import type { Upload, UploadPace } from './action.ts';
import { fetchScript, noToolExit } from './file-server-script.ts';
import { type HostSession, isConnectionLost } from './host-session.ts';
import { type LocalFile, readSize } from './local-file.ts';
import { bringSpread, type Fetched, isSpread, type Offer } from './spread.ts';
import { untilAllowed, whenItsTurn } from './upload-pace.ts';
import { exits, receiveScript } from './upload-script.ts';

/** A paced upload goes in smaller pieces, so that a slow line stays usable for others in between. */
const pacedReadSize = 64 * 1024;

/** How often a connection may break without a byte more having arrived, before the upload is given up. */
const fruitlessAttempts = 3;
const reconnectForMs = 60_000;

const toldEveryMs = 100;

/** A line slower than this is given up at the deadline; the deadline grows with the size so that no faster one is. */
export const slowestBytesPerMs = 50;

function slowest(pace: UploadPace | undefined): number {
  if (pace?.bytesPerSecond === undefined) return slowestBytesPerMs;
  return Math.min(slowestBytesPerMs, pace.bytesPerSecond / 1000 / pace.atOnce / 2);
}

/**
 * So many pieces of memory take turns: one is being read into, and what the streams on the way hold back at most are three more, since
 * they say stop at 2 MiB (ssh2's channel) or before. A new piece for each read costs a seventh of the upload's CPU time in collecting them.
 */
const piecesInTurn = 6;

/** The file's bytes from where they are wanted. A listener of its own on a stream would set it flowing before anybody reads. */
async function* chunksOf(
  file: LocalFile,
  wantedFrom: Promise<number | undefined>,
  pace: UploadPace | undefined,
  onProgress: (arrivedBytes: number) => void,
): AsyncGenerator<Buffer> {
  const from = await wantedFrom;
  if (from === undefined || from >= file.size) return;
  const isPaced = pace?.bytesPerSecond !== undefined;
  const pieces: Buffer[] = [];
  const handle = await open(file.path);
  try {
    for (let sent = from, turn = 0; sent < file.size; turn = (turn + 1) % piecesInTurn) {
      // Small pieces wait in greater number than there are turns.
      const piece = isPaced
        ? Buffer.allocUnsafe(pacedReadSize)
        : (pieces[turn] ?? Buffer.allocUnsafeSlow(Math.min(readSize, file.size)));
      if (!isPaced) pieces[turn] = piece;
      const { bytesRead } = await handle.read(piece, 0, Math.min(piece.length, file.size - sent), sent);
      if (bytesRead === 0) return;
      await untilAllowed(bytesRead, pace);
      yield piece.subarray(0, bytesRead);
      sent += bytesRead;
      onProgress(sent);
    }
  } finally {
    await handle.close();
  }
}

/** One file on its way to one host. */
interface Sending {
  readonly session: HostSession;
  readonly upload: Upload;
  readonly file: LocalFile;
  /** For all but the bytes themselves, which have time by their number. */
  readonly deadlineMs: number;
  readonly onProgress: (arrivedBytes: number) => void;
}

/**
 * Sends a file over a channel of its own to a staged file beside its target, has the host check its sha256, and renames
 * it. A connection that breaks is opened again and sending goes on where the host's part ends; a part that an earlier
 * run left counts too.
 * @throws FleetError UPLOAD_DAMAGED when other bytes arrived than were sent, UPLOAD_NO_SPACE before anything is sent,
 *   UPLOAD_REFUSED when `validate` says no, UPLOAD_FAILED with the host's own words
 */
export async function uploadFile(
  session: HostSession,
  upload: Upload,
  file: LocalFile,
  deadlineMs: number,
  onProgress: (arrivedBytes: number) => void,
): Promise<void> {
  const sending: Sending = {
    session,
    upload,
    file,
    deadlineMs,
    onProgress: nowAndThen(file.size, onProgress),
  };
  const direct = (onMoved: () => void): Promise<void> =>
    whenItsTurn(upload.pace, () =>
      sendUntilThere({
        ...sending,
        onProgress: (arrived) => {
          onMoved();
          sending.onProgress(arrived);
        },
      }),
    );
  if (!isSpread(upload, file)) return direct(() => {});
  await bringSpread(session, upload, file, { direct, fetch: (offer) => fetchFromHost(sending, offer) });
}

/** Progress is kept in the journal: a piece of news every so often, and the last. */
export function nowAndThen(
  size: number,
  onProgress: (arrivedBytes: number) => void,
): (arrivedBytes: number) => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  return (arrived) => {
    const now = performance.now();
    if (arrived < size && now - toldAt < toldEveryMs) return;
    toldAt = now;
    onProgress(arrived);
  };
}

/** Has the host fetch the file from another, from its beginning. What arrived of a fetch that broke off is gone on with from here. */
async function fetchFromHost(
  { session, upload, file, deadlineMs, onProgress }: Sending,
  { address, port, secret }: Offer,
): Promise<Fetched> {
  const fetch = lines(sh`: > "$part"`, fetchScript(address, port, secret));
  try {
    const answer = await session.runBeside(receiveScript(upload, file, fetch), {
      deadlineMs: deadlineMs + file.size / slowestBytesPerMs,
      onStdout: (chunk) => {
        const at = /at (\d+)\n/.exec(chunk.toString('latin1'))?.[1];
        if (at !== undefined) onProgress(Number(at));
      },
    });
    if (answer.code === 0) onProgress(file.size);
    return answer.code === 0 ? 'fetched' : answer.code === noToolExit ? 'unable' : 'failed';
  } catch (thrown) {
    // The direct way opens the connection again, or says why it cannot.
    if (thrown instanceof FleetError) return 'failed';
    throw thrown;
  }
}

async function sendUntilThere(sending: Sending): Promise<void> {
  let most = 0;
  let fruitless = 0;
  let damaged = 0;
  for (;;) {
    let begun = 0;
    try {
      const answer = await send(sending, (have) => {
        begun = have;
      });
      if (answer.code === 0) return;
      // A part whose two halves do not belong together (a writer of the lost connection that was still at work): once more, whole.
      damaged += 1;
      if (answer.code !== exits.damaged || begun === 0 || damaged > 1) throw uploadFailed(sending, answer);
    } catch (thrown) {
      if (!isConnectionLost(thrown)) throw thrown;
      fruitless = begun > most ? 0 : fruitless + 1;
      most = Math.max(most, begun);
      if (fruitless >= fruitlessAttempts) throw thrown;
      await sending.session.reconnect(reconnectForMs);
    }
  }
}

async function send(
  { session, upload, file, deadlineMs, onProgress }: Sending,
  onBegin: (have: number) => void,
): Promise<Answer> {
  let begin: (from: number | undefined) => void = () => {};
  const wantedFrom = new Promise<number | undefined>((resolve) => {
    begin = resolve;
  });
  let stdout = '';
  const onStdout = (chunk: Buffer): void => {
    stdout += chunk.toString('utf8');
    const have = /^have (\d+)\n/.exec(stdout)?.[1];
    if (have === undefined) return;
    onBegin(Number(have));
    begin(Number(have));
  };
  try {
    const answer = await session.runBeside(
      receiveScript(upload, file, sh`cat >> "$part" || { rm -f -- "$part"; exit 1; }`),
      {
        stdin: Readable.from(chunksOf(file, wantedFrom, upload.pace, onProgress), { objectMode: false }),
        deadlineMs: deadlineMs + file.size / slowest(upload.pace),
        onStdout,
      },
    );
    return { ...answer, stdout: stdout.replace(/^have \d+\n/, '') };
  } finally {
    begin(undefined);
  }
}

function uploadFailed({ session: { host }, upload, file }: Sending, answer: Answer): FleetError {
  const words = answer.stdout.trim() || answer.stderr.trim() || `exit status ${answer.code}`;
  switch (answer.code) {
    case exits.damaged:
      return new FleetError({
        code: 'UPLOAD_DAMAGED',
        message: `${upload.path} arrived damaged: ${words}, sent was ${file.sha256}`,
        host,
        fix: 'Run again; if it happens again, check the network and the memory of both machines.',
      });
    case exits.full:
      return new FleetError({
        code: 'UPLOAD_NO_SPACE',
        message: `there is no room for ${upload.path}: ${words}`,
        host,
        fix: 'Make room on the host, then run again. Nothing was sent.',
      });
    case exits.invalid:
      return new FleetError({
        code: 'UPLOAD_REFUSED',
        message: `${file.path} was not put at ${upload.path}: ${words}`,
        host,
        fix: 'Put the right file there, then run again. What was at the place is untouched.',
      });
    case exits.incomplete:
      return new FleetError({
        code: 'UPLOAD_FAILED',
        message: `${file.path} ended before its ${file.size} bytes were sent`,
        host,
        fix: 'Run again when nobody writes to the file: sending goes on where it stopped.',
      });
    default:
      return new FleetError({
        code: 'UPLOAD_FAILED',
        message: `${upload.path} could not be written: ${words}`,
        host,
        fix: `Check free space and permissions of ${upload.path} on the host.`,
      });
  }
}
