/**
 * One Docker Engine for the fake nodes: the machine's own where it answers, else one that `provide-docker.sh` installs and
 * starts. Everything under `test/fleet` reaches Docker through this file.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ContainerRuntimeClient, getContainerRuntimeClient } from 'testcontainers';

// Its reaper is an image that no machine without a registry can pull. What is started here is removed here: see nodes.ts.
process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';

/** Where this folder is. */
export const fleetTestDirectory = path.dirname(fileURLToPath(import.meta.url));

/** The root of the repository. */
export const repositoryRoot = path.resolve(fleetTestDirectory, '../..');

/** What may be kept between runs and is made again when missing (gitignored). */
export const cacheDirectory = path.join(repositoryRoot, '.cache', 'fleet-nodes');

/** Where the daemon answers that `provide-docker.sh` starts. */
export const ownDockerUrl = `unix://${process.env.FLEET_TEST_DOCKER_RUN ?? '/run/fleet-test-docker'}/docker.sock`;

/** How a command ended. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** Runs a command; its stderr is shown as it comes when `show` is set. Never throws for an exit code. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: { show?: boolean; input?: string; env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<CommandResult> {
  const child = spawn(command, args, { env: options.env ?? process.env, cwd: options.cwd, stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (options.show) process.stderr.write(text);
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ stdout, stderr, code: code ?? -1 }));
  });
}

/** Whether an engine answers at this URL, within a second; for what is not a socket file the script is asked. */
async function answers(url: string): Promise<boolean> {
  if (!url.startsWith('unix://')) return false;
  const socketPath = url.slice('unix://'.length);
  if (!existsSync(socketPath)) return false;
  return await new Promise((resolve) => {
    const ping = request({ socketPath, path: '/_ping', timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on('timeout', () => ping.destroy());
    ping.on('error', () => resolve(false));
    ping.end();
  });
}

let provided: Promise<string> | undefined;

/**
 * Makes sure that a Docker Engine answers and that this process uses it (`DOCKER_HOST`). Returns its URL. What it has to do
 * for that is told on stderr; a daemon that it starts stays up until `provide-docker.sh stop`.
 */
export async function provideDocker(): Promise<string> {
  provided ??= findOrStart().catch((error: unknown) => {
    provided = undefined;
    throw error;
  });
  return await provided;
}

/** The URL of the engine that answers, without starting one; and this process uses it from now on. */
export async function findDocker(): Promise<string | undefined> {
  const candidates = [process.env.DOCKER_HOST, 'unix:///var/run/docker.sock', ownDockerUrl];
  for (const url of candidates) {
    if (url && (await answers(url))) {
      process.env.DOCKER_HOST = url;
      return url;
    }
  }
  return undefined;
}

async function findOrStart(): Promise<string> {
  const found = await findDocker();
  if (found !== undefined) return found;
  const script = path.join(fleetTestDirectory, 'provide-docker.sh');
  const { stdout, code, stderr } = await runCommand('sh', [script], { show: true });
  const url = /^DOCKER_HOST=(.+)$/m.exec(stdout)?.[1];
  if (code !== 0 || url === undefined) {
    throw new Error(
      `no Docker Engine for the fake nodes: ${stderr.trim().split('\n').at(-1) ?? `exit ${code}`}`,
    );
  }
  process.env.DOCKER_HOST = url;
  return url;
}

/** The Docker client of this process, connected to the engine of `provideDocker`. */
export async function dockerClient(): Promise<ContainerRuntimeClient> {
  await provideDocker();
  return await getContainerRuntimeClient();
}

/** Stops the daemon that `provide-docker.sh` started; leaves any other alone. */
export async function stopOwnDocker(): Promise<void> {
  const { code } = await runCommand('sh', [path.join(fleetTestDirectory, 'provide-docker.sh'), 'stop'], {
    show: true,
  });
  if (code !== 0) throw new Error('our Docker daemon could not be stopped');
}
