import type { RunCommand } from '../command.ts';
import { findCommand } from '../commands.ts';
import { exit } from '../exit-codes.ts';
import { commandText, exitCodesText, overviewText } from '../help-text.ts';
import { unknownCommand } from '../parse.ts';

/** Tells how to use fleet, or one command, or what the exit codes mean. */
export const help: RunCommand = async ({ arguments: [name], console }) => {
  if (name === undefined) console.result(overviewText(console.outPalette));
  else if (name === 'exit-codes') console.result(exitCodesText(console.outPalette));
  else {
    const command = findCommand(name);
    if (command === undefined) throw unknownCommand(name);
    console.result(commandText(command, console.outPalette));
  }
  return exit.ok;
};
