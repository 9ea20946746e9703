/** Draws the recorded run as a terminal would see it, quickly. Also good to look at: `npx tsx test/ui/draw-recorded-run.ts 900`. */
import { setTimeout as pause } from 'node:timers/promises';
import { createPalette, wantsColor } from '../../src/ui/color.ts';
import { TerminalRenderer } from '../../src/ui/terminal.ts';
import { recordedRun } from './recorded-run.ts';

const pauseMs = Number(process.argv[2] ?? 20);
const color = wantsColor({ choice: 'auto', env: process.env, isTerminal: process.stderr.isTTY === true });
const renderer = new TerminalRenderer({ screen: process.stderr, palette: createPalette(color) });
for (const event of recordedRun) {
  renderer.handle({ ...event, at: new Date().toISOString() });
  await pause(pauseMs);
}
await renderer.end();
