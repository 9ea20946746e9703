import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { configPartsFolder, type Kept, kept, keptPaths } from '../facts/k3s-kept.ts';
import { binaryPath, fleetFolder, keptFolder, type Role, unitName } from '../k3s/paths.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly service: InUse;
  readonly kept: Kept | undefined;
}

/** Kept is only what runs: a service that is up and was started with all that is on the disk. */
export const k3sKeepStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_keep',
  summary:
    'What k3s runs well with (binary, configuration, unit, environment) is kept on the node, readable by root alone, so that k3s_rollback can put it back.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_keep:\n'],
  look(_args, host) {
    const { role, settings } = k3sNode(host);
    return {
      service: ask(inUse(role, settings.systemdDir)),
      kept: ask(kept(role, settings.systemdDir)),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const { role, settings } = k3sNode(host);
    const { service } = seen;
    const unit = unitName(role);
    if (service.state !== 'active') return unchanged(`${unit} is ${service.state}`);
    if (service.newerThanStart.length > 0) return unchanged(`${unit} does not run what is on disk`);
    const readAnew = service.readAnew ?? [];
    const differs = [...new Set([...(seen.kept?.differs ?? []), ...readAnew])];
    // A file that was deleted is newer than nothing: by its start the process is the one that runs with what is kept.
    const isTheKept = service.invocation !== '' && seen.kept?.invocation === service.invocation;
    if (seen.kept !== undefined && (differs.length === 0 || (isTheKept && readAnew.length === 0)))
      return unchanged('what runs well is kept');
    return change(
      seen.kept === undefined ? 'nothing is kept yet' : `${differs.join(', ')} changed since it was kept`,
      [
        {
          kind: 'run',
          what: `keep what ${unit} runs well with in ${keptFolder}`,
          script: keepScript(role, settings.systemdDir, service.invocation),
        },
      ],
      {
        after: {
          service: { ...service, readAnew: [] },
          kept: { version: seen.kept?.version ?? '', invocation: service.invocation, differs: [] },
        },
      },
    );
  },
});

/**
 * Two slots in turn and a file that names the one that counts, changed by rename: whatever breaks this off, one whole
 * set is there. The binary is a second name of the same file where the filesystem allows that: it takes no space, and
 * goes on being the old one when another is renamed over the first name.
 */
function keepScript(role: Role, systemdFolder: string, invocation: string) {
  return sh`set -e; umask 077
kept=${keptFolder}
[ -d ${fleetFolder} ] || mkdir -p -m 0755 ${fleetFolder}
mkdir -p "$kept"; chown 0:0 "$kept"; chmod 0700 "$kept"
old=$(cat "$kept/current" 2> /dev/null || true); slot=a; [ "$old" != a ] || slot=b
to="$kept/$slot"; rm -rf "$to"; mkdir -p "$to/files"
ln ${binaryPath} "$to/k3s" 2> /dev/null || cp -p ${binaryPath} "$to/k3s"
for path in ${keptPaths(role, systemdFolder)} ${configPartsFolder}/*; do
  if [ -f "$path" ]; then mkdir -p "$to/files\${path%/*}"; cp -p "$path" "$to/files$path"; fi
done
[ ! -d ${configPartsFolder} ] || { mkdir -p "$to/files"${configPartsFolder}; touch -r ${configPartsFolder} "$to/files"${configPartsFolder}; }
"$to/k3s" --version 2> /dev/null | sed -n 's/^k3s version \\([^ ]*\\).*/\\1/p' > "$to/version"
printf '%s\n' ${invocation} > "$to/invocation"; echo ${role} > "$to/role"
sync
printf '%s\n' "$slot" > "$kept/current.new"; sync "$kept/current.new" 2> /dev/null || sync
mv -f "$kept/current.new" "$kept/current"
[ -z "$old" ] || rm -rf "\${kept:?}/$old"`;
}
