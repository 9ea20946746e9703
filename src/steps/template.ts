import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { Secret } from '../core/secret.ts';
import { ask, askControl } from '../engine/fact.ts';
import { defineStep, type Plan, refuse } from '../engine/step.ts';
import { type ControlFile, controlFile } from '../facts/control-file.ts';
import { contentOf, digestOf, fileAt } from '../facts/file.ts';
import { identity } from '../facts/identity.ts';
import { anything, flag, optional, path, text } from './arguments.ts';
import { missingSource, openedVault } from './copy.ts';
import { attributeArguments } from './file-attributes.ts';
import { type LandingSite, landFile, landingArguments, landingOf, worldReadable } from './landed-file.ts';

const args = Type.Object(
  {
    src: text('A Jinja template on the control node, looked for beside the playbook and in its templates/.'),
    dest: path(
      'Where the rendered text lands; with a trailing slash, into that folder under the name of src without .j2.',
    ),
    ...attributeArguments,
    ...landingArguments,
    trim_blocks: optional(flag('Whether the newline behind a {% … %} goes. Default true.')),
    lstrip_blocks: optional(flag('Whether blanks before a {% … %} go that begins its line. Default false.')),
    output_encoding: optional(anything('Ignored: files are written in UTF-8.')),
    newline_sequence: optional(text('What ends a line: "\\n" (the default), "\\r\\n" or "\\r".')),
  },
  { additionalProperties: false },
);

interface Seen extends LandingSite {
  readonly source: ControlFile;
}

/** Ansible's `template`, rendered on the control node. */
export const templateStep = defineStep<typeof args, Seen>({
  name: 'template',
  summary: 'A file on the host holds a rendered Jinja template.',
  args,
  examples: [
    `- template:
    src: chrony.conf.j2
    dest: /etc/chrony/chrony.conf
    mode: '0644'
  notify: restart chrony`,
  ],
  look(args, host) {
    const target = targetOf(args.src, args.dest);
    const hides = args.mode !== undefined && /^[0-7]+$/.test(args.mode) && !worldReadable(args.mode);
    return {
      file: ask(fileAt(target)),
      content: ask(hides ? digestOf(target) : contentOf(target)),
      parent: ask(fileAt(posix.dirname(target))),
      me: ask(identity),
      source: askControl(controlFile(args.src, host.searchPath, 'templates')),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const { source } = seen;
    if (source.kind === 'missing') return missingSource(args.src, source, host);
    if (source.kind === 'directory')
      return refuse(`${source.path} is a folder`, 'Name a template file in src.');
    if (source.bytes === undefined)
      return refuse(`${source.path} is larger than 1 MiB`, 'Use copy for large files.');
    const scope = host.vars.has('ansible_managed')
      ? host.vars
      : host.vars.with({ ansible_managed: 'Ansible managed' });
    const opened = openedVault(source.bytes, host, undefined);
    const template = withWhitespace(opened?.reveal() ?? source.bytes.toString('utf8'), args);
    const text = renderFile(template, (value) => scope.template(value, { file: source.path }));
    const rendered = opened === undefined || text instanceof Secret ? text : new Secret(text);
    const ending = (args.newline_sequence ?? '\n').replaceAll('\\r', '\r').replaceAll('\\n', '\n');
    return landFile(seen, {
      path: targetOf(args.src, args.dest),
      content: ending === '\n' || rendered instanceof Secret ? rendered : rendered.replaceAll('\n', ending),
      mode: args.mode,
      owner: args.owner,
      group: args.group,
      ...landingOf(args),
    });
  },
});

function targetOf(src: string, dest: string): string {
  return dest.endsWith('/') ? posix.join(dest, posix.basename(src).replace(/\.j2$/, '')) : dest;
}

/** A template with what the arguments say of its white space in its first line, unless it says so itself. */
function withWhitespace(
  template: string,
  { trim_blocks, lstrip_blocks }: { trim_blocks?: boolean; lstrip_blocks?: boolean },
): string {
  if ((trim_blocks ?? true) && lstrip_blocks !== true) return template;
  if (template.startsWith('#jinja2:') || !/\{[%#]/.test(template)) return template;
  const word = (flag: boolean): string => (flag ? 'True' : 'False');
  return `#jinja2: trim_blocks: ${word(trim_blocks ?? true)}, lstrip_blocks: ${word(lstrip_blocks ?? false)}\n${template}`;
}

/**
 * The text of a rendered template file. Values are templated natively, so a file that is one expression may come back
 * as a number or a map; such a file holds the value's text.
 */
export function renderFile(template: string, render: (value: string) => unknown): string | Secret {
  const rendered = render(template);
  if (typeof rendered === 'string' || rendered instanceof Secret) return rendered;
  if (rendered === undefined || rendered === null) return '';
  const text = typeof rendered === 'object' ? JSON.stringify(rendered) : String(rendered);
  return template.endsWith('\n') ? `${text}\n` : text;
}
