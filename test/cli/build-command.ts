/**
 * Builds fleet once for all test files of a vitest run, as it is built for users: from the sources it takes 1.7 s of processor time to
 * start, built 0.2 s, and the tests start it a thousand times.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { bundle } from '../../scripts/bundle.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the command `fleet` as built from the sources when this run of the tests began. */
    readonly fleetCommand: string;
  }
}

/** Below the root, where it finds fleet's playbooks. */
const builds = path.join(import.meta.dirname, '..', '..', '.cache', 'fleet-command');

/** For vitest's `globalSetup`. Each run has a build of its own: another one beside it may have other sources. */
export async function setup(project: TestProject): Promise<() => void> {
  mkdirSync(builds, { recursive: true });
  for (const owner of readdirSync(builds))
    if (!existsSync(`/proc/${owner}`)) rmSync(path.join(builds, owner), { recursive: true, force: true });
  const folder = path.join(builds, String(process.pid));
  const command = path.join(folder, 'fleet.cjs');
  const build = async (): Promise<void> => {
    try {
      await bundle(folder);
    } catch (error) {
      // Tests of other parts can be run while sources are half written; who starts the command is told.
      writeFileSync(command, `throw new Error(${JSON.stringify(String(error))});\n`);
    }
  };
  await build();
  project.onTestsRerun(build);
  project.provide('fleetCommand', command);
  return () => rmSync(folder, { recursive: true, force: true });
}
