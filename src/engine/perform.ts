import { createHash } from 'node:crypto';
import { asFleetErrors, FleetError } from '../core/errors.ts';
import type { Answer, Item } from '../ssh/connection.ts';
import type { Action, Run, Upload } from './action.ts';
import { isScripted, scriptOf } from './action-script.ts';
import { collectFile } from './collect.ts';
import { fetchText, fetchVerified, sumIn } from './download.ts';
import type { ControlFact, Fact } from './fact.ts';
import type { Known } from './fact-store.ts';
import type { HostSession } from './host-session.ts';
import { type LocalFile, localFile } from './local-file.ts';
import { rebootHost } from './reboot.ts';
import { saveFile } from './save.ts';
import type { Change } from './step.ts';
import { uploadFile } from './upload.ts';
import { pause, waitUntilHolds } from './wait.ts';

/** A planned change on its way to a host. */
export interface Work {
  readonly plan: Change<Record<string, unknown>>;
  /** The facts of this host that its questions name: forgotten when it begins, asked again right behind its actions. */
  readonly ownFacts: readonly Fact<unknown>[];
  readonly environment: Readonly<Record<string, string>>;
  /** Tells this piece of work from all others of the run, the same when it is sent again. */
  readonly identity: string;
  readonly deadlineMs: number;
  readonly onStart: () => void;
  readonly onWaiting: (what: string, reason: string, deadlineMs: number) => void;
  readonly onProgress: (text: string, done: number, total: number) => void;
}

/** How a piece of work ended; `undefined` for one that was never begun because one before it failed. */
export type Outcome =
  | {
      readonly answers: readonly (Answer | undefined)[];
      /** What its own questions answered right behind its actions, by key. */
      readonly seen: ReadonlyMap<string, Known>;
      readonly error?: FleetError;
    }
  | undefined;

export interface PerformContext {
  readonly session: HostSession;
  readonly sessionOf: (host: string) => HostSession;
  readonly signal: AbortSignal;
  /** Asks the control node. @throws its FleetError */
  readonly controlAnswer: (fact: ControlFact<string>) => Promise<string>;
  /** Called whenever something on the host is about to change. */
  readonly onAction: () => void;
  /** Called when a host is back from its reboot, before anything else is done to it. */
  readonly afterReboot: (host: string) => Promise<void>;
}

/** One thing to do, in order: an action of a piece of work, or looking at that work's facts again. */
type Part =
  | { readonly kind: 'action'; readonly work: number; readonly index: number; readonly action: Action }
  | { readonly kind: 'look'; readonly work: number; readonly fact: Fact<unknown> };

/**
 * Performs changes in order, in as few trips as possible: neighbouring scripts, and the look again behind each piece of
 * work, share one batch. The first failure ends it; what comes after is not begun.
 */
export async function perform(works: readonly Work[], context: PerformContext): Promise<readonly Outcome[]> {
  const fetched: Work[] = [];
  for (const work of works) {
    try {
      fetched.push(await withContents(work, context));
    } catch (thrown) {
      const outcomes = await new Performance(fetched, context).run();
      const failed = outcomes.some((outcome) => outcome === undefined || outcome.error !== undefined);
      const error = asFleetErrors(thrown)[0];
      const rest = works.slice(fetched.length + 1).map(() => undefined);
      return [...outcomes, failed ? undefined : { answers: [], seen: new Map(), error }, ...rest];
    }
  }
  return new Performance(fetched, context).run();
}

/** The work with every content that only the control node knows filled in. */
async function withContents(work: Work, context: PerformContext): Promise<Work> {
  const [first, ...rest] = await Promise.all(
    work.plan.actions.map(async (action): Promise<Action> => {
      if (action.kind !== 'write' || typeof action.content !== 'object' || !('fact' in action.content))
        return action;
      return { ...action, content: await context.controlAnswer(action.content.fact) };
    }),
  );
  return first === undefined ? work : { ...work, plan: { ...work.plan, actions: [first, ...rest] } };
}

class Performance {
  readonly #works: readonly Work[];
  readonly #context: PerformContext;
  readonly #answers: (Answer | undefined)[][];
  readonly #seen: Map<string, Known>[];
  readonly #started = new Set<number>();
  #failure: { readonly work: number; readonly error: FleetError } | undefined;

