import { FleetError } from '../core/errors.ts';
import { raw } from '../core/shell.ts';
import type { Reboot } from './action.ts';
import type { Fact } from './fact.ts';
import type { HostSession } from './host-session.ts';
import { pause } from './wait.ts';

/**
 * Which boot a host is in. The kernel's boot id tells real machines apart; in a container it is the outer machine's, so
 * the start of process 1 belongs to the identity too.
 */
export const bootIdentity: Fact<string> = {
  key: 'boot:identity',
  sh: raw(
    `cat /proc/sys/kernel/random/boot_id; stat=$(cat /proc/1/stat); set -- \${stat##*) }; echo "\${20}"`,
  ),
  parse: ({ stdout }) => stdout.trim().replaceAll('\n', ' '),
  volatile: true,
};

/** The reboot itself: in the background, so that this script's end is still heard. */
const rebootScript = raw(
  `( sleep 1; systemctl reboot 2>/dev/null || /sbin/reboot || reboot ) > /dev/null 2>&1 < /dev/null &`,
);

const askEveryMs = 1_000;

/** Reboots a host and waits until it answers from another boot. @throws FleetError REBOOT_TIMED_OUT */
export async function rebootHost(session: HostSession, reboot: Reboot, signal: AbortSignal): Promise<void> {
  const before = await identity(session);
  await session.batch([{ script: rebootScript, mustSucceed: true }], { deadlineMs: 30_000 });
  const deadline = Date.now() + reboot.deadlineMs;
  for (;;) {
    await pause(askEveryMs, signal);
    const now = await identity(session).catch(() => undefined);
    if (now !== undefined && now !== before) break;
    if (now === undefined) await session.disconnect();
    if (Date.now() > deadline) {
      throw new FleetError({
        code: 'REBOOT_TIMED_OUT',
        message: `the host did not come back within ${Math.round(reboot.deadlineMs / 1000)} s of its reboot`,
        host: session.host,
        fix: 'Look at its console; when it is up, run the same command again.',
      });
    }
  }
  session.facts.forget('everything');
}

async function identity(session: HostSession): Promise<string> {
  const [answer] = await session.batch([{ script: bootIdentity.sh }], { deadlineMs: 15_000 });
  if (answer === undefined || answer.code !== 0) throw new Error('no boot identity');
  return bootIdentity.parse(answer);
}
