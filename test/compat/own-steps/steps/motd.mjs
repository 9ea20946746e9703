// @ts-check
/** @type {import('fleet-k3s/steps').StepFile} */
export const steps = ({ defineStep, args, text, path, optional, ask, facts, sh, change, unchanged }) => [
  defineStep({
    name: 'motd',
    summary: 'The message of the day ends with one line.',
    args: args({
      line: text('The line.'),
      file: optional(path('Where it stands. Default /etc/motd.')),
    }),
    freeForm: 'line',
    examples: ['- motd: Managed by fleet.'],
    look: ({ file = '/etc/motd' }) => ({ motd: ask(facts.contentOf(file)) }),
    plan({ motd }, { line, file = '/etc/motd' }) {
      const before = motd.text ?? '';
      if (before.trimEnd().split('\n').at(-1) === line) return unchanged(`${file} ends with it`);
      const after = `${before.replace(/\n*$/, before === '' ? '' : '\n')}${line}\n`;
      return change(
        `${file} does not end with it`,
        [{ kind: 'run', what: `write ${file}`, script: sh`printf %s ${after} >${file}` }],
        { diff: [{ subject: file, before, after }], after: { motd: { sha256: undefined, text: after } } },
      );
    },
  }),
];
