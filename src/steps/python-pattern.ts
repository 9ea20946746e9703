/**
 * A regular expression as Ansible's users write it (Python's syntax) as one of JavaScript's: `(?P<name>…)`, `\A`, `\Z` and
 * leading `(?i)`, `(?m)`, `(?s)` are translated. A message when it is not one.
 */
export function pythonPattern(source: string, flags = ''): RegExp | string {
  let body = source;
  let all = flags;
  const inline = /^\(\?([aimsux]+)\)/.exec(body);
  if (inline?.[1] !== undefined) {
    body = body.slice(inline[0].length);
    for (const flag of inline[1]) if ('ims'.includes(flag) && !all.includes(flag)) all += flag;
  }
  body = body
    .replaceAll('(?P<', '(?<')
    .replace(/\(\?P=(\w+)\)/g, '\\k<$1>')
    .replaceAll('\\A', '(?<![\\s\\S])')
    .replaceAll('\\Z', '(?![\\s\\S])');
  try {
    return new RegExp(body, all);
  } catch (error) {
    return `${source} is no regular expression (${error instanceof Error ? error.message : String(error)})`;
  }
}

/** A replacement text with Python's references filled in: `\1`, `\g<1>`, `\g<name>`, `\\`. */
export function expandReferences(text: string, match: RegExpExecArray): string {
  return text.replace(
    /\\(?:g<(\w+)>|(\d{1,2})|([\\ntr]))/g,
    (whole, name: string | undefined, digits: string | undefined, other: string | undefined) => {
      if (other !== undefined) return { '\\': '\\', n: '\n', t: '\t', r: '\r' }[other] ?? whole;
      const reference = name ?? digits ?? '';
      if (/^\d+$/.test(reference)) return match[Number(reference)] ?? '';
      return match.groups?.[reference] ?? '';
    },
  );
}
