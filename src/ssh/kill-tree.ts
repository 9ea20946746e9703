import { type ShellScript, sh } from '../core/shell.ts';

/**
 * A script that ends a process and everything it started: all are stopped first, so that nothing is forked between looking and
 * killing; the process itself dies at once (a shell must not go on to its next script), its descendants get TERM and, after
 * `graceTicks` tenths of a second, KILL. Needs /proc and no ps. What has gone to another parent (a daemon) is left alone.
 */
export function killTreeScript(pid: number, graceTicks = 20): ShellScript {
  return sh`
root=${pid}; grace=${graceTicks}; me=$$
kill -STOP "$root" 2>/dev/null || exit 0
tree=" $root "; order=
while :; do
  found=
  for stat in /proc/[0-9]*/stat; do
    IFS= read -r line <"$stat" || continue
    pid=\${line%% *}
    rest=\${line##*) }
    rest=\${rest#* }; parent=\${rest%% *}
    [ "$pid" = "$me" ] && continue
    case $tree in *" $pid "*) continue ;; esac
    case $tree in *" $parent "*) kill -STOP "$pid" 2>/dev/null; tree="$tree$pid "; order="$order $pid"; found=1 ;; esac
  done 2>/dev/null
  [ -n "$found" ] || break
done
kill -KILL "$root" 2>/dev/null
[ -n "$order" ] || exit 0
kill -TERM $order 2>/dev/null
kill -CONT $order 2>/dev/null
alive() {
  for pid in $order; do
    IFS= read -r line <"/proc/$pid/stat" || continue
    case \${line##*) } in Z*) ;; *) return 0 ;; esac
  done 2>/dev/null
  return 1
}
ticks=0
while alive && [ "$ticks" -lt "$grace" ]; do sleep 0.1 2>/dev/null || sleep 1; ticks=$((ticks + 1)); done
kill -KILL $order 2>/dev/null
exit 0`;
}
