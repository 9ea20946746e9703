import { Type } from '@sinclair/typebox';
import { type Action, waitUntil } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type Content, contentOf, type FileState, fileAt } from '../facts/file.ts';
import { connectionsOn, type PortState, tcpPort } from '../facts/port.ts';
import { anything, choice, optional, path, text, whole } from './arguments.ts';

const args = Type.Object(
  {
    port: optional(whole('A TCP port.', { minimum: 1, maximum: 65535 })),
    host: optional(text('Where the port is, as seen from the host. Default 127.0.0.1: its own.')),
    path: optional(path('A file or folder.')),
    search_regex: optional(text('A regular expression (multi-line) that the file must match.')),
    state: optional(
      choice(
        ['started', 'present', 'stopped', 'absent', 'drained'],
        'Open or there (the default), closed or gone, or without connections.',
      ),
    ),
    timeout: optional(
      whole('Gives up after so many seconds. Default 300. Alone: just waits so long.', { minimum: 0 }),
    ),
    delay: optional(whole('Seconds to wait before looking.', { minimum: 0 })),
    sleep: optional(whole('Seconds between two looks. Default 1.', { minimum: 1 })),
    connect_timeout: optional(whole('Seconds for one attempt to connect. Default 5.', { minimum: 1 })),
    msg: optional(text('What is waited for, as shown.')),
    active_connection_states: optional(anything('Ignored: drained counts established connections.')),
    exclude_hosts: optional(anything('Ignored.')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly port?: PortState;
  readonly connections?: number;
  readonly file?: FileState;
  readonly content?: Content;
}

/** Ansible's `wait_for`. */
export const waitForStep = defineStep<typeof args, Seen>({
  name: 'wait_for',
  summary: 'Waits until a port answers (or no longer), or a file is there (or gone) or matches.',
  args,
  examples: [
    `- wait_for: port=6443 timeout=120`,
    `- wait_for:\n    path: /var/log/boot.log\n    search_regex: 'ready in \\d+ s'`,
  ],
  look(args) {
    if (args.port !== undefined) {
      return args.state === 'drained'
        ? { connections: ask(connectionsOn(args.port)) }
        : { port: ask(tcpPort(args.host ?? '127.0.0.1', args.port, args.connect_timeout ?? 5)) };
    }
    if (args.path === undefined) return {};
    return args.search_regex === undefined
      ? { file: ask(fileAt(args.path)) }
      : { content: ask(contentOf(args.path)) };
  },
  plan(seen, args): Plan<Seen> {
    if (args.port !== undefined && args.path !== undefined) {
      return refuse('both port and path are given', 'Wait for them in two steps.');
    }
    const deadlineMs = (args.timeout ?? 300) * 1000;
    if (args.port === undefined && args.path === undefined) {
      if (args.timeout === undefined && args.delay === undefined)
        return refuse('nothing to wait for is given', 'Give port, path or timeout.');
      const durationMs = ((args.delay ?? 0) + (args.timeout ?? 0)) * 1000;
      if (durationMs === 0) return unchanged('a pause of no length');
      return change(`waits ${durationMs / 1000} s`, [{ kind: 'pause', durationMs }], {
        imperative: true,
        changesNothing: true,
        // What was seen before the wait may have been what is waited for.
        touches: 'everything',
        result: () => ({ changed: false }),
      });
    }
    const everyMs = (args.sleep ?? 1) * 1000;
    const wait =
      args.port === undefined
        ? fileWait(args, deadlineMs, everyMs)
        : portWait(args, args.port, deadlineMs, everyMs);
    if (typeof wait === 'string') return refuse(wait, 'Correct search_regex.');
    const value = seen.port ?? seen.connections ?? seen.content ?? seen.file;
    if (seen.port === 'unknown') {
      return refuse(
        'the host has no means to try a port elsewhere',
        'Install netcat, bash or curl there, or wait from another host (delegate_to).',
      );
    }
    const holds = wait.holds(value);
    if (holds === true && !args.delay)
      return unchanged(`${wait.what}: so it is`, { state: args.state ?? 'started', elapsed: 0 });
    const actions: Action[] = args.delay ? [{ kind: 'pause', durationMs: args.delay * 1000 }, wait] : [wait];
    const [first, ...rest] = actions;
    return change(
      holds === true ? `waits ${args.delay} s first` : `waits for ${wait.what}: ${holds}`,
      [first ?? wait, ...rest],
      {
        imperative: true,
        changesNothing: true,
        // What was seen before the wait may have been what is waited for.
        touches: 'everything',
        result: () => ({
          changed: false,
          state: args.state ?? 'started',
          ...(args.path === undefined ? { port: args.port } : { path: args.path }),
        }),
      },
    );
  },
});

interface WaitArgs {
  readonly host?: string;
  readonly path?: string;
  readonly state?: string;
  readonly search_regex?: string;
  readonly connect_timeout?: number;
  readonly msg?: string;
}

function portWait(args: WaitArgs, port: number, deadlineMs: number, everyMs: number) {
  const at = `${args.host ?? '127.0.0.1'}:${port}`;
  if (args.state === 'drained') {
    return waitUntil({
      what: args.msg ?? `no connections on port ${port}`,
      fact: connectionsOn(port),
      holds: (count) => count === 0 || `${count} connections are open`,
      deadlineMs,
      everyMs,
    });
  }
  const wanted = args.state === 'stopped' || args.state === 'absent' ? 'closed' : 'open';
  return waitUntil({
    what: args.msg ?? `port ${at} to be ${wanted}`,
    fact: tcpPort(args.host ?? '127.0.0.1', port, args.connect_timeout ?? 5),
    holds: (state) => state === wanted || `it is ${state}`,
    deadlineMs,
    everyMs,
  });
}

function fileWait(args: WaitArgs, deadlineMs: number, everyMs: number) {
  const path = args.path ?? '';
  const gone = args.state === 'absent' || args.state === 'stopped';
  if (args.search_regex === undefined) {
    return waitUntil({
      what: args.msg ?? `${path} to be ${gone ? 'gone' : 'there'}`,
      fact: fileAt(path),
      holds: (file) => (file.followed === undefined) === gone || (gone ? 'it is there' : 'it is not there'),
      deadlineMs,
      everyMs,
    });
  }
  const source = args.search_regex;
  let pattern: RegExp;
  try {
    pattern = new RegExp(source, 'm');
  } catch (error) {
    return `search_regex ${source} is no regular expression: ${error instanceof Error ? error.message : ''}`;
  }
  return waitUntil({
    what: args.msg ?? `${path} to ${gone ? 'no longer match' : 'match'} ${source}`,
    fact: contentOf(path),
    holds: (content) =>
      pattern.test(content.text ?? '') !== gone || (gone ? 'it matches' : 'it does not match'),
    deadlineMs,
    everyMs,
  });
}
