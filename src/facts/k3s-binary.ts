import { raw } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { binaryPath, stagedFolder } from '../k3s/paths.ts';
import { type K3sVersion, versionIn } from '../k3s/version.ts';

export interface InstalledBinary {
  /** As `uname -m` says, `x86_64`. */
  readonly machine: string;
  /** `undefined` when there is no binary, or one that does not run. */
  readonly version: K3sVersion | undefined;
  /** Why a binary that is there told no version. */
  readonly broken?: string;
}

/** The machine's architecture and the version of the k3s binary on its disk, which may be newer than the one that runs. */
export const installedBinary: Fact<InstalledBinary> = {
  key: 'k3s:binary',
  sh: raw(
    `uname -m; if [ -e ${binaryPath} ]; then ${binaryPath} --version 2>&1 || echo "exit status $?"; fi`,
  ),
  parse: ({ stdout }) => {
    const [machine = '', ...rest] = stdout.trimEnd().split('\n');
    const said = rest.join('\n');
    const version = versionIn(said);
    return {
      machine,
      version,
      ...(said !== '' && version === undefined ? { broken: said.slice(0, 200) } : {}),
    };
  },
};

/** Binaries that wait for their turn (`k3s_stage`), by name; `undefined` for one that does not run. */
export type StagedBinaries = ReadonlyMap<string, K3sVersion | undefined>;

export const stagedBinaries: Fact<StagedBinaries> = {
  key: 'k3s:staged-binaries',
  sh: raw(
    `for file in ${stagedFolder}/*; do if [ -f "$file" ]; then echo "name \${file##*/}"; "$file" --version 2>&1 | head -n 1; fi; done; true`,
  ),
  parse: ({ stdout }) =>
    new Map(
      stdout.split(/^name /m).flatMap((part) => {
        const end = part.indexOf('\n');
        return end < 0 ? [] : [[part.slice(0, end), versionIn(part.slice(end + 1))] as const];
      }),
    ),
};
