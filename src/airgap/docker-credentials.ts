import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { Credentials } from './registry-access.ts';

interface DockerConfig {
  readonly auths?: Readonly<Record<string, DockerAuth>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

interface DockerAuth {
  /** `user:password`, in base64. */
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
}

/** Docker's own key for docker.io, older than all others. */
const dockerHubKey = 'https://index.docker.io/v1/';
/** Enough for a helper that asks a keyring or a cloud. */
const helperMs = 30_000;

/** Where `docker login` writes: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. */
export function dockerConfigPath(): string {
  return join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json');
}

/**
 * What `docker login` left for a registry, in the file or with a credential helper; `undefined` where nobody logged in.
 * @throws FleetError DOCKER_CONFIG
 * @see https://docs.docker.com/reference/cli/docker/login/#credential-stores
 */
export async function dockerCredentials(registry: string): Promise<Credentials | undefined> {
  const path = dockerConfigPath();
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw wrong(path, error.message, error);
  });
  if (text === undefined) return undefined;
  let config: DockerConfig;
  try {
    config = JSON.parse(text) as DockerConfig;
  } catch (error) {
    // What a parser says of a text may quote it, and this one holds passwords.
    throw wrong(path, 'it is no JSON', error);
  }
  const keys = registry === 'docker.io' ? [dockerHubKey, 'docker.io'] : [registry];
  for (const key of keys) {
    const helper = config.credHelpers?.[key] ?? config.credsStore;
    const found =
      helper === undefined || helper === ''
        ? fromFile(config, key)
        : ((await askHelper(helper, key)) ?? fromFile(config, key));
    if (found !== undefined) return found;
  }
  return undefined;
}

function fromFile({ auths = {} }: DockerConfig, key: string): Credentials | undefined {
  const entry =
    auths[key] ?? auths[`https://${key}`] ?? auths[`https://${key}/v1/`] ?? auths[`https://${key}/v2/`];
  if (entry === undefined) return undefined;
  if (entry.identitytoken !== undefined && entry.identitytoken !== '')
    return { identityToken: new Secret(entry.identitytoken) };
  const { username, password } = entry;
  if (username !== undefined && password !== undefined) return { username, password: new Secret(password) };
  return pairIn(entry.auth ?? '');
}

/** `user:password` in base64, as docker and k3s write it. */
export function pairIn(auth: string): Credentials | undefined {
  const pair = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = pair.indexOf(':');
  if (colon < 1) return undefined;
  return { username: pair.slice(0, colon), password: new Secret(pair.slice(colon + 1)) };
}

/** @see https://github.com/docker/docker-credential-helpers#development */
async function askHelper(helper: string, key: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${helper}`;
  const answer = await new Promise<string | undefined>((resolve, reject) => {
    const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], timeout: helperMs });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stdin.on('error', () => {});
    child.on('error', (error) => reject(wrong(program, error.message, error)));
    // It has nothing for this registry, which is no fault: images may be for everybody.
    child.on('close', (code) => resolve(code === 0 ? Buffer.concat(chunks).toString('utf8') : undefined));
    child.stdin.end(key);
  });
  if (answer === undefined) return undefined;
  try {
    const { Username, Secret: secret } = JSON.parse(answer) as { Username: string; Secret: string };
    return Username === '<token>'
      ? { identityToken: new Secret(secret) }
      : { username: Username, password: new Secret(secret) };
  } catch (error) {
    throw wrong(program, 'what it answers is no JSON', error);
  }
}

function wrong(what: string, reason: string, cause: unknown): FleetError {
  return new FleetError(
    {
      code: 'DOCKER_CONFIG',
      message: `the credentials of docker cannot be read: ${what}: ${reason}`,
      fix: 'Log in again with docker login, or point DOCKER_CONFIG at an empty folder to go without.',
      blame: 'usage',
    },
    { cause },
  );
}
