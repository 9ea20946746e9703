import { PassThrough, type Readable, type Writable } from 'node:stream';
import { FleetError } from '../core/errors.ts';
import { quote } from '../core/shell.ts';
import { becomeFault, maskPassword } from './become-fault.ts';
import type { Channel, ChannelEnd, ChannelOpener } from './channel.ts';
import type { Become } from './connection.ts';
import { connectionLost, said } from './faults.ts';
import { FrameSplitter, newNonce } from './frames.ts';

/** How much of what came before the program's own output is kept, to explain a failed start. */
const NOISE_LIMIT_BYTES = 4096;

/** sudo asks again after a wrong password; a second prompt is the proof of a wrong one. */
const PASSWORD_PROMPT = /(password|passwort|passphrase)[^\n]*:\s*$/i;

/** A POSIX `sh` at work on a host as the wanted user. */
export interface Program {
  /** May be written at once, unless `waitsForPassword`: then only after `started`. */
  readonly stdin: Writable;
  /** Resolves with the process id of the `sh`; rejects with a FleetError when it cannot start (become refused, no shell). */
  readonly started: Promise<number>;
  readonly ended: Promise<ChannelEnd>;
  /** Whether stdin belongs to sudo or su until the program has started. */
  readonly waitsForPassword: boolean;
  close(): void;
}

export interface ProgramOptions {
  readonly become: Become | undefined;
  /** POSIX sh that the program runs once it has said hello; its stdin is the program's. Never holds a secret: it stands in argv. */
  readonly body: string;
  readonly onStdout: (bytes: Buffer) => void;
  readonly onStderr: (bytes: Buffer) => void;
}

/**
 * Starts `sh` with `body` as the wanted user. It says hello first, with a nonce, so that what login shells and banners print before
 * it is told from its own output. A password goes through stdin (sudo) or a terminal of its own (doas, su), never through argv.
 * @throws FleetError when the channel cannot be opened.
 */
export async function startProgram(opener: ChannelOpener, options: ProgramOptions): Promise<Program> {
  const nonce = newNonce();
  // In two halves, so that a login shell with `set -x` or an error that quotes the command is not taken for the hello.
  const halves = `${nonce.slice(0, 16)} ${nonce.slice(16)}`;
  const hello = `printf "%s%s hello\\n" ${halves} >&2; printf "%s%s hello %s\\n" ${halves} "$$"; ${options.body}`;
  const become = options.become?.user === opener.loginUser ? undefined : options.become;
  const prompt = newNonce();
  const shell = `sh -c ${quote(hello)}`;

  if (become?.password !== undefined && become.method !== 'sudo') {
    const channel = await openThroughTerminal(opener, become, shell);
    return attach(opener, channel, { ...options, become }, nonce, undefined);
  }
  const command = commandLine(become, shell, prompt);
  const channel = await opener.open(command);
  const password = become?.password;
  return attach(
    opener,
    channel,
    { ...options, become },
    nonce,
    password === undefined ? undefined : { prompt, answer: () => password.reveal() },
  );
}

function commandLine(become: Become | undefined, shell: string, prompt: string): string {
  if (become === undefined) return `exec ${shell}`;
  const user = quote(become.user);
  switch (become.method) {
    case 'sudo':
      return become.password === undefined
        ? `exec sudo -n -H -u ${user} -- ${shell}`
        : `exec sudo -S -p ${prompt} -H -u ${user} -- ${shell}`;
    case 'doas':
      return `exec doas -n -u ${user} ${shell}`;
    case 'su':
      return `exec su -s /bin/sh ${user} -c ${quote(`exec ${shell}`)}`;
  }
}

interface Prompted {
  readonly prompt: string;
  readonly answer: () => string;
}

