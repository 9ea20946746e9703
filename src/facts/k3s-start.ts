import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { type Role, unitName } from '../k3s/paths.ts';

/** A start in progress: the state and the last thing that this start of k3s logged. */
export interface StartState {
  readonly state: string;
  readonly invocation: string;
  readonly restarts: number;
  readonly lastLog: string;
}

/** Asked again and again while k3s starts. */
export function startState(role: Role): Fact<StartState> {
  const unit = unitName(role);
  return {
    key: `k3s:start:${role}`,
    sh: sh`unit=${unit}
if [ -d /run/systemd/system ]; then
  shown=$(systemctl show --no-pager -p ActiveState,InvocationID,NRestarts "$unit.service")
  id=$(printf '%s\n' "$shown" | sed -n 's/^InvocationID=//p')
  printf '%s\n' "$shown"
  # What systemd says of a k3s that ended would stand behind why it ended; what the start before this one said is no news of this one.
  line=$(journalctl "_SYSTEMD_INVOCATION_ID=$id" -n 1 -o cat --no-pager 2> /dev/null)
  [ -n "$line" ] || line=$(journalctl "INVOCATION_ID=$id" -n 1 -o cat --no-pager 2> /dev/null)
  printf 'Log=%s\n' "$line"
else
  if rc-service "$unit" status > /dev/null 2>&1; then echo ActiveState=active; else echo ActiveState=inactive; fi
  for pid in "/run/$unit.pid" "/run/supervise-$unit.pid"; do [ ! -e "$pid" ] || echo "InvocationID=$(cat "$pid")"; done
  printf 'Log='; tail -n 1 "/var/log/$unit.log" 2> /dev/null
fi
true`,
    parse: ({ stdout }) => {
      const values = new Map(
        stdout.split('\n').flatMap((line) => {
          const match = /^(\w+)=(.*)$/.exec(line);
          return match?.[1] === undefined ? [] : [[match[1], match[2] ?? '']];
        }),
      );
      return {
        state: values.get('ActiveState') ?? 'inactive',
        invocation: values.get('InvocationID') ?? '',
        restarts: Number(values.get('NRestarts') ?? 0),
        lastLog: messageOf(values.get('Log') ?? ''),
      };
    },
    volatile: true,
  };
}

/** The last lines of the node's own log, for a start that failed. */
export function lastLogLines(role: Role): Fact<string> {
  const unit = unitName(role);
  return {
    key: `k3s:log:${role}`,
    sh: sh`if [ -d /run/systemd/system ]; then journalctl -u ${`${unit}.service`} -n 12 -o cat --no-pager; else tail -n 12 ${`/var/log/${unit}.log`}; fi 2> /dev/null; true`,
    parse: ({ stdout }) => (stdout.trim() === '' ? '' : `the last lines of its log:\n${stdout.trimEnd()}`),
    volatile: true,
  };
}

/** The text of a logrus line: `time="…" level=info msg="Waiting for …"`. */
function messageOf(line: string): string {
  const match = /msg="((?:[^"\\]|\\.)*)"/.exec(line);
  return (match?.[1] ?? line).replaceAll('\\"', '"').slice(0, 300);
}
