import { Secret } from '../core/secret.ts';
import type { ShellScript } from '../core/shell.ts';
import type { AnyStep, HostView, Plan } from '../engine/step.ts';
import type { Fleet, Variables } from '../inventory/fleet.ts';
import type { Answer } from '../ssh/connection.ts';
import { readArguments } from './arguments.ts';
import { type StepFile, stepKit } from './step-kit.ts';

/** A step under test: no host, no engine. */
export interface StepHarness {
  /** What it asks of its host for these arguments, each with the script and the parser of its answer. */
  questions(written: unknown, host?: PretendedHost): Readonly<Record<string, AskedQuestion>>;
  /** What it decides when its questions are answered so. Arguments are read and checked as a playbook's are. */
  plan(
    written: unknown,
    seen: Readonly<Record<string, unknown>>,
    host?: PretendedHost,
  ): Plan<Record<string, unknown>>;
  /**
   * Decides, takes what the change foresees for true, and decides again.
   * @throws Error where the second decision is not `unchanged`: the step would change the host on every run
   */
  settles(written: unknown, seen: Readonly<Record<string, unknown>>, host?: PretendedHost): void;
}

export interface PretendedHost {
  readonly name?: string;
  readonly groups?: readonly string[];
  readonly vars?: Readonly<Record<string, unknown>>;
}

export interface AskedQuestion {
  readonly key: string;
  /** The POSIX shell script; empty for a question to the control node. */
  readonly script: string;
  /** Reads an answer as the step will see it. */
  parse(answer: Partial<Answer>): unknown;
}

/** The steps of a file, by name, ready to be tested. */
export function stepsUnderTest(file: StepFile): Readonly<Record<string, StepHarness>> {
  return Object.fromEntries(file(stepKit).map((step) => [step.name, harnessOf(step)]));
}

/** One step, ready to be tested. */
export function harnessOf(step: AnyStep): StepHarness {
  const harness: StepHarness = {
    questions(written, host) {
      const asked = step.look(readArguments(step, written), viewOf(host)) as Readonly<
        Record<
          string,
          { readonly fact: { key: string; sh?: ShellScript; parse?: (answer: Answer) => unknown } }
        >
      >;
      return Object.fromEntries(
        Object.entries(asked).map(([name, { fact }]) => [
          name,
          {
            key: fact.key,
            script: fact.sh?.text ?? '',
            parse: (answer) => fact.parse?.({ code: 0, stdout: '', stderr: '', ...answer }),
          },
        ]),
      );
    },
    plan: (written, seen, host) => step.plan(seen, readArguments(step, written), viewOf(host)),
    settles(written, seen, host) {
      const first = harness.plan(written, seen, host);
      if (first.verdict === 'refuse') throw new Error(`${step.name} refuses: ${first.because}`);
      if (first.verdict === 'unchanged') return;
      if (first.after === undefined)
        throw new Error(
          `${step.name} does not say what its questions answer after the change: give it \`after\``,
        );
      const second = harness.plan(written, { ...seen, ...first.after }, host);
      if (second.verdict !== 'unchanged')
        throw new Error(`${step.name} still wants to act after its own change: ${second.because}`);
    },
  };
  return harness;
}

/** Variables as they are given: a test writes values, not templates. */
function variablesOf(values: Readonly<Record<string, unknown>>): Variables {
  return {
    names: () => Object.keys(values).sort(),
    has: (name) => Object.hasOwn(values, name),
    raw: (name) => values[name],
    where: () => undefined,
    get: (name) => values[name],
    levels: (name) => (Object.hasOwn(values, name) ? [values[name]] : []),
    with: (more) => variablesOf({ ...values, ...more }),
    template: (value) => value,
    test: (expression) => (typeof expression === 'boolean' ? expression : Boolean(values[expression])),
  };
}

function viewOf({ name = 'host', groups = [], vars = {} }: PretendedHost = {}): HostView {
  const variables = variablesOf({ inventory_hostname: name, ...vars });
  const fleet: Fleet = {
    sources: [],
    hosts: new Map([[name, { name, groups, vars: variables }]]),
    groups: new Map(),
    vars: variables,
    warnings: [],
    select: () => [],
  };
  return { name, groups, vars: variables, fleet, searchPath: [], decrypt: (text) => new Secret(text) };
}
