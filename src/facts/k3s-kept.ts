import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import {
  binaryPath,
  configFolder,
  configPath,
  keptFolder,
  type Role,
  registriesPath,
  unitName,
} from '../k3s/paths.ts';
import { assignmentsOf } from './answer-lines.ts';

/** What ran well on a node and was kept there. */
export interface Kept {
  /** As `k3s --version` said then, `v1.33.4+k3s1`; empty where it said nothing. */
  readonly version: string;
  /** The start that it ran well under: the process that still has it needs no restart to run it. */
  readonly invocation: string;
  /** Paths of which the node now has another content, none, or one that there was not. */
  readonly differs: readonly string[];
}

/** The folder of which every file is kept, whoever wrote it: k3s reads them all. */
export const configPartsFolder = `${configFolder}/config.yaml.d`;

/** The single files that decide how k3s runs, beside its binary. */
export function keptPaths(role: Role, systemdFolder: string): readonly string[] {
  const unit = unitName(role);
  return [
    configPath,
    registriesPath,
    `${systemdFolder}/${unit}.service`,
    `${systemdFolder}/${unit}.service.env`,
    `/etc/init.d/${unit}`,
    `${configFolder}/${unit}.env`,
  ];
}

/** What is kept for this role, and how the node differs from it; `undefined` where nothing is. */
export function kept(role: Role, systemdFolder: string): Fact<Kept | undefined> {
  return {
    key: `k3s:kept:${role}`,
    sh: sh`kept=${keptFolder}
first_line() { line=; [ ! -r "$1" ] || read -r line < "$1" || [ -n "$line" ]; }
first_line "$kept/current"; from="$kept/$line"
first_line "$from/role"; [ "$line" = ${role} ] || exit 0
first_line "$from/version"; printf 'Version=%s\\n' "$line"
first_line "$from/invocation"; printf 'Invocation=%s\\n' "$line"
binary=${binaryPath}
if [ ! "$binary" -ef "$from/k3s" ] && [ "$(stat -c '%s %Y' "$binary" 2> /dev/null)" != "$(stat -c '%s %Y' "$from/k3s" 2> /dev/null)" ]; then echo "Differs=$binary"; fi
set -- ${keptPaths(role, systemdFolder)}
for path in ${configPartsFolder}/*; do [ ! -f "$path" ] || set -- "$@" "$path"; done
for path in "$from/files"${configPartsFolder}/*; do
  [ ! -f "$path" ] || [ -e "\${path#"$from/files"}" ] || set -- "$@" "\${path#"$from/files"}"
done
for path; do
  if [ -e "$path" ] && [ -e "$from/files$path" ]; then cmp -s "$path" "$from/files$path" || echo "Differs=$path"
  elif [ -e "$path" ] || [ -e "$from/files$path" ]; then echo "Differs=$path"; fi
done
true`,
    parse: ({ stdout }) => {
      const pairs = assignmentsOf(stdout);
      if (pairs.length === 0) return undefined;
      const textOf = (wanted: string): string => pairs.find(([name]) => name === wanted)?.[1] ?? '';
      return {
        version: textOf('Version'),
        invocation: textOf('Invocation'),
        differs: pairs.flatMap(([name, path]) => (name === 'Differs' ? [path] : [])),
      };
    },
    // Whatever changes the node changes how it differs from this.
    volatile: true,
  };
}
