import { lines, type ShellScript, sh } from '../core/shell.ts';
import type { Upload } from './action.ts';
import type { LocalFile } from './local-file.ts';

/** How a script that receives a file ends where it does not end well. */
export const exits = { damaged: 65, incomplete: 66, full: 67, invalid: 68 } as const;

/** What arrived of a smaller file is not worth keeping. */
const resumedFromBytes = 1024 * 1024;

/** From this size on the sum is made while the file arrives: a slow processor needs as long for it as a line for the bytes. */
const summedAlongFromBytes = 8 * 1024 * 1024;

/** So much of a file may wait in memory for the disk while it arrives; each time costs the disk a flush of its cache. */
const flushedEveryBytes = 64 * 1024 * 1024;

/** Where a file waits on a host until all of it is there; the same for the same bytes, so that a later attempt finds it. */
export function stagedBeside(path: string, sha256: string): string {
  return `${stagedPrefix(path)}${sha256.slice(0, 16)}.part`;
}

function stagedPrefix(path: string): string {
  const slash = path.lastIndexOf('/');
  return `${path.slice(0, slash + 1)}.fleet-${path.slice(slash + 1)}-`;
}

/**
 * Receives a file beside its place, checks it and renames it. `fill` puts what is missing into `$part`, which has `$have` of `$want`
 * bytes; it is not called where nothing is missing. It may read the script's stdin and write to its stdout, and its exit status is the
 * script's where it is not 0; other ends are those of `exits`. The first line is `have N`: so many bytes are there already.
 */
export function receiveScript(upload: Upload, file: LocalFile, fill: ShellScript): ShellScript {
  return lines(
    sh`fill() {
${fill}
}`,
    readyPart(upload, file),
    file.size < summedAlongFromBytes ? filledThenSummed : filledAndSummed,
    landPart(upload, file),
  );
}

/**
 * Makes `$part` ready, with what of it is there already (`$have` bytes): another file's beginnings are removed, and a
 * disk that is too full is told before anything is sent.
 */
function readyPart(upload: Upload, file: LocalFile): ShellScript {
  const folder = upload.path.slice(0, upload.path.lastIndexOf('/') + 1);
  return sh`umask 077; part=${stagedBeside(upload.path, file.sha256)}; want=${file.size}
for other in ${stagedPrefix(upload.path)}*.part; do [ "$other" = "$part" ] || rm -f -- "$other"; done
have=$(stat -c %s -- "$part" 2>/dev/null) || have=0
[ "$have" -le "$want" ] || { rm -f -- "$part"; have=0; }
free=$(df -Pk ${folder} 2>/dev/null | { read -r _; read -r _ _ _ free _; echo "$free"; })
if [ -n "$free" ] && [ "$free" -lt $(((want - have) / 1024)) ]; then
  echo "$(((want - have) / 1024)) KiB are needed, $free KiB are free"; exit ${exits.full}
fi
echo "have $have"
summed() { if command -v openssl > /dev/null 2>&1; then openssl dgst -sha256 -r; else sha256sum; fi; }`;
}

const filledThenSummed = sh`if [ "$have" -lt "$want" ]; then fill || exit $?; fi
sum=$(summed < "$part")`;

/**
 * A reader goes through the part behind the writer, as often as a line tells it to, and once more when the last line says with what status
 * the writer ended: what was the end of the file then is the end of it. It reads what the file has, not what was sent. What lies in
 * memory only goes to the disk meanwhile, so that the end waits for little of it and a database on the same disk never for all of it;
 * what is left goes while the rest is summed.
 */
const filledAndSummed = sh`: >> "$part"
beat() {
  flushed=$have
  while sleep 0.1 || sleep 1; do
    echo
    now=$(stat -c %s -- "$part")
    [ "$((now - flushed))" -lt ${flushedEveryBytes} ] || { sync -d "$part"; flushed=$now; }
  done
}
exec 3<&0 5>&1
sum=$(
  {
    over=0
    if [ "$have" -lt "$want" ]; then
      beat 2> /dev/null 3<&- 5>&- & beat=$!
      (fill) <&3 >&5 || over=$?
      kill "$beat"
    fi
    echo "$over"
    [ "$over" != 0 ] || sync -d "$part" 2> /dev/null
  } | {
    {
      while read -r over; do
        cat <&4
        [ -z "$over" ] || break
      done
      [ "$over" = 0 ] || echo "over \${over:-1}" >&6
    } 4< "$part" | summed
  } 6>&1
)
exec 3<&- 5>&-
case "$sum" in over*) sum=\${sum#over }; exit "\${sum%%[!0-9]*}" ;; esac`;

/** Checks `$part`, whose sum is `$sum`, and renames it. */
function landPart(upload: Upload, file: LocalFile): ShellScript {
  return lines(
    sh`[ "$(stat -c %s -- "$part")" = "$want" ] || { [ "$want" -ge ${resumedFromBytes} ] || rm -f -- "$part"; exit ${exits.incomplete}; }
[ "\${sum%% *}" = ${file.sha256} ] || { rm -f -- "$part"; echo "sha256 is \${sum%% *}"; exit ${exits.damaged}; }
trap 'rm -f -- "$part"' EXIT; trap 'exit 1' HUP INT PIPE TERM
set -e
chown ${`${upload.owner}:${upload.group}`} "$part"
chmod ${upload.mode} "$part"`,
    ...(upload.validate === undefined
      ? []
      : [
          sh`( ${upload.validate(stagedBeside(upload.path, file.sha256))}
) || exit ${exits.invalid}`,
        ]),
    sh`sync "$part" 2>/dev/null || sync
mv -f -- "$part" ${upload.path}
trap - EXIT`,
  );
}
