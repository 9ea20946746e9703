import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { FleetError } from '../core/errors.ts';
import { sh } from '../core/shell.ts';
import type { Upload } from './action.ts';
import { removedAtEnd, temporaryBeside } from './action-script.ts';
import type { HostSession } from './host-session.ts';

/** Reads of this size reach 306 MB/s over one channel where 64 KiB reads reach 235 (bench/README.md). */
const readSize = 1024 * 1024;

/** A file on the control node that stands ready to be sent. */
export interface LocalFile {
  readonly path: string;
  readonly sha256: string;
  readonly size: number;
}

const digests = new Map<string, Promise<LocalFile>>();

/** Size and sha256 of a local file; computed once per run for a file that does not change. */
export async function localFile(path: string): Promise<LocalFile> {
  const found = await stat(path).catch((cause) => {
    throw new FleetError(
      {
        code: 'FILE_UNREADABLE',
        message: `cannot read ${path}`,
        where: { file: path },
        fix: 'Check that the file exists and may be read.',
      },
      { cause },
    );
  });
  const identity = `${path}\0${found.size}\0${found.mtimeMs}\0${found.ino}`;
  const known =
    digests.get(identity) ?? sha256Of(path).then((sha256) => ({ path, sha256, size: found.size }));
  digests.set(identity, known);
  return known;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: readSize })) hash.update(chunk);
  return hash.digest('hex');
}

/** The file's bytes as they are asked for. A listener of its own on the stream would set it flowing before anybody reads. */
async function* chunksOf(file: LocalFile, onProgress: (sentBytes: number) => void): AsyncGenerator<Buffer> {
  let sent = 0;
  for await (const chunk of createReadStream(file.path, { highWaterMark: readSize })) {
    yield chunk;
    sent += chunk.length;
    onProgress(sent);
  }
}

/**
 * Sends a file over a channel of its own to a temporary file beside its target, has the host check its sha256, and
 * renames it. `openssl dgst` is three times as fast as coreutils' sha256sum, which is the fallback.
 * @throws FleetError UPLOAD_DAMAGED when other bytes arrived than were sent, UPLOAD_FAILED with the host's own words
 */
export async function uploadFile(
  session: HostSession,
  upload: Upload,
  file: LocalFile,
  deadlineMs: number,
  onProgress: (sentBytes: number) => void,
): Promise<void> {
  const temporary = temporaryBeside(upload.path);
  const answer = await session.runBeside(
    sh`umask 077; temporary=${temporary}; ${removedAtEnd}
cat > "$temporary" || exit 1
if command -v openssl > /dev/null; then sum=$(openssl dgst -sha256 -r "$temporary"); else sum=$(sha256sum "$temporary"); fi
[ "\${sum%% *}" = ${file.sha256} ] || { echo "sha256 is \${sum%% *}"; exit 65; }
set -e
chown ${`${upload.owner}:${upload.group}`} "$temporary"
chmod ${upload.mode} "$temporary"
sync "$temporary" 2>/dev/null || sync
mv -f -- "$temporary" ${upload.path}
trap - EXIT`,
    { stdin: Readable.from(chunksOf(file, onProgress), { objectMode: false }), deadlineMs },
  );
  if (answer.code === 0) return;
  throw new FleetError(
    answer.code === 65
      ? {
          code: 'UPLOAD_DAMAGED',
          message: `${upload.path} arrived damaged: ${answer.stdout.trim()}, sent was ${file.sha256}`,
          host: session.host,
          fix: 'Run again; if it happens again, check the network and the memory of both machines.',
        }
      : {
          code: 'UPLOAD_FAILED',
          message: `${upload.path} could not be written: ${answer.stderr.trim() || `exit status ${answer.code}`}`,
          host: session.host,
          fix: `Check free space and permissions of ${upload.path} on the host.`,
        },
  );
}
