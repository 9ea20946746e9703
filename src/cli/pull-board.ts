import type { PullProgress } from '../airgap/pull-place.ts';
import { formatDuration } from '../ui/duration.ts';
import { formatBytes } from '../ui/wording.ts';
import type { Console } from './console.ts';

const redrawnEveryMs = 200;

/** Says what is being fetched: one line that changes where a person watches, else a line per file that is done. */
export class PullBoard {
  readonly #console: Console;
  readonly #isSilent: boolean;
  readonly #isWatched: boolean;
  readonly #files = new Map<string, PullProgress>();
  readonly #begunAt = performance.now();
  /** What was there when a file was first spoken of: it says nothing about the speed. */
  readonly #before = new Map<string, number>();
  #drawnAt = 0;
  #isDrawn = false;

  constructor(console: Console, isSilent: boolean) {
    this.#console = console;
    this.#isSilent = isSilent;
    this.#isWatched = console.err.isTTY === true && process.env.TERM !== 'dumb' && !process.env.CI;
  }

  show(progress: PullProgress): void {
    if (this.#isSilent) return;
    if (!this.#before.has(progress.path)) this.#before.set(progress.path, progress.doneBytes);
    this.#files.set(progress.path, progress);
    if (progress.state !== 'loading') {
      this.#clear();
      const size = formatBytes(progress.doneBytes);
      this.#console.note(`${progress.path}  ${size}${progress.state === 'done' ? '' : ', there already'}`);
    } else if (this.#isWatched && performance.now() - this.#drawnAt > redrawnEveryMs) this.#draw();
  }

  end(): void {
    this.#clear();
  }

  #draw(): void {
    this.#clear();
    this.#drawnAt = performance.now();
    const all = [...this.#files.values()];
    const loading = all.filter(({ state }) => state === 'loading');
    const done = all.reduce((sum, { doneBytes }) => sum + doneBytes, 0);
    const total = all.reduce((sum, { totalBytes, doneBytes }) => sum + (totalBytes ?? doneBytes), 0);
    const before = [...this.#before.values()].reduce((sum, bytes) => sum + bytes, 0);
    const perMs = (done - before) / (this.#drawnAt - this.#begunAt);
    const left = perMs > 0 && total > done ? `, ${formatDuration((total - done) / perMs)} left` : '';
    const names = loading.map(({ path }) => path.slice(path.lastIndexOf('/') + 1)).join(' ');
    const text = `${formatBytes(done)} of ${formatBytes(total)}, ${formatBytes(perMs * 1000)}/s${left}  ${names}`;
    this.#console.err.write(text.slice(0, (this.#console.err.columns ?? 80) - 1));
    this.#isDrawn = true;
  }

  #clear(): void {
    if (this.#isDrawn) this.#console.err.write('\r\u001b[K');
    this.#isDrawn = false;
  }
}
