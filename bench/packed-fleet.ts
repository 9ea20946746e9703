/** fleet as users run it: built and packed as `npm pack` does, unpacked into a folder of its own. */
import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { repositoryRoot, runCommand } from '../test/fleet/docker.ts';

/** An unpacked package. */
export interface PackedFleet {
  /** The bundle's entry: `node <entry> …`. */
  readonly entry: string;
}

/**
 * A copy, so that a build by somebody else in the middle of a measurement changes nothing. Its node_modules is this checkout's: the
 * bundle looks there for ssh2's optional native binding, as it does where npm installed it.
 */
export async function packFleet(folder: string): Promise<PackedFleet> {
  await must('npm', ['pack', '--silent', '--pack-destination', folder], repositoryRoot);
  await must('sh', ['-c', 'tar -xzf fleet-*.tgz'], folder);
  const unpacked = path.join(folder, 'package');
  await symlink(path.join(repositoryRoot, 'node_modules'), path.join(unpacked, 'node_modules'));
  return { entry: path.join(unpacked, 'dist', 'fleet.cjs') };
}

async function must(command: string, args: readonly string[], cwd: string): Promise<void> {
  const { code, stdout, stderr } = await runCommand(command, args, { cwd });
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`);
}
