import { Secret } from '../core/secret.ts';
import { accessTo as accessToFleet, type ConnectionDefaults } from '../engine/access.ts';
import type { OpenConnection } from '../engine/sessions.ts';
import type { ConnectionSettings } from '../ssh/target.ts';
import type { Invocation } from './command.ts';
import type { OpenedFleet } from './open-fleet.ts';
import { askSecret, canAsk } from './prompt.ts';

const hostKeyModes = { strict: 'yes', 'accept-new': 'accept-new', off: 'no' } as const;

/**
 * How hosts are reached, with what the command line adds to the inventory: a host's own variables outrank it, as in Ansible.
 * Asks for passwords where it was told to.
 * @param remoteUsers the `remote_user` of a playbook by host, which outranks `-u`
 */
export async function accessTo(
  opened: OpenedFleet,
  { settings, console }: Invocation,
  remoteUsers: ReadonlyMap<string, string> = new Map(),
): Promise<OpenConnection> {
  const password = settings.askPass ? await console.secretOnce('Password to log in with') : undefined;
  const becomePassword = settings.askBecomePass
    ? await console.secretOnce(
        password === undefined ? 'Password to become root with' : 'Password to become root with [the same]',
      )
    : undefined;
  const become = becomePassword?.reveal() === '' ? password : becomePassword;
  const defaults: ConnectionDefaults = {
    ...(settings.user === undefined ? {} : { ansible_user: settings.user }),
    ...(settings.privateKey === undefined ? {} : { ansible_ssh_private_key_file: settings.privateKey }),
    ...(password === undefined ? {} : { ansible_password: password }),
    ...(become === undefined ? {} : { ansible_become_password: become }),
  };
  const overrides: Partial<ConnectionSettings> = {
    ...(settings.hostKeyChecking === undefined
      ? {}
      : { ansible_ssh_host_key_checking: hostKeyModes[settings.hostKeyChecking] }),
  };
  return accessToFleet(opened.fleet, {
    overrides,
    defaults: (host) => {
      const user = remoteUsers.get(host);
      return user === undefined ? defaults : { ...defaults, ansible_user: user };
    },
    announce: (notice) => {
      // That it was tried again matters to who looks for it; that it failed in the end is an error.
      if (notice.code !== 'CONNECT_RETRIED' || settings.verbose) console.warn(notice);
    },
    ...(settings.timeoutMs === undefined ? {} : { connectTimeoutMs: settings.timeoutMs }),
    ...(canAsk()
      ? { askSecret: (question: string) => console.aside(async () => new Secret(await askSecret(question))) }
      : {}),
  });
}
