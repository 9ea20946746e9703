import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { cell, code, page, table } from './markdown.ts';

interface ErrorUse {
  readonly code: string;
  readonly message: string | undefined;
  readonly fix: string | undefined;
  readonly room: string;
}

/** docs/reference/errors.md: every code that the sources give an error, with its message and fix as they are written there. */
export function errorsPage(root: string): string {
  const src = join(root, 'src');
  const uses = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .flatMap((path) =>
      usesIn(readFileSync(join(src, path), 'utf8'), relative(src, join(src, path)).split(sep)[0] ?? ''),
    );
  const byCode = new Map<string, ErrorUse[]>();
  for (const use of uses) byCode.set(use.code, [...(byCode.get(use.code) ?? []), use]);
  const rows = [...byCode]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, all]) => {
      const messages = [...new Set(all.map(({ message }) => message).filter((text) => text !== undefined))];
      const fixes = [...new Set(all.map(({ fix }) => fix).filter((text) => text !== undefined))];
      return [
        `<a id="${name.toLowerCase()}"></a>${code(name)}`,
        messages.slice(0, 4).map(cell).join('<br>'),
        fixes.slice(0, 4).map(cell).join('<br>'),
      ];
    });
  return page('Errors', 'the errors in src/', [
    'Codes are stable; texts are not. `…` stands for what only the case at hand tells.',
    table(['Code', 'What it says', 'What to do'], rows),
  ]);
}

/** A `code: 'X'` of a fault, with the message and fix that stand beside it. */
function usesIn(text: string, room: string): ErrorUse[] {
  return [...text.matchAll(/\bcode: '([A-Z][A-Z0-9_]+)'/g)].map((match) => {
    // The object that the code stands in: as far as the next one, and no further than a fault is ever long.
    const rest = text.slice(match.index + match[0].length, match.index + 900);
    const own = rest.slice(0, nextObject(rest));
    return { code: match[1] ?? '', message: literal(own, 'message'), fix: literal(own, 'fix'), room };
  });
}

function nextObject(text: string): number {
  const end = text.search(/\bcode: '|^\s*\}\s*[,)]|\n\s*\}\)?;/m);
  return end === -1 ? text.length : end;
}

/** The string that a property is given, with `…` for what is put into it; `undefined` where it is not written out. */
function literal(text: string, property: string): string | undefined {
  const start = new RegExp(`\\b${property}:\\s*`).exec(text);
  if (start === null) return undefined;
  const value = text.slice(start.index + start[0].length);
  const [, single, double, template] =
    /^(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/s.exec(value) ?? [];
  const found = single ?? double ?? template?.replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…');
  return found?.replace(/\\(['"`\\])/g, '$1').replaceAll('\\n', ' ');
}
