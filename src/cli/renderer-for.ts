import { JsonRenderer } from '../ui/json.ts';
import { PlainRenderer } from '../ui/plain.ts';
import { QuietRenderer } from '../ui/quiet.ts';
import type { Renderer } from '../ui/renderer.ts';
import type { Console } from './console.ts';
import type { Settings } from './settings.ts';

/** How a run is drawn: JSON lines where asked for, a live list where a person looks, else plain lines. */
export async function rendererFor(
  settings: Pick<Settings, 'output' | 'quiet' | 'verbose' | 'diff'>,
  console: Console,
  { planOnly }: { readonly planOnly: boolean },
): Promise<Renderer> {
  const { out, err, errPalette: palette } = console;
  if (settings.output === 'json') return new JsonRenderer(out);
  if (settings.quiet) return new QuietRenderer({ out: err, palette });
  const isWatched =
    out.isTTY === true && err.isTTY === true && process.env.TERM !== 'dumb' && !process.env.CI;
  // A live list shows what is at work; who wants to read everything or the differences reads lines.
  if (isWatched && !settings.verbose && !settings.diff) {
    const { TerminalRenderer } = await import('../ui/terminal.ts');
    return new TerminalRenderer({ screen: err, palette, planOnly });
  }
  return new PlainRenderer({ out: err, palette, verbose: settings.verbose, diff: settings.diff, planOnly });
}
