import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SeenServer } from '../../src/cli/cluster-servers.ts';
import { wantedRestore } from '../../src/cli/snapshot-restore.ts';
import { emptyFolder, fleet } from './run-fleet.ts';

const now = new Date('2026-11-21T00:30:00Z');

function server(name: string, files: readonly string[], pending?: SeenServer['restore']): SeenServer {
  return {
    host: { name },
    there: { args: ['server'] },
    snapshots: { folder: '/snapshots', files: files.map((file) => ({ name: file, sizeBytes: 1, at: now })) },
    restore: pending ?? { pending: undefined, movedAside: [], keptFolders: [] },
  } as unknown as SeenServer;
}

describe('which snapshot, on which server', () => {
  const servers = [server('s1', ['weekly-s1-1']), server('s2', ['nightly-s2-1'])];

  it('is the server that has it', () => {
    expect(wantedRestore('nightly-s2-1', false, servers, now)).toMatchObject({
      target: { host: { name: 's2' } },
      stamp: '20261121-003000',
      goesOn: false,
    });
  });

  it('is the first server for a file from here', () => {
    const file = join(emptyFolder(), 'nightly-x-1');
    writeFileSync(file, 'x');
    expect(wantedRestore(file, false, servers, now)).toMatchObject({
      target: { host: { name: 's1' } },
      snapshot: 'nightly-x-1',
      file,
    });
  });

  it('goes on where one of the same name was broken off, under its own stamp', () => {
    const pending = { stamp: '20261120-000000', snapshot: 'weekly-s1-1', phase: 'reset' as const };
    const seen = [servers[0], server('s2', ['weekly-s1-1'], { pending, movedAside: [], keptFolders: [] })];
    expect(wantedRestore('weekly-s1-1', false, seen as SeenServer[], now)).toMatchObject({
      target: { host: { name: 's2' } },
      stamp: '20261120-000000',
      goesOn: true,
    });
  });

  it('is told where there is none, with the nearest', () => {
    expect(() => wantedRestore('nightly-s2-2', false, servers, now)).toThrow(
      expect.objectContaining({ code: 'SNAPSHOT_UNKNOWN', fix: expect.stringContaining('nightly-s2-1') }),
    );
  });
});

describe('the command line', () => {
  it('names what it can do', () => {
    expect(fleet(['snapshot', 'burn']).err).toContain('save, ls, get, delete, schedule, restore');
    expect(fleet(['rotate', 'tyres']).err).toContain('certs, token, encryption-keys, ca');
  });
});
