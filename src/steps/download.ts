import { posix } from 'node:path';
import { lines, type ShellScript, sh } from '../core/shell.ts';
import type { ChecksumAlgorithm } from '../facts/file.ts';

/** A file that a host fetches itself. */
export interface Download {
  readonly url: string;
  readonly target: string;
  readonly mode: string;
  readonly owner: string;
  readonly group: string;
  readonly sum?: { readonly algorithm: string; readonly hex: string };
  readonly headers: readonly string[];
  /** `user:password`. */
  readonly user?: string;
  readonly connectTimeoutS: number;
  readonly insecure: boolean;
  readonly backup: boolean;
}

/**
 * Fetches with curl or wget to a file beside the target, checks its sum, gives it owner and mode, and renames it. Headers and
 * passwords go to curl over its stdin; wget could only take them on its command line, so there they are refused.
 */
export function downloadScript(download: Download): ShellScript {
  const { target, sum } = download;
  const temporary = posix.join(posix.dirname(target), `.${posix.basename(target)}.fleet-download`);
  const config = [
    ...download.headers.map((header) => `header = ${curlWord(header)}`),
    ...(download.user === undefined ? [] : [`user = ${curlWord(download.user)}`]),
  ].join('\n');
  const hasSecrets = config !== '';
  return lines(
    sh`set -e`,
    sh`t=${temporary} u=${download.url}`,
    sh`trap 'rm -f -- "$t"' EXIT`,
    sh`umask 077`,
    sh`if command -v curl >/dev/null 2>&1; then`,
    sh`  printf '%s\\n' ${config} | curl -fsSL --retry 2 --connect-timeout ${download.connectTimeoutS} ${download.insecure ? ['-k'] : []} -K - -o "$t" -- "$u"`,
    sh`elif command -v wget >/dev/null 2>&1; then`,
    hasSecrets
      ? sh`  echo 'headers and passwords need curl on the host: wget would show them to every user' >&2; exit 1`
      : sh`  wget -q -T ${Math.max(30, download.connectTimeoutS)} ${download.insecure ? ['--no-check-certificate'] : []} -O "$t" -- "$u"`,
    sh`else echo 'the host has neither curl nor wget' >&2; exit 127; fi`,
    ...(sum === undefined
      ? []
      : [
          sh`h=$(${`${sum.algorithm}sum`} <"$t"); h=$(printf %s "$h" | cut -d ' ' -f 1)`,
          sh`if [ "$h" != ${sum.hex} ]; then echo "the download has the ${sum.algorithm} sum $h" instead of ${sum.hex} >&2; exit 1; fi`,
        ]),
    sh`chown ${`${download.owner}:${download.group}`} "$t"`,
    sh`chmod ${download.mode} "$t"`,
    sh`sync "$t" 2>/dev/null || sync`,
    ...(download.backup ? [sh`cp -p -- ${target} ${target}."$(date +%Y%m%d-%H%M%S)~"`] : []),
    sh`mv -f -- "$t" ${target}`,
  );
}

/** A value in curl's configuration syntax. */
export function curlWord(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')}"`;
}

/** What a download must have: a sum, or the address of a list of sums. */
interface Sum {
  readonly algorithm: ChecksumAlgorithm;
  readonly hex?: string;
  readonly url?: string;
}

/** Reads `ALGORITHM:HEX` or `ALGORITHM:URL`; what is wrong with it as a text. */
export function checksumArgument(written: string | undefined): Sum | string | undefined {
  if (written === undefined || written === '') return undefined;
  const match = /^(md5|sha1|sha224|sha256|sha384|sha512):(.+)$/.exec(written.trim());
  if (match?.[1] === undefined || match[2] === undefined)
    return `checksum ${written} has no algorithm before it`;
  const algorithm = match[1] as ChecksumAlgorithm;
  if (/^(https?|ftp):/.test(match[2])) return { algorithm, url: match[2] };
  return /^[0-9a-fA-F]+$/.test(match[2])
    ? { algorithm, hex: match[2].toLowerCase() }
    : `checksum ${written} is no hexadecimal number`;
}
