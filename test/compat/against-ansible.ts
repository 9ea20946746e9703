/**
 * harden.yml by Ansible and by fleet on two equal nodes: the same end state, second runs without a change, the times side by
 * side. And language/site.yml, whose assertions hold in both. Run by hand: npx tsx test/compat/against-ansible.ts
 */
import { startNodesWithPython } from '../../bench/nodes-with-python.ts';
import { provideAnsible } from '../../bench/tools.ts';
import { endState, endStateDifferences } from './end-state.ts';
import { fetchPackages, type PlayOutcome, playWithAnsible, playWithFleet } from './harden.ts';

async function main(): Promise<number> {
  await provideAnsible();
  const nodes = await startNodesWithPython(2);
  try {
    const [ours, theirs] = [nodes.nodes[0], nodes.nodes[1]];
    if (ours === undefined || theirs === undefined) throw new Error('two nodes are needed');
    await fetchPackages(nodes);
    const rows: string[][] = [];
    const outcomes: PlayOutcome[] = [];
    for (const round of ['first', 'second', 'third']) {
      for (const [tool, play, node] of [
        ['fleet', () => playWithFleet(nodes.inventoryPath, ours.name), ours],
        ['ansible', () => playWithAnsible(nodes.inventoryPath, theirs.name), theirs],
      ] as const) {
        const outcome = await play();
        outcomes.push(outcome);
        rows.push([
          tool,
          round,
          `${(outcome.wallMs / 1000).toFixed(2)} s`,
          String(outcome.changed),
          String(outcome.failed),
          String(outcome.code),
        ]);
        if (outcome.code !== 0)
          process.stdout.write(`${tool} on ${node.name} ended with ${outcome.code}:\n${outcome.printed}\n`);
        else if (round !== 'first' && outcome.changed > 0)
          process.stdout.write(`${tool}, ${round} run, changed: ${outcome.changes.join('; ')}\n`);
      }
    }
    process.stdout.write(
      `\n| tool | run | wall | changed | failed | exit |\n|---|---|---|---|---|---|\n${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n\n`,
    );
    const [left, right] = [await endState(nodes, ours), await endState(nodes, theirs)];
    const { onlyLeft, onlyRight } = endStateDifferences(left, right);
    process.stdout.write(
      `${left.length} things compared. Only after fleet: ${onlyLeft.length}\n${onlyLeft.join('\n')}\nOnly after Ansible: ${onlyRight.length}\n${onlyRight.join('\n')}\n`,
    );
    for (const file of new Set(
      [...onlyLeft, ...onlyRight].flatMap((line) => /^sum \S+ +(.+)$/.exec(line)?.[1] ?? []),
    )) {
      for (const node of [ours, theirs]) {
        const { stdout } = await nodes.exec(node, `cat -A '${file}' | head -40`);
        process.stdout.write(`--- ${file} on ${node.name}\n${stdout}\n`);
      }
    }
    const isEqual = onlyLeft.length === 0 && onlyRight.length === 0;
    return isEqual &&
      outcomes.every(({ code }) => code === 0) &&
      outcomes.slice(2).every(({ changed }) => changed === 0)
      ? 0
      : 1;
  } finally {
    await nodes.stop();
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  },
);
