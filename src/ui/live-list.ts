import {
  Listr,
  ListrDefaultRendererLogLevels,
  ListrLogger,
  ListrTaskState,
  ProcessOutput,
  Spinner,
} from 'listr2';
import type { Palette, Style } from './color.ts';

export type RowState = 'waiting' | 'working' | 'done' | 'failed';

export interface Row {
  readonly state: RowState;
  readonly text: string;
}

/** What a live list shows. Asked anew at every tick, so that clocks run and a thousand events cost no more than one. */
export interface LiveContent {
  title(): string;
  /** At most `most` rows, the telling ones first to stay. */
  rows(most: number): readonly Row[];
  hasFailed(): boolean;
}

const TICK_MS = 120;
const MOST_ROWS = 30;

const states = {
  waiting: ListrTaskState.WAITING,
  working: ListrTaskState.STARTED,
  done: ListrTaskState.COMPLETED,
  failed: ListrTaskState.FAILED,
} as const satisfies Record<RowState, ListrTaskState>;

/**
 * A title with rows below it, redrawn in place by listr2 until `finish`; its last state then stays on the screen.
 * listr2 draws and never schedules: its tasks do nothing but wait for `finish`, none of them ever rejects, and what
 * they show is set from outside. Its own SIGINT handler, which exits the process, is off.
 */
export class LiveList {
  readonly #content: LiveContent;
  readonly #screen: NodeJS.WriteStream;
  readonly #palette: Palette;
  readonly #leavesNothing: boolean;
  #vanished = false;
  #finish: () => void = () => {};
  readonly #finished: Promise<void>;

  constructor(
    content: LiveContent,
    options: {
      readonly screen: NodeJS.WriteStream;
      readonly palette: Palette;
      readonly leavesNothing?: boolean;
    },
  ) {
    this.#content = content;
    this.#screen = options.screen;
    this.#palette = options.palette;
    this.#leavesNothing = options.leavesNothing ?? false;
    this.#finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  /** The content is final: it is drawn once more and `draw` resolves. May come before `draw`. */
  finish(): void {
    this.#finish();
  }

  /** Ends the drawing and leaves nothing of it. */
  vanish(): void {
    this.#vanished = true;
    this.#finish();
  }

  /** Draws until finished. */
  async draw(): Promise<void> {
    const { dim, green, red, yellow, cyan } = this.#palette;
    const paint = (style: Style) => (text?: string) => style(text ?? '');
    const slots = Math.max(3, Math.min(MOST_ROWS, (this.#screen.rows ?? 24) - 4));
    const list: Listr<unknown, 'default', 'simple'> = new Listr(
      [
        {
          // Not empty: listr2 shows a task without a title elsewhere.
          title: ' ',
          task: async (_, task) => {
            const rows = task.newListr(
              Array.from({ length: slots }, () => ({ title: ' ', task: () => this.#finished })),
              { concurrent: true },
            );
            return rows;
          },
        },
      ],
      {
        renderer: 'default',
        // Whether the screen is a terminal was decided before this class was chosen.
        fallbackRendererCondition: false,
        registerSignalListeners: false,
        exitOnError: false,
        rendererOptions: {
          collapseSubtasks: false,
          clearOutput: this.#leavesNothing,
          formatOutput: 'truncate',
          spinner: new Ticker(() => this.#show(list, slots)),
          logger: new ListrLogger<ListrDefaultRendererLogLevels>({
            useIcons: true,
            toStderr: [],
            processOutput: new Screen(this.#screen),
          }),
          icon: {
            [ListrDefaultRendererLogLevels.PENDING]: '▸',
            [ListrDefaultRendererLogLevels.WAITING]: '·',
            [ListrDefaultRendererLogLevels.COMPLETED_WITH_FAILED_SUBTASKS]: '✖',
            [ListrDefaultRendererLogLevels.FAILED_WITH_FAILED_SUBTASKS]: '✖',
          },
          color: {
            [ListrDefaultRendererLogLevels.PENDING]: paint(cyan),
            [ListrDefaultRendererLogLevels.WAITING]: paint(dim),
            [ListrDefaultRendererLogLevels.COMPLETED]: paint(green),
            [ListrDefaultRendererLogLevels.COMPLETED_WITH_FAILED_SUBTASKS]: paint(red),
            [ListrDefaultRendererLogLevels.FAILED]: paint(red),
            [ListrDefaultRendererLogLevels.FAILED_WITH_FAILED_SUBTASKS]: paint(red),
            [ListrDefaultRendererLogLevels.SKIPPED_WITH_COLLAPSE]: paint(yellow),
          },
        },
      },
    );
    void this.#finished.then(() => this.#show(list, slots, { isLast: true }));
    await list.run();
  }

  #show(list: Listr<unknown, 'default', 'simple'>, slots: number, { isLast = false } = {}): void {
    const [root] = list.tasks;
    if (root === undefined) return;
    root.title = this.#vanished ? '' : this.#content.title();
    const rows = this.#vanished ? [] : this.#content.rows(slots);
    for (const [index, slot] of (root.subtasks ?? []).entries()) {
      const row = rows[index];
      // A slot without a row has an empty title, which listr2 does not draw.
      slot.title = row?.text ?? '';
      slot.state = states[row?.state ?? 'done'];
    }
    if (isLast) root.state = this.#content.hasFailed() ? ListrTaskState.FAILED : ListrTaskState.STARTED;
  }
}

/** listr2's clock, which brings the list up to date before each drawing. */
class Ticker extends Spinner {
  readonly #update: () => void;

  constructor(update: () => void) {
    super();
    this.#update = update;
  }

  override start(draw?: () => void): void {
    super.start(() => {
      this.#update();
      draw?.();
    }, TICK_MS);
  }
}

/** Draws on the given stream, where listr2 would take stdout, and follows its size where listr2 would take a snapshot. */
class Screen extends ProcessOutput {
  readonly #screen: NodeJS.WriteStream;

  constructor(screen: NodeJS.WriteStream) {
    // The other stream is held back too while the list is up, so that a stray line cannot tear it.
    super(screen, screen === process.stderr ? process.stdout : process.stderr);
    this.#screen = screen;
  }

  override get stdout(): NodeJS.WriteStream {
    const screen = this.#screen;
    const { write } = super.stdout;
    return {
      write,
      get columns() {
        return screen.columns;
      },
      get rows() {
        return screen.rows;
      },
    } as NodeJS.WriteStream;
  }
}
