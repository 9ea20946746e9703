import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** The sum that a published list (`HEX  NAME` lines, or one lone sum) gives for a name; `undefined` when it cannot be had. Source: curl or wget on the host. */
export function publishedSum(url: string, name: string): Fact<string | undefined> {
  return {
    key: `download:sums ${url} ${name}`,
    sh: sh`u=${url}
if command -v curl >/dev/null 2>&1; then curl -fsSL --connect-timeout 5 --max-time 20 -- "$u"
elif command -v wget >/dev/null 2>&1; then wget -q -T 20 -O - -- "$u"
fi 2>/dev/null | head -c 262144; true`,
    parse: (answer) => sumFor(answer.stdout, name),
  };
}

/** The sum of a name in a list of sums. */
export function sumFor(list: string, name: string): string | undefined {
  const rows = list
    .split('\n')
    .map((line) => /^([0-9a-fA-F]{32,128})(?:\s+[*]?(?:\.\/)?(.+?))?\s*$/.exec(line))
    .filter((row) => row !== null);
  const row =
    rows.find((one) => one[2] === name) ??
    (rows.length === 1 && rows[0]?.[2] === undefined ? rows[0] : undefined);
  return row?.[1]?.toLowerCase();
}
