import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { FleetError } from '../core/errors.ts';
import { Interrupted } from './interrupted.ts';

/** Whether somebody is there to answer. Questions are written to stderr, so stdout may go anywhere. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** One line from a person; the default where they only press Enter. @throws FleetError where nobody can answer or Ctrl-C was pressed */
export async function ask(question: string, preset?: string): Promise<string> {
  const answer = await readLine(`${question}${preset === undefined ? '' : ` [${preset}]`}: `, process.stderr);
  return answer.trim() === '' && preset !== undefined ? preset : answer.trim();
}

/** A line that does not show while it is typed. */
export async function askSecret(question: string): Promise<string> {
  process.stderr.write(`${question}: `);
  // readline echoes what is typed to its output: give it one that swallows it.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  try {
    return await readLine('', nowhere);
  } finally {
    process.stderr.write('\n');
  }
}

/** Yes or no; anything but a yes is a no. */
export async function confirm(question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await ask(`${question} [y/N]`));
}

function readLine(prompt: string, output: NodeJS.WritableStream): Promise<string> {
  if (!canAsk()) {
    throw new FleetError({
      code: 'NOBODY_TO_ASK',
      message: `there is no terminal to ask on${prompt === '' ? '' : `: ${prompt.trim()}`}`,
      fix: 'Give the answer by a flag.',
      blame: 'usage',
    });
  }
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  return new Promise((resolve, reject) => {
    lines.on('SIGINT', () => {
      lines.close();
      reject(new Interrupted());
    });
    lines.on('close', () => reject(new Interrupted()));
    lines.question(prompt, (answer) => {
      resolve(answer);
      lines.close();
    });
  });
}
