import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { FleetError } from '../core/errors.ts';
import { lines, type ShellScript, sh } from '../core/shell.ts';
import type { Answer } from '../ssh/connection.ts';
import type { Upload, UploadPace } from './action.ts';
import { fetchScript, noToolExit } from './file-server-script.ts';
import { type HostSession, isConnectionLost } from './host-session.ts';
import { type LocalFile, readSize } from './local-file.ts';
import { bringSpread, type Fetched, isSpread, type Offer } from './spread.ts';
import { untilAllowed, whenItsTurn } from './upload-pace.ts';

/** A paced upload goes in smaller pieces, so that a slow line stays usable for others in between. */
const pacedReadSize = 64 * 1024;

/** What arrived of a smaller file is not worth keeping. */
const resumedFromBytes = 1024 * 1024;

/** How often a connection may break without a byte more having arrived, before the upload is given up. */
const fruitlessAttempts = 3;
const reconnectForMs = 60_000;

const toldEveryMs = 100;

/** A line slower than this is given up at the deadline; the deadline grows with the size so that no faster one is. */
const slowestBytesPerMs = 50;

function slowest(pace: UploadPace | undefined): number {
  if (pace?.bytesPerSecond === undefined) return slowestBytesPerMs;
  return Math.min(slowestBytesPerMs, pace.bytesPerSecond / 1000 / pace.atOnce / 2);
}

/** What the staging script says and how it ends. */
const exits = { damaged: 65, incomplete: 66, full: 67, invalid: 68 } as const;

/** The file's bytes from where they are wanted. A listener of its own on the stream would set it flowing before anybody reads. */
async function* chunksOf(
  file: LocalFile,
  wantedFrom: Promise<number | undefined>,
  pace: UploadPace | undefined,
  onProgress: (arrivedBytes: number) => void,
): AsyncGenerator<Buffer> {
  const from = await wantedFrom;
  if (from === undefined || from >= file.size) return;
  let sent = from;
  const highWaterMark = pace?.bytesPerSecond === undefined ? readSize : pacedReadSize;
  for await (const chunk of createReadStream(file.path, { start: from, highWaterMark })) {
    await untilAllowed(chunk.length, pace);
    yield chunk;
    sent += chunk.length;
    onProgress(sent);
  }
}

/** Where a file waits on a host until all of it is there; the same for the same bytes, so that a later attempt finds it. */
export function stagedBeside(path: string, sha256: string): string {
  return `${stagedPrefix(path)}${sha256.slice(0, 16)}.part`;
}

function stagedPrefix(path: string): string {
  const slash = path.lastIndexOf('/');
  return `${path.slice(0, slash + 1)}.fleet-${path.slice(slash + 1)}-`;
}

/**
 * Makes `$part` ready, with what of it is there already (`$have` bytes): another file's beginnings are removed, and a
 * disk that is too full is told before anything is sent.
 */
export function readyPart(upload: Upload, file: LocalFile): ShellScript {
  const folder = upload.path.slice(0, upload.path.lastIndexOf('/') + 1);
  return sh`umask 077; part=${stagedBeside(upload.path, file.sha256)}; want=${file.size}
for other in ${stagedPrefix(upload.path)}*.part; do [ "$other" = "$part" ] || rm -f -- "$other"; done
have=$(stat -c %s -- "$part" 2>/dev/null) || have=0
[ "$have" -le "$want" ] || { rm -f -- "$part"; have=0; }
free=$(df -Pk ${folder} 2>/dev/null | { read -r _; read -r _ _ _ free _; echo "$free"; })
if [ -n "$free" ] && [ "$free" -lt $(((want - have) / 1024)) ]; then
  echo "$(((want - have) / 1024)) KiB are needed, $free KiB are free"; exit ${exits.full}
fi`;
}

