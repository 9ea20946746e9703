import { Type } from '@sinclair/typebox';
import { flag, hostKeyChecking, number, text } from './variable-kinds.ts';

/** The variables that say how to reach a host and to become root there, by the names that Ansible has for them. */
export const connectionVariables = {
  ansible_host: text({
    scope: 'connection',
    description: 'The name or address to connect to; the inventory name by default.',
    example: '192.168.1.10',
  }),
  ansible_port: number({
    scope: 'connection',
    minimum: 1,
    maximum: 65535,
    default: 22,
    description: 'The port of sshd.',
  }),
  ansible_user: text({ scope: 'connection', description: 'Who logs in.', example: 'debian' }),
  ansible_connection: text({
    scope: 'connection',
    default: 'ssh',
    description:
      'How to reach the host: `ssh`, `local` for this machine, `openssh` for the system’s ssh program.',
  }),
  ansible_ssh_private_key_file: text({
    scope: 'connection',
    description: 'The key to log in with.',
    example: '~/.ssh/id_ed25519',
  }),
  ansible_private_key_file: text({
    scope: 'connection',
    description: 'Another name for ansible_ssh_private_key_file.',
  }),
  ansible_password: text({
    scope: 'connection',
    secret: true,
    description: 'The password to log in with.',
  }),
  ansible_ssh_pass: text({
    scope: 'connection',
    secret: true,
    description: 'Another name for ansible_password.',
  }),
  ansible_ssh_password: text({
    scope: 'connection',
    secret: true,
    description: 'Another name for ansible_password.',
  }),
  ansible_become: flag({
    scope: 'connection',
    description: 'Whether to become another user (root) after logging in.',
  }),
  ansible_become_method: text({
    scope: 'connection',
    choices: ['sudo', 'doas', 'su', 'ansible.builtin.sudo', 'community.general.doas', 'ansible.builtin.su'],
    default: 'sudo',
    description: 'How to become another user.',
  }),
  ansible_become_user: text({ scope: 'connection', default: 'root', description: 'Whom to become.' }),
  ansible_become_password: text({
    scope: 'connection',
    secret: true,
    description: 'The password for becoming.',
  }),
  ansible_become_pass: text({
    scope: 'connection',
    secret: true,
    description: 'Another name for ansible_become_password.',
  }),
  ansible_ssh_args: text({
    scope: 'connection',
    description: 'Options of ssh, instead of the usual ones.',
  }),
  ansible_ssh_common_args: text({
    scope: 'connection',
    description: 'Options of ssh: -J, -o ProxyCommand, -i, -p and others.',
    example: '-J jump.example.org',
  }),
  ansible_ssh_extra_args: text({ scope: 'connection', description: 'More options of ssh.' }),
  ansible_ssh_host_key_checking: Type.Union([hostKeyChecking()], {
    scope: 'connection',
    description: 'Whether the host key must be known; host_key_checking says it in more words.',
  }),
  ansible_host_key_checking: Type.Union([hostKeyChecking()], {
    scope: 'connection',
    description: 'Another name for ansible_ssh_host_key_checking.',
  }),
  host_key_checking: Type.Union([hostKeyChecking()], {
    scope: 'connection',
    default: 'yes',
    description:
      '`yes`: only known host keys; `accept-new`: unknown ones are added, changed ones refused; `no`: any.',
  }),
  ansible_ssh_timeout: number({
    scope: 'connection',
    minimum: 1,
    description: 'Seconds that connecting may take.',
  }),
  ansible_timeout: number({
    scope: 'connection',
    minimum: 1,
    description: 'Another name for ansible_ssh_timeout.',
  }),
  ssh_transport: text({
    scope: 'connection',
    choices: ['ssh2', 'openssh'],
    default: 'ssh2',
    description: 'fleet’s own ssh client, or the system’s for certificates, FIDO keys and GSSAPI.',
  }),
  fleet_ssh_transport: text({
    scope: 'connection',
    choices: ['ssh2', 'openssh'],
    description: 'Another name for ssh_transport.',
  }),
};
