import { inspect } from 'node:util';

const MASK = '[secret]';

/**
 * A value that must not be shown. It prints as `[secret]` wherever it is stringified, logged, inspected or
 * serialised; only `reveal()` gives the text, and only code that writes to a host or a 0600 file calls it.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

/** The text of a value that may be secret; for the few places that hand it to a host. */
export function reveal(value: string | Secret): string {
  return value instanceof Secret ? value.reveal() : value;
}

/** Base64 over several lines, as `base64` and `openssl` wrap it; the line ends as they are, or as JSON writes them. */
const WRAPPED = /[A-Za-z0-9+/]{40,}(?:(?:\r?\n[ \t]*|\\r\\n|\\n)[A-Za-z0-9+/]+)+/g;
const LINE_END = /(\r?\n[ \t]*|\\r\\n|\\n)/;

/** Shorter values are not masked: replacing `a` or `yes` everywhere would hide the text and reveal the secret. */
const SHORTEST_MASKED = 4;

/**
 * Masks known secret values in any text on its way to a person, a log or the journal.
 * Values are masked, not patterns, so quoting cannot get one past it: each is also known as base64 (at all three
 * alignments), URL-encoded, JSON-escaped and in a shell's single and double quotes, and multi-line secrets line by line.
 */
export class Redactor {
  readonly #forms = new Set<string>();
  /** The forms that are base64, which programs wrap wherever a line happens to be full. */
  readonly #encoded = new Set<string>();
  #pattern: RegExp | undefined;

  add(secret: Secret | string): void {
    const text = reveal(secret);
    const rows = text.split(/\r?\n/);
    const pieces = new Set([text, text.trim(), ...rows, ...rows.map((row) => row.trim())]);
    for (const piece of pieces) {
      if (piece.length < SHORTEST_MASKED) continue;
      for (const form of formsOf(piece)) this.#forms.add(form);
      for (const form of base64Forms(piece)) this.#encoded.add(form);
    }
    this.#pattern = undefined;
  }

  /** The text with every known secret replaced by `[secret]`. */
  mask(text: string): string {
    if (this.#forms.size === 0) return text;
    this.#pattern ??= new RegExp(
      [...this.#forms]
        .sort((a, b) => b.length - a.length)
        .map(escapeRegExp)
        .join('|'),
      'g',
    );
    const masked = text.replace(this.#pattern, MASK);
    return this.#encoded.size === 0 ? masked : masked.replace(WRAPPED, (lines) => this.#maskWrapped(lines));
  }

  /** Lines of base64 with every secret in them masked, also those that a line end cuts in two. */
  #maskWrapped(lines: string): string {
    const pieces = lines.split(LINE_END);
    const joined = pieces.filter((_, index) => index % 2 === 0).join('');
    const hidden = [...this.#encoded].flatMap((form) => placesIn(joined, form));
    if (hidden.length === 0) return lines;
    let shown = '';
    let at = 0;
    for (const [index, piece] of pieces.entries()) {
      if (index % 2 === 1) {
        shown += piece;
        continue;
      }
      const isHidden = Array.from(piece, (_, place) =>
        hidden.some(([from, to]) => at + place >= from && at + place < to),
      );
      shown += [...piece]
        .map((letter, place) =>
          isHidden[place] !== true ? letter : isHidden[place - 1] === true ? '' : MASK,
        )
        .join('');
      at += piece.length;
    }
    return shown;
  }

  /** A deep copy of plain data with every string in it masked, keys included. Secrets become their mask. */
  maskDeep<T>(value: T): T {
    return this.#maskDeep(value) as T;
  }

  #maskDeep(value: unknown): unknown {
    if (typeof value === 'string') return this.mask(value);
    if (value instanceof Secret) return MASK;
    if (Array.isArray(value)) return value.map((item) => this.#maskDeep(item));
    if (value !== null && typeof value === 'object') {
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [this.mask(key), this.#maskDeep(item)]),
      );
    }
    return value;
  }
}

function formsOf(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  return [
    text,
    json,
    // Go's encoding/json escapes what HTML would read.
    json.replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`),
    ...urlForms(text),
    text.replaceAll("'", `'\\''`),
    text.replaceAll(/["\\$`]/g, '\\$&'),
    ...base64Forms(text),
  ];
}

/** As JavaScript and as others encode it, in upper and lower case, and with the `+` for a blank that forms have. */
function urlForms(text: string): string[] {
  // Half a surrogate pair has no URL form.
  if (/\p{Surrogate}/u.test(text)) return [];
  const usual = encodeURIComponent(text);
  const strict = usual.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  return [usual, strict, strict.replaceAll('%20', '+')].flatMap((form) => [
    form,
    form.replace(/%../g, (escaped) => escaped.toLowerCase()),
  ]);
}

/** What a secret looks like inside base64 of a longer text: it may start at any of three alignments, and its edges mix with neighbours. */
function base64Forms(text: string): string[] {
  const forms: string[] = [];
  for (const padding of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(padding), Buffer.from(text)])
      .toString('base64')
      .replace(/=+$/, '');
    const start = padding === 0 ? 0 : padding + 1;
    const certain = encoded.slice(start, encoded.length - 1);
    if (certain.length >= 8) forms.push(certain, certain.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return forms;
}

function placesIn(text: string, part: string): readonly (readonly [from: number, to: number])[] {
  const places: [number, number][] = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1))
    places.push([at, at + part.length]);
  return places;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}
