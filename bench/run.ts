/**
 * `npm run bench`: fleet beside Ansible and mitogen, on the same nodes. Names of parts run only these:
 * `npm run bench -- startup steps up connect facts push`, and `--nodes 5,20`, `--rounds 5`, `--quick`. Results are printed as Markdown.
 */
import { availableParallelism, cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { repositoryRoot, runCommand } from '../test/fleet/docker.ts';
import { clusterUp } from './cluster-up.ts';
import { connecting } from './connect.ts';
import { gatheringFacts } from './facts.ts';
import { neverWait } from './measure.ts';
import { pushing } from './push.ts';
import { startup } from './startup.ts';
import { stepsOnOneHost } from './steps-on-one-host.ts';
import { type Workbench, withWorkbench } from './workbench.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    nodes: { type: 'string', default: '5,20' },
    rounds: { type: 'string', default: '5' },
    /** One round of everything, however busy the machine is: to see that it works. */
    quick: { type: 'boolean', default: false },
  },
});
const parts = positionals.length > 0 ? positionals : ['startup', 'steps', 'up', 'connect', 'facts', 'push'];
const rounds = values.quick ? 1 : Number(values.rounds);
const say = (text: string): boolean => process.stdout.write(text);

if (values.quick) neverWait();
await withWorkbench(async (workbench) => {
  say(await machine());
  for (const part of parts) await measured(part, workbench);
});

async function measured(part: string, workbench: Workbench): Promise<void> {
  switch (part) {
    case 'startup':
      say(await startup(workbench, { rounds: values.quick ? 5 : 31 }));
      return;
    case 'steps':
      say(await stepsOnOneHost(workbench, { rounds, distances: [0, 20] }));
      return;
    case 'up':
      for (const count of values.nodes.split(',').map(Number)) {
        say(
          await clusterUp(workbench, {
            count,
            firstRounds: values.quick ? 1 : Math.min(rounds, count > 10 ? 2 : 3),
            noOpRounds: values.quick ? 1 : Math.min(rounds, count > 10 ? 3 : 5),
          }),
        );
      }
      return;
    case 'connect':
      say(await connecting(workbench, { counts: values.quick ? [1, 5] : [1, 10, 50], rounds }));
      return;
    case 'facts':
      say(await gatheringFacts(workbench, { counts: values.quick ? [1, 5] : [1, 10, 50], rounds }));
      return;
    case 'push':
      say(
        await pushing(
          workbench,
          values.quick
            ? { counts: [1, 3], rounds: 1, megabytes: 20 }
            : { counts: [1, 4, 8], rounds: Math.min(rounds, 3), megabytes: 250 },
        ),
      );
      return;
    default:
      throw new Error(`there is no part ${part}: startup, steps, up, connect, facts, push`);
  }
}

async function machine(): Promise<string> {
  const says = async (command: string, ...args: string[]): Promise<string> =>
    (await runCommand(command, args, { cwd: repositoryRoot })).stdout.trim();
  const versions = await Promise.all([
    says('git', 'describe', '--always', '--dirty'),
    says('sh', '-c', "ansible --version | sed -n '1s/.*core //;1s/]//p'"),
    says('dpkg-query', '-W', '-f', '$' + '{Version}', 'ansible-mitogen'),
    says('ssh', '-V').then(async (text) => text || (await runCommand('ssh', ['-V'])).stderr.trim()),
  ]);
  return [
    `${new Date().toISOString().slice(0, 10)}: ${availableParallelism()} cores (${cpus()[0]?.model}), ${Math.round(totalmem() / 1e9)} GB, `,
    `Node ${process.version}, fleet ${versions[0]}, Ansible ${versions[1]}, mitogen ${versions[2]}, ${versions[3]}.\n`,
  ].join('');
}
