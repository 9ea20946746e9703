import { Type } from '@sinclair/typebox';
import { lines, sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { anything, optional, text } from './arguments.ts';

const args = Type.Object(
  {
    name: text('The host name.'),
    use: optional(anything('Ignored: hostnamectl where there is one, else /etc/hostname.')),
  },
  { additionalProperties: false },
);

/** Ansible's `hostname`. */
export const hostnameStep = defineStep<typeof args, { name: HostName }>({
  name: 'hostname',
  summary: 'The host has a name, now and after a reboot.',
  args,
  freeForm: 'name',
  examples: [`- hostname: name="{{ inventory_hostname }}"`],
  look: () => ({ name: ask(hostName) }),
  plan(seen, args): Plan<{ name: HostName }> {
    const wanted = args.name;
    if (!/^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/.test(wanted)) {
      return refuse(`${wanted} is no host name`, 'Use at most 64 letters, digits, dots and dashes.');
    }
    const { inUse, onDisk, hasHostnamectl } = seen.name;
    if (inUse === wanted && onDisk === wanted) return unchanged(`the name is ${wanted}`, { name: wanted });
    const script = hasHostnamectl
      ? sh`hostnamectl set-hostname ${wanted}`
      : lines(
          sh`set -e`,
          sh`printf '%s\\n' ${wanted} >/etc/hostname.fleet~`,
          sh`chmod 644 /etc/hostname.fleet~`,
          // In a container /etc/hostname is a mount of its own and cannot be replaced, only written.
          sh`mv -f /etc/hostname.fleet~ /etc/hostname 2>/dev/null || { cat /etc/hostname.fleet~ >/etc/hostname; rm -f /etc/hostname.fleet~; }`,
          sh`hostname ${wanted} 2>/dev/null || printf %s ${wanted} >/proc/sys/kernel/hostname`,
        );
    return change(
      inUse === wanted ? `/etc/hostname says ${onDisk || 'nothing'}` : `the name is ${inUse}`,
      [{ kind: 'run', what: `set the host name to ${wanted}`, script }],
      {
        diff: [{ subject: 'host name', before: inUse === wanted ? onDisk : inUse, after: wanted }],
        after: { name: { ...seen.name, inUse: wanted, onDisk: wanted } },
        touches: ['host:*', 'file:/etc/hostname', 'content:/etc/hostname'],
        result: () => ({
          name: wanted,
          ansible_facts: {
            ansible_hostname: wanted.split('.')[0],
            ansible_nodename: wanted,
            ansible_fqdn: wanted,
          },
        }),
      },
    );
  },
});
