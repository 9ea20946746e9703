import { FleetError } from '../core/errors.ts';
import type { ChannelOpener } from './channel.ts';
import type { Become } from './connection.ts';
import { said } from './faults.ts';

/** Why one user could not become another, in the words of the setting that mends it. `text` is what the host said. */
export function becomeFault(
  opener: ChannelOpener,
  become: Become | undefined,
  how: 'refused' | 'wrong-password',
  text: string,
): FleetError {
  const { host, loginUser } = opener;
  const method = become?.method ?? 'sudo';
  const user = become?.user ?? 'root';
  const heard = maskPassword(text, become);
  if (
    how === 'wrong-password' ||
    (become?.password !== undefined &&
      /authentication failure|incorrect|authentication failed|sorry, try again/i.test(heard))
  ) {
    return new FleetError({
      code: 'BECOME_PASSWORD_WRONG',
      host,
      message: `${method} on ${host} did not take the password of ${method === 'su' ? user : loginUser}`,
      fix: `Correct ansible_become_password of ${host} (the password of ${method === 'su' ? user : loginUser}${method === 'su' ? '' : ', not of root'}).`,
    });
  }
  if (
    become?.password === undefined &&
    /password|authentication (required|failure)|interactive|conversation/i.test(heard)
  ) {
    return new FleetError({
      code: 'BECOME_PASSWORD_MISSING',
      host,
      message: `${method} on ${host} wants a password for ${loginUser} to become ${user}`,
      fix: `Set ansible_become_password of ${host} (a vault or an environment variable keeps it out of the file), or let ${loginUser} become ${user} without one.`,
    });
  }
  if (/must have a tty|must be run from a terminal|must be a tty/i.test(heard)) {
    return new FleetError({
      code: 'BECOME_FAILED',
      host,
      message: `${method} on ${host} insists on a terminal${said(heard)}`,
      fix: `Remove \`requiretty\` for ${loginUser} from the sudoers of ${host}.`,
    });
  }
  const missing = /not found|no such file/i.test(heard);
  return new FleetError({
    code: 'BECOME_FAILED',
    host,
    message: `${loginUser} could not become ${user} by ${method} on ${host}${said(heard)}`,
    fix: missing
      ? `Install ${method} on ${host}, set ansible_become_method to what it has (sudo, doas, su), or log in as ${user}.`
      : `Try \`${method === 'sudo' ? `sudo -u ${user} id` : method === 'doas' ? `doas -u ${user} id` : `su ${user} -c id`}\` as ${loginUser} on ${host}, and allow it there.`,
  });
}

/** A terminal may echo what was typed; a password must not come back in an error. */
export function maskPassword(text: string, become: Become | undefined): string {
  const password = become?.password?.reveal();
  return password === undefined || password === '' ? text : text.replaceAll(password, '[secret]');
}
