import { visible } from '../core/terminal-text.ts';

/** `1 host`, `3 hosts`. */
export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}

/** Names for a person: all of a few, else the first ones and how many more there are. */
export function nameList(names: readonly string[], most = 6): string {
  if (names.length <= most) return names.join(', ');
  return `${names.slice(0, most - 1).join(', ')} and ${names.length - most + 1} more`;
}

/** Text that may hold anything, on one line: a line end inside it must not pass for a line of ours. */
export function oneLine(text: string): string {
  return visible(text)
    .trim()
    .replace(/[\t ]*\n[\t\n ]*/g, ' ⏎ ')
    .replaceAll('\t', ' ');
}

/** Every line of a text set off by the same margin. */
export function indent(text: string, margin: string): string {
  return text
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => (line === '' ? line : margin + line))
    .join('\n');
}

/** A task as a person reads it, with the loop item that it stands for. */
export function taskTitle(task: { readonly task: string; readonly item?: string }): string {
  return oneLine(task.item === undefined ? task.task : `${task.task} (${task.item})`);
}

/** Bytes in the largest unit that keeps the number short. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