function attach(
  opener: ChannelOpener,
  channel: Channel,
  options: ProgramOptions,
  nonce: string,
  prompted: Prompted | undefined,
): Program {
  let noise = '';
  let greeted = false;
  let asked = 0;
  let fault: FleetError | undefined;
  let resolveStarted: (pid: number) => void = () => {};
  let rejectStarted: (error: FleetError) => void = () => {};
  const started = new Promise<number>((resolve, reject) => {
    resolveStarted = resolve;
    rejectStarted = reject;
  });
  // Who is interested awaits it; a program that is closed before it started must not crash the process.
  started.catch(() => {});

  const fail = (error: FleetError) => {
    fault ??= error;
    rejectStarted(fault);
    channel.close();
  };
  const hear = (bytes: Buffer) => {
    if (noise.length < NOISE_LIMIT_BYTES) noise += bytes.toString('utf8').slice(0, NOISE_LIMIT_BYTES);
    // Without a terminal su asks on its stderr and would take the first script for an answer.
    if (
      options.become?.method === 'su' &&
      options.become.password === undefined &&
      PASSWORD_PROMPT.test(noise)
    ) {
      fail(becomeFault(opener, options.become, 'refused', noise));
    }
  };

  let stdoutOpen = false;
  let stderrOpen = false;
  const stdout = new FrameSplitter(nonce, {
    data: (bytes) => {
      if (stdoutOpen) options.onStdout(bytes);
      else hear(bytes);
    },
    frame: ([word, pid]) => {
      if (stdoutOpen || word !== 'hello' || pid === undefined) return;
      stdoutOpen = true;
      greeted = true;
      resolveStarted(Number.parseInt(pid, 10));
    },
  });
  const stderr = new FrameSplitter(nonce, {
    data: (bytes) => {
      if (stderrOpen) options.onStderr(bytes);
      else hear(bytes);
    },
    frame: () => {
      stderrOpen = true;
    },
  });
  // Once both streams are past the hello, nothing needs to be searched for it any more.
  pipeUntil(
    channel.stdout,
    (bytes) => stdout.push(bytes),
    options.onStdout,
    () => stdoutOpen,
  );
  let tail = '';
  pipeUntil(
    channel.stderr,
    (bytes) => {
      if (prompted !== undefined && !greeted) {
        tail = (tail + bytes.toString('latin1')).slice(-4096);
        while (tail.includes(prompted.prompt)) {
          tail = tail.slice(tail.indexOf(prompted.prompt) + prompted.prompt.length);
          asked += 1;
          if (asked === 1) channel.stdin.write(`${prompted.answer()}\n`);
          else fail(becomeFault(opener, options.become, 'wrong-password', noise));
        }
      }
      stderr.push(bytes);
    },
    options.onStderr,
    () => stderrOpen,
  );
  channel.stdin.on('error', () => {});

  const ended = channel.ended.then((end) => {
    if (!greeted) {
      const text = maskPassword(
        prompted === undefined ? noise : noise.replaceAll(prompted.prompt, ''),
        options.become,
      );
      fault ??=
        end.lost !== undefined
          ? connectionLost(opener.host, end.lost)
          : options.become === undefined
            ? noShell(opener, end, text)
            : becomeFault(opener, options.become, 'refused', text);
      rejectStarted(fault);
    }
    return end;
  });

  return {
    stdin: channel.stdin,
    started,
    ended,
    waitsForPassword: prompted !== undefined || options.become?.method === 'su',
    close: () => channel.close(),
  };
}

/** Feeds a splitter until it has found what it looks for, then goes around it: an upload's answer may be gigabytes. */
function pipeUntil(
  stream: Readable,
  search: (bytes: Buffer) => void,
  direct: (bytes: Buffer) => void,
  found: () => boolean,
): void {
  stream.on('data', (bytes: Buffer) => {
    if (found()) direct(bytes);
    else search(bytes);
  });
  // It may have been paused by whoever read the beginning of it; a listener alone does not wake it then.
  stream.resume();
}

function noShell(opener: ChannelOpener, end: ChannelEnd, text: string): FleetError {
  const how = end.signal ?? (end.code === undefined ? 'without a status' : `with status ${end.code}`);
  return new FleetError({
    code: 'SHELL_UNUSABLE',
    host: opener.host,
    message: `the login of ${opener.loginUser} on ${opener.host} gave no POSIX shell: it ended ${how}${said(text)}`,
    fix: `Give ${opener.loginUser} a login shell that runs commands (see \`getent passwd ${opener.loginUser}\`), or set ansible_user to another account.`,
  });
}

