import { raw } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { binaryPath } from '../k3s/paths.ts';
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