/** Checks `$part` and renames it. `openssl dgst` is three times as fast as coreutils' sha256sum, which is the fallback. */
export function landPart(upload: Upload, file: LocalFile): ShellScript {
  return lines(
    sh`[ "$(stat -c %s -- "$part")" = "$want" ] || { [ "$want" -ge ${resumedFromBytes} ] || rm -f -- "$part"; exit ${exits.incomplete}; }
if command -v openssl > /dev/null; then sum=$(openssl dgst -sha256 -r "$part"); else sum=$(sha256sum "$part"); fi
[ "\${sum%% *}" = ${file.sha256} ] || { rm -f -- "$part"; echo "sha256 is \${sum%% *}"; exit ${exits.damaged}; }
trap 'rm -f -- "$part"' EXIT; trap 'exit 1' HUP INT PIPE TERM
set -e
chown ${`${upload.owner}:${upload.group}`} "$part"
chmod ${upload.mode} "$part"`,
    ...(upload.validate === undefined
      ? []
      : [
          sh`( ${upload.validate(stagedBeside(upload.path, file.sha256))}
) || exit ${exits.invalid}`,
        ]),
    sh`sync "$part" 2>/dev/null || sync
mv -f -- "$part" ${upload.path}
trap - EXIT`,
  );
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
  const tell = nowAndThen(file, onProgress);
  const direct = (onMoved: () => void): Promise<void> =>
    whenItsTurn(upload.pace, () =>
      sendUntilThere(session, upload, file, deadlineMs, (arrived) => {
        onMoved();
        tell(arrived);
      }),
    );
  if (!isSpread(upload, file)) return direct(() => {});
  await bringSpread(session, upload, file, {
    direct,
    fetch: (offer) => fetchFromHost(session, upload, file, offer, deadlineMs, tell),
  });
}

/** Progress is kept in the journal: a piece of news every so often, and the last. */
function nowAndThen(
  file: LocalFile,
  onProgress: (arrivedBytes: number) => void,
): (arrivedBytes: number) => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  return (arrived) => {
    const now = performance.now();
    if (arrived < file.size && now - toldAt < toldEveryMs) return;
    toldAt = now;
    onProgress(arrived);
  };
}

/** Has the host fetch the file from another. What arrived of a fetch that broke off is gone on with from here. */
async function fetchFromHost(
  session: HostSession,
  upload: Upload,
  file: LocalFile,
  { address, port, secret }: Offer,
  deadlineMs: number,
  onProgress: (arrivedBytes: number) => void,
): Promise<Fetched> {
  try {
    const answer = await session.runBeside(
      lines(readyPart(upload, file), fetchScript(address, port, secret), landPart(upload, file)),
      {
        deadlineMs: deadlineMs + file.size / slowestBytesPerMs,
        onStdout: (chunk) => {
          const at = /at (\d+)\n/.exec(chunk.toString('latin1'))?.[1];
          if (at !== undefined) onProgress(Number(at));
        },
      },
    );
    if (answer.code === 0) onProgress(file.size);
    return answer.code === 0 ? 'fetched' : answer.code === noToolExit ? 'unable' : 'failed';
  } catch (thrown) {
    // The direct way opens the connection again, or says why it cannot.
    if (thrown instanceof FleetError) return 'failed';
    throw thrown;
  }
}

async function sendUntilThere(
  session: HostSession,
  upload: Upload,
  file: LocalFile,
  deadlineMs: number,
  onProgress: (arrivedBytes: number) => void,
): Promise<void> {
  let most = 0;
  let fruitless = 0;
  let damaged = 0;
  for (;;) {
    let begun = 0;
    try {
      const answer = await send(session, upload, file, deadlineMs + file.size / slowest(upload.pace), {
        onBegin: (have) => {
          begun = have;
        },
        onProgress,
      });
      if (answer.code === 0) return;
      // A part whose two halves do not belong together (a writer of the lost connection that was still at work): once more, whole.
      damaged += 1;
      if (answer.code !== exits.damaged || begun === 0 || damaged > 1)
        throw uploadFailed(session, upload, file, answer);
    } catch (thrown) {
      if (!isConnectionLost(thrown)) throw thrown;
      fruitless = begun > most ? 0 : fruitless + 1;
      most = Math.max(most, begun);
      if (fruitless >= fruitlessAttempts) throw thrown;
      await session.reconnect(reconnectForMs);
    }
  }
}

async function send(
  session: HostSession,
  upload: Upload,
  file: LocalFile,
  deadlineMs: number,
  told: { readonly onBegin: (have: number) => void; readonly onProgress: (arrivedBytes: number) => void },
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
    told.onBegin(Number(have));
    begin(Number(have));
  };
  try {
    const answer = await session.runBeside(
      lines(
        readyPart(upload, file),
        sh`echo "have $have"
if [ "$have" -lt "$want" ]; then cat >> "$part" || { rm -f -- "$part"; exit 1; }; fi`,
        landPart(upload, file),
      ),
      {
        stdin: Readable.from(chunksOf(file, wantedFrom, upload.pace, told.onProgress), { objectMode: false }),
        deadlineMs,
        onStdout,
      },
    );
    return { ...answer, stdout: stdout.replace(/^have \d+\n/, '') };
  } finally {
    begin(undefined);
  }
}

function uploadFailed(session: HostSession, upload: Upload, file: LocalFile, answer: Answer): FleetError {
  const words = answer.stdout.trim() || answer.stderr.trim() || `exit status ${answer.code}`;
  const { host } = session;
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
