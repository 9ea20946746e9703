/** What stands behind a word at the start of a line, of all lines that start with it: `path /var/log/pods`. */
export function linesOf(stdout: string, word: string): readonly string[] {
  return stdout
    .split('\n')
    .flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
}

/** `Name=value` lines, in order; a name may come more than once. */
export function assignmentsOf(stdout: string): readonly (readonly [name: string, value: string])[] {
  return [...stdout.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]);
}
