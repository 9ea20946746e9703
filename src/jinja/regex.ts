import { createContext, Script } from 'node:vm';
import { TemplateError } from './error.ts';

export interface RegexOptions {
  readonly ignoreCase?: boolean;
  readonly multiline?: boolean;
  readonly dotAll?: boolean;
}

/** A pattern with at most one unbounded repetition cannot backtrack for ever. */
const UNBOUNDED = /[*+]|\{\d*,\}/g;
const REGEX_MILLISECONDS = 1000;

/**
 * A Python regular expression, as filters and tests are given it, in JavaScript's syntax.
 * @throws TemplateError for one that cannot be compiled.
 */
export function compileRegex(pattern: string, options: RegexOptions = {}, flags = ''): RegExp {
  let source = pattern;
  let { ignoreCase = false, multiline = false, dotAll = false } = options;
  const inline = /^\(\?([aiLmsux]+)\)/.exec(source);
  if (inline !== null) {
    const letters = inline[1] ?? '';
    ignoreCase ||= letters.includes('i');
    multiline ||= letters.includes('m');
    dotAll ||= letters.includes('s');
    source = source.slice(inline[0].length);
  }
  const all = `${flags}${ignoreCase ? 'i' : ''}${multiline ? 'm' : ''}${dotAll ? 's' : ''}`;
  try {
    return new RegExp(translate(source, multiline), all);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TemplateError('failed', `cannot use the regular expression ${JSON.stringify(pattern)}: ${why}`);
  }
}

function translate(source: string, multiline: boolean): string {
  let inClass = false;
  return source.replace(
    /\\A|\\Z|\\[\s\S]|\(\?P<|\(\?P=(\w+)\)|\(\?#[^)]*\)|\[\^?\]?|\]|\$/g,
    (token, name: string | undefined) => {
      if (token.startsWith('[')) {
        if (inClass) return token.startsWith('[^') ? '\\[^' : `\\[${token.slice(1)}`;
        inClass = true;
        return token.endsWith(']') ? `${token.slice(0, -1)}\\]` : token;
      }
      if (token === ']') {
        inClass = false;
        return token;
      }
      if (inClass || token === '\\') return token;
      if (token === '\\A') return '(?<![\\s\\S])';
      if (token === '\\Z') return '(?![\\s\\S])';
      if (token === '(?P<') return '(?<';
      if (name !== undefined) return `\\k<${name}>`;
      if (token.startsWith('(?#')) return '';
      // In Python `$` also stands before a newline at the very end.
      if (token === '$') return multiline ? '$' : '(?=\\n?(?![\\s\\S]))';
      return token;
    },
  );
}

/** All matches of a global pattern. @throws TemplateError (`limit`) when it backtracks for longer than a second. */
export function matchAll(regex: RegExp, text: string): RegExpExecArray[] {
  const risky = (regex.source.match(UNBOUNDED) ?? []).length > 1 && text.length > 20;
  if (!risky) return [...text.matchAll(regex)] as RegExpExecArray[];
  const context = createContext({ regex, text, result: [] });
  try {
    new Script('result = Array.from(text.matchAll(regex))').runInContext(context, {
      timeout: REGEX_MILLISECONDS,
    });
  } catch {
    throw new TemplateError('limit', `the regular expression ${String(regex)} takes too long`);
  }
  return context.result as RegExpExecArray[];
}

/** The first match, or null. `anchored` is Python's `match`, which must start at the beginning. */
export function firstMatch(regex: RegExp, text: string, anchored = false): RegExpExecArray | null {
  const flags = regex.flags.includes('g') ? regex.flags : `${regex.flags}g`;
  const source = anchored ? `(?<![\\s\\S])(?:${regex.source})` : regex.source;
  return matchAll(new RegExp(source, flags), text)[0] ?? null;
}

/** Puts a match into Python's replacement text: `\1`, `\g<1>`, `\g<name>`, `\n`. */
export function expandReplacement(replacement: string, match: RegExpExecArray): string {
  return replacement.replace(
    /\\(?:g<(\w+)>|(\d{1,2})|([\s\S]))/g,
    (_whole, name: string | undefined, number: string | undefined, other: string | undefined) => {
      if (number !== undefined || (name !== undefined && /^\d+$/.test(name))) {
        return group(match, Number(number ?? name));
      }
      if (name !== undefined) return match.groups?.[name] ?? '';
      return (
        ({ n: '\n', t: '\t', r: '\r', '\\': '\\' } as Record<string, string>)[other ?? ''] ??
        `\\${other ?? ''}`
      );
    },
  );
}

function group(match: RegExpExecArray, index: number): string {
  if (index >= match.length)
    throw new TemplateError('failed', `the regular expression has no group ${index}`);
  return match[index] ?? '';
}

/** Python's `re.escape`. */
export function escapeRegex(text: string): string {
  return text.replace(/[-\s#$&()*+.?[\]\\^{|}~]/g, '\\$&');
}