  constructor(works: readonly Work[], context: PerformContext) {
    this.#works = works;
    this.#context = context;
    this.#answers = works.map((work) => work.plan.actions.map(() => undefined));
    this.#seen = works.map(() => new Map());
  }

  async run(): Promise<readonly Outcome[]> {
    let batch: Part[] = [];
    for (const part of this.#parts()) {
      if (part.kind === 'look' || isScripted(part.action)) {
        batch.push(part);
        continue;
      }
      await this.#send(batch);
      batch = [];
      if (this.#failure === undefined) await this.#special(part.work, part.action);
      if (this.#failure !== undefined) break;
    }
    if (this.#failure === undefined) await this.#send(batch);
    return this.#works.map((_, index) => this.#outcome(index));
  }

  #parts(): Part[] {
    return this.#works.flatMap((work, index): Part[] => [
      ...work.plan.actions.map(
        (action, place): Part => ({ kind: 'action', work: index, index: place, action }),
      ),
      ...(work.plan.imperative === true
        ? []
        : work.ownFacts.map((fact): Part => ({ kind: 'look', work: index, fact }))),
    ]);
  }

  #outcome(index: number): Outcome {
    const outcome = { answers: this.#answers[index] ?? [], seen: this.#seen[index] ?? new Map() };
    if (this.#failure === undefined || index < this.#failure.work) return outcome;
    return index === this.#failure.work ? { ...outcome, error: this.#failure.error } : undefined;
  }

  #start(index: number): Work | undefined {
    const work = this.#works[index];
    if (work === undefined || this.#started.has(index)) return work;
    this.#started.add(index);
    const { facts } = this.#context.session;
    facts.forget(work.ownFacts.map((fact) => fact.key));
    if (work.plan.touches !== undefined) facts.forget(work.plan.touches);
    this.#context.onAction();
    work.onStart();
    return work;
  }

  async #send(parts: readonly Part[]): Promise<void> {
    if (parts.length === 0) return;
    const first = parts[0];
    if (first !== undefined) this.#start(first.work);
    const seen = (index: number, answer: Answer): void => this.#answered(parts, index, answer);
    try {
      await this.#context.session.batch(
        parts.map((part) => this.#item(part)),
        { deadlineMs: this.#deadlineOf(parts), onAnswer: seen },
      );
    } catch (thrown) {
      this.#fail(this.#unfinished(parts), thrown);
    }
  }

  #item(part: Part): Item {
    if (part.kind === 'look') return { script: part.fact.sh };
    const work = this.#works[part.work];
    if (work === undefined || !isScripted(part.action))
      throw new RangeError('only scripts are sent in a batch');
    const job = createHash('sha256').update(`${work.identity}\0${part.index}`).digest('hex').slice(0, 24);
    const anyExit = part.action.kind === 'run' && part.action.anyExit === true;
    return { script: scriptOf(part.action, work.environment, job), mustSucceed: !anyExit };
  }

  #answered(parts: readonly Part[], index: number, answer: Answer): void {
    const part = parts[index];
    if (part === undefined) return;
    if (part.kind === 'look') {
      this.#seen[part.work]?.set(part.fact.key, this.#context.session.learn(part.fact, answer));
    } else {
      const answers = this.#answers[part.work];
      if (answers !== undefined) answers[part.index] = answer;
      const failed = answer.code !== 0 && !(part.action.kind === 'run' && part.action.anyExit === true);
      if (failed) this.#fail(part.work, commandFailed(part.action, answer));
    }
    const next = parts[index + 1];
    if (next !== undefined && this.#failure === undefined) this.#start(next.work);
  }

