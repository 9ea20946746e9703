import { randomBytes } from 'node:crypto';
import { reveal } from '../core/secret.ts';
import { lines, raw, type ShellScript, sh } from '../core/shell.ts';
import type { Action, Remove, Run, Write } from './action.ts';

/** Where jobs that outlive a connection keep their script and output: root only, gone after a reboot. */
export const jobsFolder = '/run/fleet/jobs';

/** Makes dirname + a random name: a temporary file must stand on the target's own filesystem for rename to be atomic. */
export function temporaryBeside(path: string): string {
  const slash = path.lastIndexOf('/');
  return `${path.slice(0, slash + 1)}.fleet-${randomBytes(6).toString('hex')}~`;
}

/**
 * Has a script remove its temporary file however it ends. A shell that a signal ends runs no EXIT trap by itself, and one
 * whose connection is gone gets SIGPIPE as soon as it says something, or SIGHUP from its terminal.
 */
export const removedAtEnd: ShellScript = raw(
  `trap 'rm -f -- "$temporary"' EXIT; trap 'exit 1' HUP INT PIPE TERM`,
);

/** The actions that are one script each on the step's own host; the others (uploads, waits …) are more than that. */
export function isScripted(action: Action): action is Run | Write | Remove {
  return (
    (action.kind === 'run' && action.host === undefined) ||
    action.kind === 'write' ||
    action.kind === 'remove'
  );
}

/**
 * The script that performs an action.
 * @param environment exported to the script of a `run`
 * @param job identifies a `run` that survives, so that the same call made again after a lost connection picks it up
 */
export function scriptOf(
  action: Run | Write | Remove,
  environment: Readonly<Record<string, string>>,
  job: string,
): ShellScript {
  switch (action.kind) {
    case 'run': {
      const script = lines(...exportsOf(environment), action.script);
      return action.survives === true ? jobScript(job, script) : script;
    }
    case 'write':
      return writeScript(action);
    case 'remove':
      return action.recursive === true ? sh`rm -rf -- ${action.path}` : sh`rm -f -- ${action.path}`;
  }
}

function exportsOf(environment: Readonly<Record<string, string>>): ShellScript[] {
  return Object.entries(environment).map(([name, value]) => sh`export ${raw(variableName(name))}=${value}`);
}

function variableName(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw new RangeError(`${JSON.stringify(name)} is no name for an environment variable`);
  return name;
}

/**
 * Write to a temporary file beside the target, give it owner and mode while it is still empty, fill it, flush it to the
 * disk, rename it. `printf` is a builtin of every sh, so the content is in no process's arguments.
 */
function writeScript(action: Write): ShellScript {
  const temporary = temporaryBeside(action.path);
  return lines(
    sh`umask 077; set -e; temporary=${temporary}; ${removedAtEnd}`,
    sh`: > ${temporary}`,
    sh`chown ${`${action.owner}:${action.group}`} ${temporary}`,
    fillScript(action.content, temporary),
    sh`chmod ${action.mode} ${temporary}`,
    ...(action.validate === undefined
      ? []
      : [
          sh`( ${action.validate(temporary)}
)`,
        ]),
    ...(action.backup === true
      ? [
          sh`if [ -e ${action.path} ]; then cp -p -- ${action.path} ${action.path}."$(date +%Y%m%d-%H%M%S)~"; fi`,
        ]
      : []),
    // Busybox's sync takes no operand in old releases; then the whole filesystem is flushed.
    sh`sync ${temporary} 2>/dev/null || sync`,
    sh`mv -f -- ${temporary} ${action.path}`,
    sh`trap - EXIT`,
  );
}

function fillScript(content: Write['content'], path: string): ShellScript {
  if (typeof content === 'object' && 'fact' in content)
    throw new RangeError(`${content.fact.key} was never asked`);
  const text = content instanceof Uint8Array ? textOf(content) : reveal(content);
  if (text !== undefined && !text.includes('\0')) return sh`printf %s ${text} > ${path}`;
  const base64 = Buffer.from(content instanceof Uint8Array ? content : reveal(content)).toString('base64');
  return sh`printf %s ${base64} | base64 -d > ${path}`;
}

/** The bytes as text when they are valid UTF-8, so that they survive a shell's quoting unchanged. */
function textOf(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes).toString('utf8');
  return Buffer.from(text).equals(bytes) ? text : undefined;
}

/**
 * Starts a script that outlives the connection, or joins it where it already runs, and waits for its end. Its output is
 * kept in files until it has been handed over; a fractional `sleep` is an extension, so whole seconds are the fallback.
 */
function jobScript(job: string, script: ShellScript): ShellScript {
  const folder = `${jobsFolder}/${job}`;
  return sh`umask 077
if [ ! -d ${folder} ]; then
  mkdir -p ${folder} && printf '%s\n' ${script.text} > ${folder}/script || exit 1
  setsid sh -c ${`cd / && sh ${folder}/script > ${folder}/stdout 2> ${folder}/stderr < /dev/null; echo $? > ${folder}/code.part; mv ${folder}/code.part ${folder}/code`} > /dev/null 2>&1 < /dev/null &
  echo $! > ${folder}/pid
fi
while [ ! -f ${folder}/code ]; do
  if [ -s ${folder}/pid ] && ! kill -0 "$(cat ${folder}/pid)" 2>/dev/null && [ ! -f ${folder}/code ]; then echo 'the job was killed' >&2; rm -rf ${folder}; exit 137; fi
  sleep 0.1 2>/dev/null || sleep 1
done
cat ${folder}/stdout; cat ${folder}/stderr >&2
code=$(cat ${folder}/code); rm -rf ${folder}; exit "$code"`;
}
