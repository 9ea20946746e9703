import type { FleetError, Place } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { AnyStep } from '../engine/step.ts';
import { checkArguments } from '../steps/arguments.ts';

/** Where the arguments stand: one place for all, or the place of each by name (without a name: of the step). */
export type ArgumentPlaces = Place | ((argument: string | undefined) => Place | undefined);

/**
 * All that is wrong with a step's arguments before they are templated: unknown and missing ones, wrong types and
 * values, each at the place of the argument. What a template decides is judged when it is known.
 */
export function validateArgs(step: AnyStep, args: unknown, where?: ArgumentPlaces): readonly FleetError[] {
  if (where === undefined || typeof where !== 'function') return checkArguments(step, args, where);
  const names = typeof args === 'object' && args !== null ? Object.keys(args) : [];
  return checkArguments(step, args).map((error) => {
    const place =
      where(names.find((name) => startsWithName(error.message, step.name, name))) ?? where(undefined);
    return place === undefined ? error : error.within({ where: place });
  });
}

/** Whether a fault's message is about this argument: it names it first. */
function startsWithName(message: string, step: string, name: string): boolean {
  const said = message.startsWith(`${step}: `) ? message.slice(step.length + 2) : message;
  return said.replace(/^has no argument /, '').split(/[\s:,]/, 1)[0] === name;
}

const trueWords = new Set(['yes', 'on', 'true', '1', 'y', 't']);
const falseWords = new Set(['no', 'off', 'false', '0', 'n', 'f']);

/** Ansible's reading of a truth value, or `undefined` for what is none. */
export function truthOf(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const word = String(value).trim().toLowerCase();
  return trueWords.has(word) ? true : falseWords.has(word) ? false : undefined;
}

/** A value as an error shows it: short, on one line. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (value instanceof Secret) return '[secret]';
  if (typeof value === 'object') return 'a mapping';
  const text = typeof value === 'string' ? `'${value}'` : String(value);
  const line = text.replace(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 57)}…'` : line;
}
