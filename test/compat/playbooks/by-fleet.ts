import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { FleetError, FleetErrors } from '../../../src/core/errors.ts';
import { Redactor } from '../../../src/core/secret.ts';
import { accessTo } from '../../../src/engine/access.ts';
import type { EventOf, StampedEvent } from '../../../src/engine/event.ts';
import { isOutOfReach } from '../../../src/engine/host-error.ts';
import { openRun } from '../../../src/engine/run.ts';
import { connectionSettingsOf } from '../../../src/inventory/connection-settings.ts';
import { loadFleet } from '../../../src/inventory/load-fleet.ts';
import { compilePlaybook } from '../../../src/playbook/compile.ts';
import { readArguments } from '../../../src/steps/arguments.ts';
import { allSteps, stepNamed } from '../../../src/steps/registry.ts';
import { HostHere } from '../../engine/run-here.ts';
import { outOf, writeCase } from './case-folder.ts';
import { type Ended, type Outcome, shownValue, tasksByHost } from './outcome.ts';
import { type PlaybookCase, pathOf } from './playbook-case.ts';

/** What fleet makes of a playbook, and all that it told. The hosts live in the mount namespace of the process `namespace`. */
export async function playByFleet(
  one: PlaybookCase,
  namespace: number | undefined,
): Promise<{ readonly outcome: Outcome; readonly events: readonly StampedEvent[] }> {
  const folder = writeCase(realpathSync(mkdtempSync(join(tmpdir(), 'fleet-plays-'))), one);
  try {
    const ran = await run(one, folder, namespace);
    if (ran === undefined) return { outcome: { ...nothing, refused: true }, events: [] };
    const bare = (text: string): string => text.replaceAll(folder, 'FOLDER');
    return {
      outcome: {
        ...nothing,
        ...ran.failures,
        ...tasksOf(ran.events, bare),
        files: outOf(folder),
      },
      events: ran.events,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const nothing: Outcome = { refused: false, failed: [], unreachable: [], rescued: {}, tasks: {}, files: {} };

interface Ran {
  readonly events: readonly StampedEvent[];
  readonly failures: Pick<Outcome, 'failed' | 'unreachable'>;
}

/** `undefined` where the inventory or the playbook is refused. */
async function run(
  one: PlaybookCase,
  folder: string,
  namespace: number | undefined,
): Promise<Ran | undefined> {
  const path = join(folder, pathOf(one));
  let opened: Awaited<ReturnType<typeof open>>;
  try {
    opened = await open(one, folder, path);
  } catch (error) {
    if (error instanceof FleetError || error instanceof FleetErrors) return undefined;
    throw error;
  }
  const { fleet, plays, extraVars } = opened;
  const access = accessTo(fleet, {});
  const events: StampedEvent[] = [];
  const going = openRun({
    command: 'play',
    fleet,
    plays,
    open: {
      connect: async (name) => {
        const host = fleet.hosts.get(name);
        const isHere = host === undefined || connectionSettingsOf(host).ansible_connection === 'local';
        return isHere ? new HostHere(name, namespace) : access.connect(name);
      },
      becomeOf: (name, task) => access.becomeOf(name, task),
    },
    checkArgs: (step, args, at) => readArguments(step, args, at),
    emit: (event) => void events.push(event),
    redactor: new Redactor(),
    signal: new AbortController().signal,
    extraVars,
  });
  const { failed } = one.check === true ? await going.plan() : await going.apply();
  await going.close();
  const hosts = [...failed].sort(([a], [b]) => (a < b ? -1 : 1));
  const isAway = ([host, error]: readonly [string, FleetError]): boolean => isOutOfReach(error, host);
  return {
    events,
    failures: {
      failed: hosts.filter((host) => !isAway(host)).map(([host]) => host),
      unreachable: hosts.filter(isAway).map(([host]) => host),
    },
  };
}

async function open(one: PlaybookCase, folder: string, path: string) {
  const fleet = await loadFleet({
    cwd: folder,
    sources: [join(folder, 'inventory')],
    extraVars: ['{"out": "{{ inventory_dir }}/out"}', ...(one.extra ?? [])],
    playbookFolder: dirname(path),
  });
  const extraVars = Object.fromEntries(fleet.vars.names().map((name) => [name, fleet.vars.raw(name)]));
  const plays = await compilePlaybook(path, {
    fleet,
    scope: fleet.vars,
    steps: { allSteps, stepNamed },
    extraVars,
    ...(one.tags === undefined ? {} : { tags: one.tags }),
    ...(one.skipTags === undefined ? {} : { skipTags: one.skipTags }),
    ...(one.startAt === undefined ? {} : { startAt: one.startAt }),
    ...(one.limit === undefined ? {} : { limit: one.limit }),
  });
  return { fleet, plays, extraVars };
}

const statuses = {
  unchanged: 'ok',
  changed: 'changed',
  'would-change': 'changed',
  skipped: 'skipped',
  failed: 'failed',
  'failed-ignored': 'ignored',
} as const;

function tasksOf(
  events: readonly StampedEvent[],
  bare: (text: string) => string,
): Pick<Outcome, 'tasks' | 'rescued'> {
  const ended: Ended[] = [];
  const rescued = new Map<string, number>();
  const messages = new Map<string, string>();
  for (const event of events) {
    if (event.kind === 'message') messages.set(event.host, bare(shown(event.text)));
    if (event.kind !== 'task-finished') continue;
    const { host, item } = event;
    if (event.rescued === true) rescued.set(host, (rescued.get(host) ?? 0) + 1);
    const status = statusOf(event);
    const message = messages.get(host);
    messages.delete(host);
    ended.push({
      host,
      task: event.task === 'Gather facts' ? 'Gathering Facts' : event.task,
      status,
      ...(item === undefined ? {} : { item: item === 'hidden by no_log' ? hidden : bare(shown(item)) }),
      ...(message === undefined ? {} : { message }),
    });
  }
  return { tasks: tasksByHost(ended), rescued: Object.fromEntries(rescued) };
}

function statusOf({ host, item, status, error }: EventOf<'task-finished'>): string {
  if (error !== undefined && isOutOfReach(new FleetError(error), host)) return 'unreachable';
  // Of a loop Ansible says only as a whole that its failure is ignored.
  return item !== undefined && status === 'failed-ignored' ? 'failed' : statuses[status];
}

/** As Ansible says it. */
const hidden = '(censored due to no_log)';

/** JSON with its keys in order. */
function shown(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? shownValue(value) : text;
  } catch {
    return text;
  }
}
