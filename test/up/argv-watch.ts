/** Every command line that a machine runs while it is watched: what anybody who is logged in there could read in /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as after } from 'node:timers/promises';
import type { FakeNode } from '../fleet/nodes.ts';
import { type Lab, on } from './lab.ts';

const folder = '/run/argv-watch';

/**
 * Prints each command line once. Perl is in every Debian. The kernel tells the newest process id, so that a turn costs next to nothing and
 * processes that live for a millisecond are seen too; those that are young are looked at again, for they become something else by exec.
 */
const perl = String.raw`
use strict; $| = 1;
my ($stop) = @ARGV; my %seen; my %young; my $turn = 0;
sub newest { open(my $in, '<', '/proc/loadavg') or die; return (split ' ', <$in>)[4]; }
sub look { my ($pid) = @_;
  open(my $in, '<', "/proc/$pid/cmdline") or return 0;
  local $/; my $line = <$in>; return 1 unless defined $line && length $line;
  $line =~ tr/\0\n/ \x01/;
  print "$line\n" unless $seen{$line}++;
  return 1; }
my $last = newest();
until (-e $stop) {
  my $now = newest(); $turn++;
  $young{$_} = $turn for ($last + 1 .. $now); $last = $now;
  for my $pid (keys %young) { delete $young{$pid} if !look($pid) || $turn - $young{$pid} > 100; }
  if ($turn % 100 == 1) { opendir(my $proc, '/proc') or die; look($_) for grep { /^\d+$/ } readdir $proc; }
  select undef, undef, undef, 0.0002;
}`;

/** What ran on a node from `start` to `stop`. */
export class ArgvWatch {
  readonly #lab: Lab;
  readonly #node: FakeNode;

  private constructor(lab: Lab, node: FakeNode) {
    this.#lab = lab;
    this.#node = node;
  }

  static async start(lab: Lab, node: FakeNode): Promise<ArgvWatch> {
    await on(
      lab,
      node,
      `mkdir -m 700 ${folder} && cat > ${folder}/watch.pl <<'END_OF_PERL'
${perl}
END_OF_PERL
setsid nice -n -15 perl ${folder}/watch.pl ${folder}/stop > ${folder}/seen 2>&1 < /dev/null &
echo $! > ${folder}/pid
until [ -s ${folder}/seen ]; do :; done`,
    );
    return new ArgvWatch(lab, node);
  }

  /** Short-lived processes of a known name: how many of them it sees tells how closely it looks. */
  async control(count: number): Promise<void> {
    await on(this.#lab, this.#node, `for n in $(seq ${count}); do /bin/true "seen-by-the-watch-$n"; done`);
  }

  /** @throws where it has not watched until now: what it did not see says nothing then */
  async stop(): Promise<readonly string[]> {
    const seen = await on(
      this.#lab,
      this.#node,
      `kill -0 "$(cat ${folder}/pid)" && touch ${folder}/stop && cat ${folder}/seen`,
    );
    await on(this.#lab, this.#node, `rm -rf ${folder}`);
    return seen.split('\n');
  }
}

/** The command lines of a process of this machine and of all that it starts, until it ends. */
export async function argvBelow(pid: number): Promise<readonly string[]> {
  const seen = new Set<string>();
  const own = await readFile(`/proc/${pid}/cmdline`, 'utf8');
  for (let isThere = true; isThere; await after(2)) {
    isThere = false;
    for (const each of [pid, ...childrenOf(pid)]) {
      const line = readQuietly(`/proc/${each}/cmdline`).replaceAll('\0', ' ');
      isThere ||= each === pid && line !== '';
      if (line !== '') seen.add(line);
    }
  }
  return [own.replaceAll('\0', ' '), ...seen];
}

function childrenOf(pid: number): number[] {
  const tasks = readdirQuietly(`/proc/${pid}/task`);
  const children = tasks.flatMap((task) => readQuietly(`/proc/${pid}/task/${task}/children`).split(' '));
  const ids = children.filter((each) => each !== '').map(Number);
  return [...ids, ...ids.flatMap(childrenOf)];
}

/** A process may end between being found and being read. */
function readQuietly(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function readdirQuietly(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
