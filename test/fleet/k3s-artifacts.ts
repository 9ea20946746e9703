/**
 * The k3s that tests install: the stand-in, built from `k3s/`, or real releases where FLEET_TEST_K3S_DIR names a folder of them.
 * Both have the same form: a folder per version as its release page has it (`v1.33.4+k3s1/k3s`, `…/sha256sum-amd64.txt`, images), and
 * the install script.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fleetTestDirectory, repositoryRoot, runCommand } from './docker.ts';
import { exclusively, provideProgram } from './machine.ts';

/** The version that inventories and tests use where they need just one. */
export const defaultK3sVersion = 'v1.33.4+k3s1';

/** A folder of k3s releases. */
export interface K3sArtifacts {
  /** Has a folder per version. */
  readonly directory: string;
  /** The versions that are there, oldest name first. */
  readonly versions: readonly string[];
  /** What get.k3s.io serves. */
  readonly installScript: string;
}

/** Where the stand-in is built to. */
const builtDirectory = path.join(repositoryRoot, '.cache', 'k3s');

/**
 * The artifacts, built first if need be (a Go compiler is installed from Debian where there is none). Versions that are asked for are
 * there afterwards; with real releases, a missing one is an error.
 */
export async function k3sArtifacts(versions: readonly string[] = [defaultK3sVersion]): Promise<K3sArtifacts> {
  const real = process.env.FLEET_TEST_K3S_DIR;
  const directory = real ? path.resolve(real) : builtDirectory;
  if (!real) await build(versions);
  const present = await versionsIn(directory);
  const missing = versions.filter((each) => !present.includes(each));
  if (missing.length > 0) {
    throw new Error(`${directory} has no k3s ${missing.join(', ')}; it has ${present.join(', ') || 'none'}`);
  }
  const names = ['install.sh', 'k3s-install.sh'];
  const places = [directory, ...present.map((version) => path.join(directory, version))];
  const scripts = places.flatMap((place) => names.map((name) => path.join(place, name)));
  const installScript = scripts.find((each) => existsSync(each));
  if (installScript === undefined) throw new Error(`${directory} has no install.sh (what get.k3s.io serves)`);
  return { directory, versions: present, installScript };
}

/**
 * A folder for `airgap_dir` as k3s-ansible knows it: the artifacts of one version with the install script as `k3s-install.sh`. They are
 * links to the originals: a test that wants to spoil one copies the folder first.
 */
export async function airgapFolder(artifacts: K3sArtifacts, version: string): Promise<string> {
  const release = path.join(artifacts.directory, version);
  const files = (await readdir(release))
    .filter((name) => !name.startsWith('.'))
    .map((name) => path.join(release, name));
  const links = new Map(files.map((file) => [path.basename(file), file]));
  // Its own where it has one: the others' may become another one when a test asks for one more version.
  links.set('k3s-install.sh', links.get('install.sh') ?? artifacts.installScript);
  const facts = await Promise.all([...links.values()].map(async (file) => await stat(file)));
  const state = JSON.stringify(
    [...links].map((link, index) => [link, facts[index]?.ino, facts[index]?.mtimeMs]),
  );
  // Other files have another folder: whoever runs beside us with these would find them gone or changed under him.
  const folder = path.join(repositoryRoot, '.cache', 'k3s-airgap', digestOf(state), version);
  const stamp = path.join(folder, '.links');
  await exclusively(`${folder}.lock`, async () => {
    if (existsSync(stamp)) return;
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    for (const [name, file] of links) await linkOrCopy(file, path.join(folder, name));
    await writeFile(stamp, state);
  });
  return folder;
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(async () => {
    const { code, stderr } = await runCommand('cp', ['-p', from, to]);
    if (code !== 0) throw new Error(stderr);
  });
}

async function versionsIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((each) => each.isDirectory() && /^v\d+\.\d+\.\d+.*\+k3s\d+$/.test(each.name))
    .map((each) => each.name)
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/** Builds what is missing, or everything when a source of the stand-in has changed. */
async function build(versions: readonly string[]): Promise<void> {
  const sources = path.join(fleetTestDirectory, 'k3s');
  const stamp = path.join(builtDirectory, '.sources');
  const hash = await hashOfTree(sources);
  const uptodate = async (): Promise<boolean> => {
    const present = await versionsIn(builtDirectory);
    const built = await readFile(stamp, 'utf8').catch(() => '');
    return built === hash && versions.every((each) => present.includes(each));
  };
  if (await uptodate()) return;
  await provideProgram('go', 'golang-go', 'the k3s stand-in is written in Go');
  await provideProgram('zstd', 'zstd', 'releases of k3s have image archives packed with it');
  await exclusively(`${builtDirectory}.lock`, async () => {
    if (await uptodate()) return;
    const begun = performance.now();
    const all = [...new Set([...(await versionsIn(builtDirectory)), ...versions])];
    process.stderr.write(`k3s: building the stand-in (${all.join(', ')})\n`);
    await mkdir(builtDirectory, { recursive: true });
    await rm(stamp, { force: true });
    const { code, stdout, stderr } = await runCommand('sh', [
      path.join(sources, 'build.sh'),
      builtDirectory,
      ...all,
    ]);
    if (code !== 0) throw new Error(`the k3s stand-in could not be built:\n${stdout}${stderr}`);
    await writeFile(stamp, hash);
    process.stderr.write(`k3s: built after ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
  });
}

async function hashOfTree(directory: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((each) => each.isFile()).map((each) => path.join(each.parentPath, each.name));
  for (const file of files.sort())
    hash
      .update(`${path.relative(directory, file)}\0`)
      .update(await readFile(file))
      .update('\0');
  return hash.digest('hex');
}
