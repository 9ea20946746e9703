import type { Palette } from './color.ts';
import { formatDeadline } from './duration.ts';
import type { StampedEventOf } from './renderer.ts';
import { indent, nameList, oneLine } from './wording.ts';

/**
 * The order in which a rolling play works: each wave with its hosts, why, what users may notice, and what must hold
 * before the next; then who is left out.
 */
export function wavesView(event: StampedEventOf<'waves-planned'>, palette: Palette): string {
  const { bold, dim, cyan, yellow } = palette;
  const width = String(event.waves.at(-1)?.number ?? 1).length;
  const waves = event.waves.map(({ number, wave, hosts, because, awaits, disruption }) => {
    const head = `${String(number).padStart(width)}. ${bold(oneLine(wave))}  ${cyan(nameList(hosts.map(oneLine)))}`;
    return [
      head,
      `   ${oneLine(because)}`,
      ...(isNothing(disruption) ? [] : [`   notice: ${oneLine(disruption)}`]),
      ...(awaits.length === 0 ? [] : [dim(`   then waits for: ${awaits.map(oneLine).join('; ')}`)]),
    ].join('\n');
  });
  const leftOut = event.leftOut.map(
    ({ host, because }) => `${yellow('left out:')} ${oneLine(host)}: ${oneLine(because)}`,
  );
  const strangers =
    event.strangers.length === 0
      ? []
      : [`${yellow('not in the inventory:')} ${nameList(event.strangers.map(oneLine))}; left alone`];
  const rows = [...waves, ...leftOut, ...strangers].map((row) => indent(row, '  '));
  return [`${bold('Order of work')} ${dim(`(${oneLine(event.play)})`)}`, ...rows].join('\n');
}

/** What nobody notices needs no line. */
function isNothing(disruption: string): boolean {
  return /^(?:none\b|$)/.test(disruption);
}

/** `paused after the servers: goes on in 10m`. */
export function pausedLine({ after, durationMs }: StampedEventOf<'wave-paused'>): string {
  return `paused after ${oneLine(after)}${durationMs === undefined ? '' : `: goes on in ${formatDeadline(durationMs)}`}`;
}
