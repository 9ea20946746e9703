import { Secret } from '../core/secret.ts';
import { raw, sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { execStartArgs, splitWords } from '../k3s/command-line.ts';
import { parseEnvFile } from '../k3s/env-file.ts';
import { type Role, uninstallPath, unitName } from '../k3s/paths.ts';

/** What the install script leaves on a node, as it stands there now, whoever wrote it. */
export interface Installation {
  readonly manager: 'systemd' | 'openrc' | 'none';
  /** Where the environment file belongs, for the manager that is there. */
  readonly envPath: string;
  /** Arguments behind the binary in the unit or init script; `undefined` when there is none. */
  readonly args: readonly string[] | undefined;
  /** Variables in the environment file; `undefined` when there is no such file. */
  readonly env: ReadonlyMap<string, Secret> | undefined;
  /** Four octal digits. */
  readonly envMode: string | undefined;
  /** Whether the uninstall script is there. */
  readonly uninstaller: boolean;
  /** Whether the other role's unit is there: an agent that shall become a server, or the other way round. */
  readonly otherRole: boolean;
}

const mark = '--- fleet: next file ---';

/** Unit, environment file and scripts of k3s in one role. */
export function installation(role: Role, systemdFolder: string): Fact<Installation> {
  const unit = unitName(role);
  const other = unitName(role === 'server' ? 'agent' : 'server');
  return {
    key: `k3s:installation:${role}`,
    sh: sh`if [ -d /run/systemd/system ]; then manager=systemd unit=${`${systemdFolder}/${unit}.service`} env=${`${systemdFolder}/${unit}.service.env`} other=${`${systemdFolder}/${other}.service`}
elif command -v rc-service > /dev/null 2>&1; then manager=openrc unit=${`/etc/init.d/${unit}`} env=${`/etc/rancher/k3s/${unit}.env`} other=${`/etc/init.d/${other}`}
else manager=none unit=/nonexistent env=/nonexistent other=/nonexistent; fi
echo "$manager"; echo "$env"
if [ -e ${uninstallPath(role)} ]; then echo yes; else echo no; fi
if [ -e "$other" ]; then echo yes; else echo no; fi
if [ -e "$env" ]; then stat -c %a "$env"; else echo none; fi
echo ${raw(`'${mark}'`)}
[ ! -e "$unit" ] || { echo present; cat "$unit"; }
echo; echo ${raw(`'${mark}'`)}
[ ! -e "$env" ] || cat "$env"`,
    parse: ({ stdout }) => {
      const [head = '', unitText = '', envText = ''] = stdout.split(`${mark}\n`);
      const [manager, envPath = '', uninstaller, otherRole, envMode] = head.split('\n');
      if (manager !== 'systemd' && manager !== 'openrc' && manager !== 'none') {
        throw new Error(`unknown init system ${JSON.stringify(manager)}`);
      }
      const text = unitText.startsWith('present\n') ? unitText.slice('present\n'.length) : undefined;
      return {
        manager,
        envPath,
        args:
          text === undefined
            ? undefined
            : ((manager === 'openrc' ? openRcArgs(text) : execStartArgs(text)) ?? []),
        env:
          envMode === 'none'
            ? undefined
            : new Map([...parseEnvFile(envText)].map(([name, value]) => [name, new Secret(value)])),
        envMode: envMode === 'none' ? undefined : envMode?.padStart(4, '0'),
        uninstaller: uninstaller === 'yes',
        otherRole: otherRole === 'yes',
      };
    },
  };
}

/** `command_args="server \n '--flannel-backend' … >>/var/log/k3s.log 2>&1"` in the init script. */
function openRcArgs(script: string): string[] | undefined {
  const match = /^command_args="((?:[^"\\]|\\[\s\S])*)"/m.exec(script);
  const words = match?.[1] === undefined ? undefined : splitWords(match[1].replaceAll('\\"', '"'));
  const redirect = words?.findIndex((word) => word.startsWith('>>')) ?? -1;
  return redirect < 0 ? words : words?.slice(0, redirect);
}