/**
 * doas and su insist on a terminal for the password, and a terminal mangles bytes and merges both outputs. So the program's streams go
 * through FIFOs to a second channel that has no terminal. doas closes every descriptor above 2 and is mute unless one of the three is
 * a terminal, so it keeps its stderr there, with output processing off; su reads the password from its stdin and moves all three.
 */
async function openThroughTerminal(opener: ChannelOpener, become: Become, shell: string): Promise<Channel> {
  const nonce = newNonce();
  const ownStderr = become.method === 'su';
  const carrier = [
    'umask 077; d=$(mktemp -d /tmp/fleet.XXXXXXXX) || exit 1;',
    `trap 'rm -rf "$d"' EXIT; trap 'exit 1' HUP INT TERM; mkfifo "$d/i" "$d/o" "$d/e" || exit 1;`,
    `printf "%s%s dir %s\\n" ${nonce.slice(0, 16)} ${nonce.slice(16)} "$d"; cat "$d/o" &`,
    ownStderr ? 'cat "$d/e" >&2 &' : '',
    'cat >"$d/i"; wait',
  ].join(' ');
  const streams = await opener.open(`exec sh -c ${quote(carrier)}`);
  const dir = await carrierDirectory(opener, streams, nonce);

  const user = quote(become.user);
  const [i, o, e] = ['i', 'o', 'e'].map((name) => quote(`${dir}/${name}`));
  const command = ownStderr
    ? `exec su -s /bin/sh ${user} -c ${quote(`exec ${shell} <&3 >&4 2>&5 3<&- 4>&- 5>&-`)} 3<${i} 4>${o} 5>${e}`
    : `stty -opost; exec doas -u ${user} ${shell} <${i} >${o}`;
  const terminal = await opener.open(`exec sh -c ${quote(command)}`, { pty: true });

  const stderr = new PassThrough();
  let heard = '';
  let prompts = 0;
  // The program's first word ends the asking: what it prints itself may look like a prompt.
  let running = false;
  streams.stdout.once('data', () => {
    running = true;
  });
  terminal.stdin.on('error', () => {});
  terminal.stderr.resume();
  terminal.stdout.on('data', (bytes: Buffer) => {
    // Before the program runs this explains a refusal; afterwards it is doas' program's own stderr.
    stderr.write(bytes);
    if (running || prompts > 1) return;
    heard = (heard + bytes.toString('utf8')).slice(-NOISE_LIMIT_BYTES);
    if (!PASSWORD_PROMPT.test(heard)) return;
    heard = '';
    prompts += 1;
    if (prompts === 1) terminal.stdin.write(`${become.password?.reveal() ?? ''}\n`);
  });
  streams.stderr.on('data', (bytes: Buffer) => stderr.write(bytes));

  const ended = terminal.ended.then(async (end) => {
    streams.stdin.end();
    const streamsEnd = await streams.ended;
    stderr.end();
    await new Promise((resolve) => stderr.once('end', resolve));
    return streamsEnd.lost === undefined ? end : streamsEnd;
  });
  return {
    stdin: streams.stdin,
    stdout: streams.stdout,
    stderr,
    ended,
    close: () => {
      terminal.close();
      streams.close();
    },
  };
}

function carrierDirectory(opener: ChannelOpener, streams: Channel, nonce: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const listen = (bytes: Buffer) => {
      heard += bytes.toString('utf8');
      const found = new RegExp(`${nonce} dir ([^\\n]*)\\n`).exec(heard)?.[1];
      if (found === undefined) return;
      streams.stdout.off('data', listen);
      streams.stderr.off('data', complain);
      // Without a listener the stream must hold what comes next until the program's own listener is there.
      streams.stdout.pause();
      resolve(found);
    };
    streams.stdout.on('data', listen);
    const complaints: Buffer[] = [];
    const complain = (bytes: Buffer) => complaints.push(bytes);
    streams.stderr.on('data', complain);
    streams.ended.then((end) => {
      reject(
        end.lost === undefined
          ? noShell(opener, end, Buffer.concat(complaints).toString('utf8'))
          : connectionLost(opener.host, end.lost),
      );
    });
  });
}
