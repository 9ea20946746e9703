#!/usr/bin/env node
/**
 * The entry of `fleet`. Nothing is imported before the version was asked for: scripts and shells ask for it often,
 * and it must cost no more than starting node.
 */
const argv = process.argv.slice(2);

async function start(): Promise<void> {
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    const { version } = await import('./version.ts');
    process.stdout.write(`${version}\n`);
    return;
  }
  const { keepCompiledCode } = await import('./code-cache.ts');
  keepCompiledCode(argv.find((word) => !word.startsWith('-')) ?? 'help');
  const { runCli } = await import('./run-cli.ts');
  await runCli(argv);
}

void start();
