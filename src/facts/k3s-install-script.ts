import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FleetError } from '../core/errors.ts';
import { fetchText } from '../engine/download.ts';
import type { ControlFact } from '../engine/fact.ts';

/** Larger than any install script has been, small enough to be sent inside a trip. */
const largestBytes = 1024 * 1024;

/** Where the official install script comes from, and the sha256 it must have where somebody knows it. */
export interface InstallScriptSource {
  /** A path on the control node, or an https address. */
  readonly from: string;
  readonly sha256?: string;
}

/**
 * The official install script, read from a file or fetched once per run, and checked: a size that makes sense, a shell
 * script, and the sha256 where one is given.
 */
export function installScript(source: InstallScriptSource): ControlFact<string> {
  return {
    key: `k3s:install-script:${source.from}`,
    read: async () => {
      const text = /^https?:/.test(source.from)
        ? await fetchText(source.from)
        : await readScript(source.from);
      return checkedInstallScript(text, source);
    },
  };
}

async function readScript(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause) => {
    throw new FleetError(
      {
        code: 'FILE_UNREADABLE',
        message: `cannot read the k3s install script ${path}`,
        where: { file: path },
        fix: 'Save https://get.k3s.io there, or set k3s_install_script to where it is.',
      },
      { cause },
    );
  });
}

/** The text, if it can be what it is said to be. @throws FleetError INSTALL_SCRIPT_WRONG */
export function checkedInstallScript(text: string, source: InstallScriptSource): string {
  const sum = createHash('sha256').update(text).digest('hex');
  const wrong =
    text.length > largestBytes
      ? `it is larger than ${largestBytes} bytes`
      : !/^#!\s*\/.*\bsh\b/.test(text) || !text.includes('INSTALL_K3S_')
        ? 'it is not the k3s install script'
        : source.sha256 !== undefined && source.sha256 !== sum
          ? `its sha256 is ${sum}, wanted is ${source.sha256}`
          : undefined;
  if (wrong === undefined) return text;
  throw new FleetError({
    code: 'INSTALL_SCRIPT_WRONG',
    message: `${source.from} cannot be used: ${wrong}`,
    fix: 'Nothing of it was run. Check k3s_install_script.',
  });
}
