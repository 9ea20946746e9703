import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

// `script` (util-linux) gives the process a terminal; without one fleet never draws this way.
test.skipIf(!existsSync('/usr/bin/script'))('the terminal view leaves a readable summary', () => {
  const demo = join(import.meta.dirname, 'draw-recorded-run.ts');
  const { stdout } = spawnSync(
    'script',
    ['-qec', `stty cols 120 rows 40; exec ${process.execPath} --import tsx ${demo}`, '/dev/null'],
    { encoding: 'utf8', env: { ...process.env, TERM: 'xterm', NO_COLOR: '1', CI: '' } },
  );
  const left = screenText(stdout);
  expect(left).toContain('✖ Servers  3 hosts · 1 changed · 1 failed');
  expect(left).toContain('  ✔ server1');
  expect(left).toContain('  ✖ server3  Install k3s v1.33.1+k3s1: no room for 68 MB under /usr/local/bin');
  expect(left).toContain('warning[EVEN_SERVERS] server2');
  expect(left).toContain('fix: Free some space: df -h /usr/local/bin');
  expect(left).toMatch(/Failed \(2 changed, 1 of 3 hosts failed, 18s\)/);
  // What was drawn on the way is gone, and the cursor is back.
  expect(left).not.toContain('Looking at');
  expect(stdout.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stdout.lastIndexOf('\u001b[?25l'));
});

/** What a person sees once all is written: a terminal that knows of line ends, "erase line" and "cursor up". */
function screenText(written: string): string {
  const lines = [''];
  let row = 0;
  for (const [token] of written.matchAll(/\u001b\[[0-9;?]*[A-Za-z]|\r\n|[\s\S]/g)) {
    if (token === '\r\n' || token === '\n') {
      row += 1;
      lines[row] ??= '';
    } else if (token === '\u001b[2K') lines[row] = '';
    else if (/^\u001b\[\d*A$/.test(token)) row = Math.max(0, row - Number(token.slice(2, -1) || 1));
    else if (token === '\u001b[G' || token === '\u001b[1G') lines[row] = lines[row] ?? '';
    else if (!token.startsWith('\u001b')) lines[row] = (lines[row] ?? '') + token;
  }
  return lines.join('\n');
}
