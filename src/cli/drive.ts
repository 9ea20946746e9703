import { FleetError } from '../core/errors.ts';
import type { StampedEvent } from '../engine/event.ts';
import { type Journal, openJournal } from '../engine/journal.ts';
import { openRun, type Run, type RunOptions, type RunResult } from '../engine/run.ts';
import { countPlan, planView } from '../ui/plan-view.ts';
import type { Renderer } from '../ui/renderer.ts';
import type { Invocation } from './command.ts';
import { type ExitCode, exit } from './exit-codes.ts';
import { type Interrupts, listenForInterrupts } from './interrupts.ts';
import { journalFolder } from './journal-folder.ts';
import { canAsk, confirm } from './prompt.ts';
import { rendererFor } from './renderer-for.ts';

/** What a command wants run; how it is drawn, kept and interrupted is the driver's. */
export type Wanted = Omit<RunOptions, 'emit' | 'redactor' | 'signal'>;

/** Only decides and shows: `fleet plan`, `--check`. */
export async function drivePlan(invocation: Invocation, wanted: Wanted): Promise<ExitCode> {
  return withDriver(invocation, wanted, async (driver) => {
    const result = await driver.plan();
    if (result.status === 'interrupted') return exit.interrupted;
    if (invocation.settings.output === 'text') {
      invocation.console.result(planView(driver.planned, invocation.console.outPalette));
    }
    if (result.failed.size > 0) return exit.failed;
    return result.status === 'unchanged' ? exit.ok : exit.changes;
  });
}

/** The events of a plan that is not drawn; `undefined` where it could not be made. */
export async function quietPlan(
  invocation: Invocation,
  wanted: Wanted,
): Promise<readonly StampedEvent[] | undefined> {
  const events: StampedEvent[] = [];
  const run = openRun({
    ...wanted,
    emit: (event) => void events.push(event),
    redactor: invocation.console.redactor,
    signal: new AbortController().signal,
  });
  try {
    await run.plan();
    return events.some(({ kind }) => kind === 'run-failed') ? undefined : events;
  } finally {
    await run.close();
  }
}

/** Acts at once: `--yes`, and what a person started by naming it. */
export async function driveApply(
  invocation: Invocation,
  wanted: Wanted,
  renderer?: Renderer,
): Promise<ExitCode> {
  return withDriver(invocation, wanted, async (driver) => exitOf(await driver.apply(renderer)));
}

/** Shows the plan, asks, and acts on what was seen; with `--yes` it acts at once. */
export async function driveAsking(
  invocation: Invocation,
  wanted: Wanted,
  question = 'Do it?',
): Promise<ExitCode> {
  const { settings, console } = invocation;
  if (settings.yes) return driveApply(invocation, wanted);
  if (!canAsk() || settings.output === 'json') {
    throw new FleetError({
      code: 'NOBODY_TO_ASK',
      message: `fleet ${wanted.command} asks before it acts, and here nobody can answer`,
      fix: `Add --yes to act, or run \`fleet ${wanted.command} --check\` to see what would change.`,
      blame: 'usage',
    });
  }
  return withDriver(invocation, wanted, async (driver) => {
    const planned = await driver.plan();
    if (planned.status === 'interrupted') return exit.interrupted;
    // Below the drawing, and on the same stream as the question that it is about.
    console.err.write(`\n${console.redactor.mask(planView(driver.planned, console.errPalette))}\n`);
    const { toChange } = countPlan(driver.planned);
    if (toChange === 0) return planned.failed.size > 0 ? exit.failed : exit.ok;
    const hint = planned.failed.size > 0 ? ' The failed hosts are left out.' : '';
    driver.stopListening();
    if (!(await confirm(`\n${question}${hint}`))) {
      console.note('Nothing was changed.');
      return exit.ok;
    }
    driver.listen();
    return exitOf(await driver.apply());
  });
}

function exitOf(result: RunResult): ExitCode {
  if (result.status === 'interrupted') return exit.interrupted;
  return result.failed.size > 0 ? exit.failed : exit.ok;
}

async function withDriver(
  invocation: Invocation,
  wanted: Wanted,
  act: (driver: Driver) => Promise<ExitCode>,
): Promise<ExitCode> {
  const driver = new Driver(invocation, wanted);
  try {
    return await act(driver);
  } finally {
    await driver.close();
  }
}

/** One run with what surrounds it: the drawing, the journal, Ctrl-C. */
class Driver {
  readonly #invocation: Invocation;
  readonly #run: Run;
  readonly #events: StampedEvent[] = [];
  readonly #abort = new AbortController();
  #interrupts: Interrupts | undefined;
  #renderer: Renderer | undefined;
  #journal: Journal | undefined;

  constructor(invocation: Invocation, wanted: Wanted) {
    this.#invocation = invocation;
    this.#run = openRun({
      ...wanted,
      emit: (event) => this.#take(event),
      redactor: invocation.console.redactor,
      signal: this.#abort.signal,
    });
    this.listen();
  }

  /** The events of the plan. */
  get planned(): readonly StampedEvent[] {
    return this.#events;
  }

  async plan(): Promise<RunResult> {
    return this.#draw(true, () => this.#run.plan());
  }

  async apply(renderer?: Renderer): Promise<RunResult> {
    this.#openJournal();
    return this.#draw(false, () => this.#run.apply(), renderer);
  }

  /** From here Ctrl-C ends the run with care. */
  listen(): void {
    this.#interrupts ??= listenForInterrupts(() => {
      this.#abort.abort('graceful');
      if (this.#renderer?.stopping !== undefined) this.#renderer.stopping();
      else if (this.#invocation.settings.output === 'text') {
        this.#invocation.console.note('\nStopping: what runs is finished first. Ctrl-C again stops at once.');
      }
    });
  }

  stopListening(): void {
    this.#interrupts?.stopListening();
    this.#interrupts = undefined;
  }

  async close(): Promise<void> {
    await this.#run.close();
    await this.#journal?.close();
    this.stopListening();
  }

  async #draw(planOnly: boolean, act: () => Promise<RunResult>, renderer?: Renderer): Promise<RunResult> {
    const { settings, console } = this.#invocation;
    this.#renderer = renderer ?? (await rendererFor(settings, console, { planOnly }));
    console.drawnBy(this.#renderer);
    try {
      return await act();
    } finally {
      await this.#renderer.end();
      this.#renderer = undefined;
      console.drawnBy(undefined);
    }
  }

  #take(event: StampedEvent): void {
    if (this.#journal === undefined) this.#events.push(event);
    this.#journal?.append(event);
    this.#renderer?.handle(event);
  }

  /** Plans alone leave nothing behind; before the first change the journal begins, with the plan that led to it. */
  #openJournal(): void {
    try {
      this.#journal = openJournal(journalFolder, this.#run.id);
    } catch (error) {
      this.#invocation.console.warn({
        code: 'NO_JOURNAL',
        message: `this run leaves no journal: ${error instanceof Error ? error.message : String(error)}`,
        fix: `Run fleet where it may write ${journalFolder}.`,
      });
      return;
    }
    for (const event of this.#events) this.#journal.append(event);
  }
}
