import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { doorAt } from '../fleet/awaited.ts';
import { applied, type Here, here, isIsolated, onHost, only, opened, planned, play } from './run-here.ts';

/** Needs root, for locks are root's, and a mount namespace, so that this machine's own lock is left alone. */
const lock = '/run/fleet/lock';

const writes = play('- copy: {dest: "{{ playbook_dir }}/{{ inventory_hostname }}", content: "x\\n"}');
/** Holds its lock until it is let go. */
const holds = play(`- name: Hold\n  shell: "read -r _ < {{ playbook_dir }}/go"`);
const heldBack = ({ folder }: Here) => doorAt(join(folder, 'go'));

function someoneElse(
  where: Here,
  beat: string,
  owner = 'eve@elsewhere, process 1 of 0123456789ab, run 20200101-000000-abcd',
): void {
  onHost(where, `mkdir -p ${lock}; echo '${owner}' > ${lock}/owner; ${beat}`);
}

/** Another folder's run on the same hosts. */
function beside(where: Here): Here {
  mkdirSync(join(where.folder, 'other'));
  return { ...where, folder: join(where.folder, 'other') };
}

describe.runIf(isIsolated)('the lock of a host', () => {
  it('keeps a second run out, names the first, and is given back at the end', async () => {
    const where = await here();
    const other = beside(where);
    const go = heldBack(where);
    const locked: unknown[] = [];
    const first = await opened(where, holds, {
      onEvent: (event) => {
        if (event.kind !== 'task-started') return;
        locked.push(
          applied(other, writes).then((told) => {
            go.open();
            return told;
          }),
        );
      },
    });
    expect((await first.run.apply()).status).toBe('changed');
    const second = (await locked[0]) as Awaited<ReturnType<typeof applied>>;
    expect(second.result.status).toBe('failed');
    expect(only(second.events, 'host-failed')[0]?.error).toMatchObject({
      code: 'LOCKED',
      host: 'a',
      message: expect.stringContaining(`run ${first.run.id}`),
      fix: expect.stringContaining('90 s'),
    });
    expect(onHost(where, 'ls /run/fleet 2>/dev/null'), 'nothing is left').toBe('');
    expect((await applied(other, writes)).result.status).toBe('changed');
  });

  it('is taken for a change alone: who finds nothing to do, or only plans, works beside another run', async () => {
    const where = await here();
    await applied(where, writes);
    someoneElse(where, `date +%s > ${lock}/beat`);
    expect((await applied(where, writes)).result.status).toBe('unchanged');
    expect((await planned(where, holds)).result.status).toBe('would-change');
    expect(onHost(where, `cat ${lock}/owner`)).toContain('eve@elsewhere');
  });

  it.each([
    ['whose heart has stopped', `echo $(($(date +%s) - 100)) > ${lock}/beat`, 'changed'],
    ['of long ago', `echo 5 > ${lock}/beat`, 'changed'],
    ['whose heart beats', `echo $(($(date +%s) - 60)) > ${lock}/beat`, 'failed'],
    ['that is just being taken, and has no heart yet', 'true', 'failed'],
    ['that was left without a heart long ago', `touch -d '2020-01-01' ${lock}`, 'changed'],
  ])('%s: the next run is %3$s', async (_what, beat, status) => {
    const where = await here();
    someoneElse(where, beat);
    const { result } = await applied(where, writes);
    expect(result.status).toBe(status);
    expect(onHost(where, `cat ${lock}/owner 2>/dev/null`)).toBe(
      status === 'changed' ? '' : onHost(where, `cat ${lock}/owner`),
    );
    expect(onHost(where, `ls -d ${lock}.stale.* 2>/dev/null`), 'what was moved aside is gone').toBe('');
  });

  it('of a run that died on this machine is taken over at once', async () => {
    const where = await here();
    heldBack(where).open();
    const mine = await opened(where, holds, { onEvent: () => {} });
    let owner = '';
    const other = beside(where);
    const go = heldBack(other);
    const { run } = await opened(other, holds, {
      onEvent: (event) => {
        if (event.kind !== 'task-started') return;
        owner = onHost(where, `cat ${lock}/owner`).trim();
        go.open();
      },
    });
    await run.apply();
    expect(owner).toMatch(/process \d+ of [0-9a-f]{12}, run /);
    // A process number that no process has.
    const pidMax = Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8'));
    someoneElse(where, `date +%s > ${lock}/beat`, owner.replace(/process \d+/, `process ${pidMax + 1}`));
    expect((await mine.run.apply()).status).toBe('changed');
  });

  it('of the first server stands for the cluster: who cannot have it changes nobody', async () => {
    const where = await here();
    someoneElse(where, `date +%s > ${lock}/beat`);
    const { result } = await applied(where, writes, { hosts: ['a', 'b'], lockFirst: ['b'] });
    expect([...result.failed].map(([host, { code }]) => `${host} ${code}`)).toEqual(['a LOCKED', 'b LOCKED']);
  });

  it('is shared by the hosts of one run that are the same machine', async () => {
    const where = await here();
    expect((await applied(where, writes, { hosts: ['a', 'b', 'c'] })).result.status).toBe('changed');
    expect(onHost(where, 'ls /run/fleet 2>/dev/null')).toBe('');
  });

  it('shows who holds it made harmless', async () => {
    const where = await here();
    onHost(where, `mkdir -p ${lock}; printf 'eve\\033[2J\\n' > ${lock}/owner; date +%s > ${lock}/beat`);
    const { events } = await applied(where, writes);
    expect(only(events, 'host-failed')[0]?.error.message).toContain('eve\\u001b[2J');
  });
});
