/**
 * The images that nodes run, one per family of operating systems. An image is tagged by a hash of all that goes into it, so it
 * is built once per daemon and again only when a file of `image/` changes.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheDirectory, dockerClient, fleetTestDirectory, runCommand } from './docker.ts';

/** The families of nodes: a folder of `image/` each, beside what they share. */
export const nodeFamilies = ['debian', 'ubuntu', 'rocky', 'opensuse', 'arch', 'alpine'] as const;
export type NodeFamily = (typeof nodeFamilies)[number];

/** Whether a word names a family. */
export function isNodeFamily(word: string): word is NodeFamily {
  return (nodeFamilies as readonly string[]).includes(word);
}

/** An image that is built here: a family's, what all but Debian's stand on, or that of a machine with databases. */
type NodeImage = NodeFamily | 'families' | 'databases';

/** What an image stands on; `undefined` for a bare Debian. */
function baseOf(image: NodeImage): NodeImage | undefined {
  if (image === 'debian') return undefined;
  return image === 'families' || image === 'databases' ? 'debian' : 'families';
}

/** The passwords of the users of every image; `debian` needs none for sudo and doas, `ops` needs its own. */
export const nodePasswords = {
  root: 'root-password',
  debian: 'debian-password',
  ops: 'ops-password',
} as const;

/** A user that every node has. */
export type NodeUser = keyof typeof nodePasswords;

const imageDirectory = path.join(fleetTestDirectory, 'image');

/** The tag under which the image of a family is built: its inputs, hashed. */
export async function nodeImageTag(family: NodeImage): Promise<string> {
  const base = baseOf(family);
  const hash = createHash('sha256')
    .update(process.arch)
    .update(process.env.FLEET_TEST_BASE_IMAGE ?? '')
    .update(base === undefined ? '' : await nodeImageTag(base));
  // A layer on top is made by a script that lies with what it stands on.
  const own =
    base === undefined ? ['.', 'shared', family] : base === 'families' ? ['families', family] : [family];
  for (const directory of own) {
    const entries = await readdir(path.join(imageDirectory, directory), { withFileTypes: true });
    for (const entry of entries.filter((each) => each.isFile()).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const file = path.join(imageDirectory, directory, entry.name);
      hash
        .update(`${directory}/${entry.name}\0`)
        .update(await readFile(file))
        .update('\0');
    }
  }
  return `fleet-test-node-${family}:${hash.digest('hex').slice(0, 16)}`;
}

/** Makes sure that the image of a family is there, building it if need be (told on stderr, with the time it took). */
export async function nodeImage(family: NodeImage = 'debian'): Promise<string> {
  const tag = await nodeImageTag(family);
  const { container } = await dockerClient();
  const there = await container.dockerode
    .getImage(tag)
    .inspect()
    .then(
      () => true,
      () => false,
    );
  if (there) return tag;
  const base = baseOf(family);
  const baseTag = base === undefined ? [] : [await nodeImage(base)];
  const begun = performance.now();
  const { code, stderr } = await runCommand(
    'sh',
    [path.join(imageDirectory, 'build.sh'), family, tag, cacheDirectory, ...baseTag],
    { show: true },
  );
  if (code !== 0) throw new Error(`the image of ${family} nodes could not be built:\n${stderr.trim()}`);
  process.stderr.write(`image: ${tag} is ready after ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
  return tag;
}
