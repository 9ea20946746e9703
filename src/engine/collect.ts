import { createHash, randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { sh } from '../core/shell.ts';
import type { Collect } from './action.ts';
import { type HostSession, isConnectionLost } from './host-session.ts';
import { nowAndThen, slowestBytesPerMs } from './upload.ts';

/** How often a connection may break without a byte more having arrived, before the file is given up. */
const fruitlessAttempts = 3;
const reconnectForMs = 60_000;

/**
 * Brings a file of the host into one of the control node, over a channel of its own and never whole in memory: temporary file
 * beside the target with its final mode, compared by its sha256, flushed, renamed. After a broken connection it goes on at the
 * byte where it was. A file that grows meanwhile (a log) arrives as it was at some moment.
 * @throws FleetError FETCH_FAILED with the host's own words, FETCH_DAMAGED when other bytes arrived than are there,
 *   FILE_UNWRITABLE where the control node has no room
 */
export async function collectFile(
  session: Pick<HostSession, 'host' | 'runBeside' | 'reconnect'>,
  collect: Collect,
  deadlineMs: number,
  onProgress: (arrivedBytes: number) => void,
): Promise<void> {
  const { source, path, sizeBytes } = collect;
  const options = { deadlineMs: deadlineMs + sizeBytes / slowestBytesPerMs };
  const told = nowAndThen(sizeBytes, onProgress);
  const temporary = `${path}.fleet-${randomBytes(6).toString('hex')}~`;
  const hash = createHash('sha256');
  let arrived = 0;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch(unwritable(path));
    const file = await open(temporary, 'wx', Number.parseInt(collect.mode, 8)).catch(unwritable(path));
    try {
      const full = new AbortController();
      let fruitless = 0;
      for (;;) {
        const before = arrived;
        try {
          const { code, stderr } = await session.runBeside(sh`tail -c +${arrived + 1} -- ${source}`, {
            ...options,
            signal: full.signal,
            onStdout: (chunk) => {
              if (full.signal.aborted) return;
              try {
                // At once: a disk that is slower than the line slows the line down, and nothing piles up in memory.
                writeSync(file.fd, chunk);
              } catch (cause) {
                full.abort(cause);
                return;
              }
              hash.update(chunk);
              arrived += chunk.length;
              told(arrived);
            },
          });
          if (full.signal.aborted) throw full.signal.reason;
          if (code !== 0) throw failed(session.host, source, stderr.trim() || `exit status ${code}`);
          break;
        } catch (thrown) {
          if (full.signal.aborted) unwritable(path)(full.signal.reason);
          if (!isConnectionLost(thrown)) throw thrown;
          fruitless = arrived > before ? 0 : fruitless + 1;
          if (fruitless >= fruitlessAttempts) throw thrown;
          await session.reconnect(reconnectForMs);
        }
      }
      await file.sync().catch(unwritable(path));
    } finally {
      await file.close();
    }
    const sum = hash.digest('hex');
    if (sum !== collect.sha256) {
      const there = await session.runBeside(sh`head -c ${arrived} -- ${source} | sha256sum`, options);
      if (!there.stdout.startsWith(sum)) {
        throw new FleetError({
          code: 'FETCH_DAMAGED',
          message: `${source} did not arrive as it is: its sha256 is ${there.stdout.slice(0, 64)}, arrived is ${sum}`,
          host: session.host,
          fix: 'Run again when nobody writes to the file.',
        });
      }
    }
    await rename(temporary, path).catch(unwritable(path));
  } catch (thrown) {
    // Where no file could be made, there is none to remove.
    await rm(temporary, { force: true }).catch(() => {});
    throw thrown;
  }
}

function failed(host: string, source: string, words: string): FleetError {
  return new FleetError({
    code: 'FETCH_FAILED',
    message: `${source} could not be read: ${words}`,
    host,
    fix: 'Check the file on the host, then run again.',
  });
}

function unwritable(path: string): (cause: unknown) => never {
  return (cause) => {
    throw new FleetError(
      {
        code: 'FILE_UNWRITABLE',
        message: `cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
        where: { file: path },
        fix: 'Check that the folder may be written to and has space.',
      },
      { cause },
    );
  };
}
