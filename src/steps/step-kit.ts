import { type TProperties, type TSchema, Type } from '@sinclair/typebox';
import { Secret } from '../core/secret.ts';
import { lines, raw, sh } from '../core/shell.ts';
import { waitUntil } from '../engine/action.ts';
import { ask, askControl, askEach, askOn } from '../engine/fact.ts';
import { type AnyStep, change, defineStep, refuse, unchanged } from '../engine/step.ts';
import { contentOf, digestOf, fileAt } from '../facts/file.ts';
import { identity } from '../facts/identity.ts';
import {
  anything,
  choice,
  dictionary,
  flag,
  list,
  mode,
  optional,
  path,
  secretText,
  text,
  whole,
} from './arguments.ts';

export type { Action } from '../engine/action.ts';
export type { ControlFact, Fact, Questions } from '../engine/fact.ts';
export type { AnyStep, Change, Diff, HostView, Plan, Refuse, Step, Unchanged } from '../engine/step.ts';
export type { Answer } from '../ssh/connection.ts';

/** Arguments by name; any other is an error that names the nearest. */
function argumentsOf<Properties extends TProperties>(properties: Properties) {
  return Type.Object(properties, { additionalProperties: false });
}

/**
 * What a step is made with. A file of steps is handed this rather than importing it, so that it works beside any playbook,
 * wherever fleet is installed.
 */
export const stepKit = {
  defineStep,
  /** The schema of a step's arguments. */
  args: argumentsOf,
  text,
  path,
  flag,
  whole,
  choice,
  list,
  mode,
  secretText,
  dictionary,
  anything,
  optional,
  /** Questions: to the host, to another, to several, to the control node. */
  ask,
  askOn,
  askEach,
  askControl,
  /** Plans. */
  change,
  unchanged,
  refuse,
  waitUntil,
  /** Shell scripts; what is interpolated is quoted. */
  sh,
  lines,
  raw,
  Secret,
  /** Facts that many steps need. */
  facts: { fileAt, contentOf, digestOf, identity },
} as const;

export type StepKit = typeof stepKit;

/** `export const steps` of a file in `steps/` beside a playbook. */
export type StepFile = (kit: StepKit) => readonly AnyStep[];

/** A step of any arguments, for those who type their own. */
export type StepOf<Args extends TSchema, Seen> = import('../engine/step.ts').Step<Args, Seen>;
