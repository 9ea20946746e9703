import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { FleetError } from '../../core/errors.ts';
import type { OwnFlags, RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { type FirstInventory, firstInventory, parseMachine, schemaPath } from '../first-inventory.ts';
import { ask, canAsk } from '../prompt.ts';

/** Writes a first inventory from flags, or from answers on a terminal. */
export const init: RunCommand = async ({ flags, console }) => {
  const path = flags.text('out') ?? 'inventory.yml';
  if (existsSync(path) && !flags.has('force')) {
    throw new FleetError({
      code: 'FILE_EXISTS',
      message: `${path} is already there`,
      fix: 'Choose another name with --out, or overwrite it with --force.',
      blame: 'usage',
    });
  }
  const wanted = flags.list('server').length > 0 ? fromFlags(flags) : await fromAnswers(flags);
  const text = firstInventory(wanted, path);
  await writeNew(path, text);
  const nodes = wanted.servers.length + wanted.agents.length;
  console.note(
    `Wrote ${path} for ${nodes} node${nodes === 1 ? '' : 's'}, readable by you alone: it holds the cluster's token.`,
  );
  if (!text.startsWith('# yaml-language-server'))
    console.note(
      `An editor checks it by this schema (of this machine, so it does not stand in the file): ${schemaPath()}`,
    );
  console.note(`Next: look through it, then  fleet plan -i ${path}  and  fleet up -i ${path}`);
  return exit.ok;
};

function fromFlags(flags: OwnFlags): FirstInventory {
  return checked({
    servers: flags.list('server').flatMap(splitList).map(parseMachine),
    agents: flags.list('agent').flatMap(splitList).map(parseMachine),
    version: flags.text('k3sVersion') ?? 'stable',
    token: tokenFrom(flags),
    context: flags.text('clusterName') ?? 'k3s-ansible',
  });
}

async function fromAnswers(flags: OwnFlags): Promise<FirstInventory> {
  if (!canAsk()) {
    throw new FleetError({
      code: 'MISSING_ARGUMENT',
      message: 'fleet init needs at least one --server, and there is no terminal to ask on',
      fix: 'Write: fleet init --server debian@10.0.0.1 --agent debian@10.0.0.2',
      blame: 'usage',
    });
  }
  const servers = await askMachines('Servers, as user@host, separated by spaces (one, three or five)');
  const agents = await askMachines('Agents, likewise (none: press Enter)');
  const version = flags.text('k3sVersion') ?? (await ask('k3s version or channel', 'stable'));
  const context = flags.text('clusterName') ?? (await ask('Name of the kubeconfig context', 'k3s-ansible'));
  return checked({ servers, agents, version, token: tokenFrom(flags), context });
}

async function askMachines(question: string) {
  return splitList(await ask(question)).map(parseMachine);
}

function tokenFrom(flags: OwnFlags): FirstInventory['token'] {
  if (flags.has('tokenFromEnv')) return { from: 'environment' };
  return { from: 'text', text: flags.text('token') ?? randomBytes(32).toString('hex') };
}

function checked(wanted: FirstInventory): FirstInventory {
  const problem =
    wanted.servers.length === 0
      ? 'a cluster needs at least one server'
      : wanted.servers.length % 2 === 0
        ? `${wanted.servers.length} servers survive the loss of no more than ${wanted.servers.length - 1} would`
        : undefined;
  if (problem !== undefined) {
    throw new FleetError({
      code: 'SERVER_COUNT',
      message: problem,
      fix: 'Name one, three or five servers; make the others agents.',
      blame: 'usage',
    });
  }
  const seen = new Set<string>();
  for (const machine of [...wanted.servers, ...wanted.agents]) {
    const address = `${machine.host}:${machine.port ?? 22}`;
    if (seen.has(address)) {
      throw new FleetError({
        code: 'DUPLICATE_ADDRESS',
        message: `${machine.host} is named twice`,
        fix: 'A machine is a server or an agent; a server runs workloads too.',
        blame: 'usage',
      });
    }
    seen.add(address);
  }
  return wanted;
}

function splitList(text: string): string[] {
  return text.split(/[\s,]+/).filter((part) => part !== '');
}

/** Whole or not at all, and never readable by others: the token stands in it. */
async function writeNew(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new FleetError(
      {
        code: 'FILE_UNWRITABLE',
        message: `${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
        blame: 'usage',
      },
      { cause: error },
    );
  }
}