  /** The work whose actions were cut short when a whole batch fails. */
  #unfinished(parts: readonly Part[]): number {
    const open = parts.find(
      (part) => part.kind === 'action' && this.#answers[part.work]?.[part.index] === undefined,
    );
    return (open ?? parts.at(-1))?.work ?? 0;
  }

  #deadlineOf(parts: readonly Part[]): number {
    return parts.reduce((sum, part) => {
      const work = this.#works[part.work];
      if (part.kind === 'look' || work === undefined) return sum + 30_000;
      return sum + ((part.action.kind === 'run' ? part.action.deadlineMs : undefined) ?? work.deadlineMs);
    }, 0);
  }

  async #special(index: number, action: Action): Promise<void> {
    const work = this.#start(index);
    if (work === undefined) return;
    try {
      await this.#perform(work, action);
    } catch (thrown) {
      this.#fail(index, thrown);
    }
  }

  async #perform(work: Work, action: Action): Promise<void> {
    const { session, sessionOf, signal } = this.#context;
    switch (action.kind) {
      case 'upload': {
        const file = await sourceFile(action, work);
        await uploadFile(session, action, file, work.deadlineMs, (sent) =>
          work.onProgress(`sending ${action.path}`, sent, file.size),
        );
        return;
      }
      case 'wait':
        await waitUntilHolds(
          action,
          action.host === undefined ? session : sessionOf(action.host),
          signal,
          (reason) => work.onWaiting(action.what, reason, action.deadlineMs),
        );
        return;
      case 'reboot':
        work.onWaiting('the host to come back from its reboot', action.because, action.deadlineMs);
        await rebootHost(session, action, signal);
        await this.#context.afterReboot(session.host);
        return;
      case 'save':
        await saveFile(action);
        return;
      case 'collect':
        await collectFile(session, action, work.deadlineMs, (arrived) =>
          work.onProgress(`fetching ${action.source}`, arrived, action.sizeBytes),
        );
        return;
      case 'pause':
        work.onWaiting('the pause to end', `it lasts ${action.durationMs / 1000} s`, action.durationMs);
        await pause(action.durationMs, signal);
        return;
      case 'run':
        await this.#runElsewhere(action, sessionOf(action.host ?? session.host), work);
        // What others asked there while it ran was asked before its effect: nobody may believe that any more.
        this.#context.onAction();
        return;
      case 'write':
      case 'remove':
        throw new RangeError(`${action.kind} is sent in a batch`);
    }
  }

  async #runElsewhere(action: Run, session: HostSession, work: Work): Promise<void> {
    const [answer] = await session.batch([{ script: scriptOf(action, {}, '') }], {
      deadlineMs: action.deadlineMs ?? work.deadlineMs,
    });
    if (answer?.code === 0 || action.anyExit === true) return;
    throw commandFailed(action, answer ?? { stdout: '', stderr: 'it gave no answer', code: 1 });
  }

  #fail(work: number, thrown: unknown): void {
    if (this.#failure !== undefined) return;
    const error =
      thrown instanceof FleetError
        ? thrown
        : new FleetError(
            {
              code: 'INTERNAL',
              message: thrown instanceof Error ? thrown.message : String(thrown),
              blame: 'fleet',
            },
            { cause: thrown },
          );
    this.#failure = { work, error: error.within({ host: this.#context.session.host }) };
  }
}

async function sourceFile(upload: Upload, work: Work): Promise<LocalFile> {
  const { source } = upload;
  if (source.from === 'release') {
    const { url, name } = source.sums;
    const sha256 = sumIn(await fetchText(url), name, url);
    return localFile(
      await fetchVerified(source.url, sha256, (done, total) =>
        work.onProgress(`fetching ${source.url}`, done, total ?? done),
      ),
    );
  }
  const file = await localFile(source.path);
  if (source.sha256 !== undefined && file.sha256 !== source.sha256) {
    throw new FleetError({
      code: 'FILE_CHANGED',
      message: `${source.path} has sha256 ${file.sha256}, planned was ${source.sha256}`,
      fix: 'The file changed while fleet ran, or is damaged: run again.',
    });
  }
  return file;
}

/** How many lines of a failed command a person is shown. */
const shownLines = 12;

function commandFailed(action: Action, answer: Answer): FleetError {
  const what = action.kind === 'run' ? action.what : `${action.kind} ${'path' in action ? action.path : ''}`;
  const said = (answer.stderr.trim() === '' ? answer.stdout : answer.stderr).trim();
  const tail = said === '' ? '' : `:\n${said.split('\n').slice(-shownLines).join('\n')}`;
  return new FleetError({
    code: 'COMMAND_FAILED',
    message: `${what} failed with exit status ${answer.code}${tail}`,
    fix: 'Mend what the message names, then run the same command again: it continues where it stopped.',
  });
}
