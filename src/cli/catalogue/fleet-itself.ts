import type { Command } from '../command.ts';

/** What fleet tells of itself and of its past runs. */
export const commandsAboutFleet: readonly Command[] = [
  {
    name: 'doc',
    summary: 'Explain a step and its arguments',
    arguments: [{ name: '[step]', description: 'The step. Default: a list of all.', completes: 'step' }],
    groups: ['output'],
    flags: [],
    examples: ['fleet doc', 'fleet doc service'],
    load: async () => (await import('../commands/doc.ts')).doc,
  },
  {
    name: 'explain',
    summary: 'Explain an inventory variable',
    arguments: [
      { name: '[variable]', description: 'The variable. Default: a list of all.', completes: 'variable' },
    ],
    groups: ['output'],
    flags: [],
    examples: ['fleet explain', 'fleet explain api_endpoint'],
    load: async () => (await import('../commands/explain.ts')).explain,
  },
  {
    name: 'report',
    summary: 'Draw a past run as an HTML timeline',
    arguments: [
      {
        name: '[journal]',
        description: 'A run or its journal file. Default: the last run.',
        completes: 'file',
      },
    ],
    groups: ['output'],
    flags: [{ flags: '--out <path>', description: 'Where to write. Default: stdout.', completes: 'file' }],
    examples: [
      'fleet report --out run.html',
      'fleet report .fleet/journal/20261120-120000-ab12.jsonl > run.html',
    ],
    load: async () => (await import('../commands/report.ts')).report,
  },
  {
    name: 'completion',
    summary: 'Print shell completion',
    arguments: [{ name: '<shell>', description: 'bash, zsh or fish.', completes: ['bash', 'zsh', 'fish'] }],
    groups: ['output'],
    flags: [],
    examples: ['source <(fleet completion bash)', 'fleet completion fish | source'],
    load: async () => (await import('../commands/completion.ts')).completion,
  },
  {
    name: 'help',
    summary: 'Help for a command',
    arguments: [{ name: '[command]', description: 'The command.', completes: 'command' }],
    groups: ['output'],
    flags: [],
    examples: ['fleet help up'],
    load: async () => (await import('../commands/help.ts')).help,
  },
  {
    name: '__complete',
    summary: 'Answer the completion scripts',
    arguments: [],
    trailing: { name: 'words', description: 'The words so far, the one at the cursor last.' },
    groups: [],
    flags: [],
    examples: [],
    hidden: true,
    load: async () => (await import('../commands/complete.ts')).complete,
  },
];
