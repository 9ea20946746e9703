import { FleetError } from '../core/errors.ts';
import { quote } from '../core/shell.ts';
import { said } from './faults.ts';
import { fingerprint, type HostKeyVerdict, keyTypeOf, knownName } from './known-hosts.ts';
import { formatAddress, type Target } from './target.ts';

/** The command that does the same by hand: what works there and not here is fleet's fault, and the rest is not. */
export function sshCommand(target: Target): string {
  const words = ['ssh', ...target.sshArgs];
  if (
    target.jumps.length > 0 &&
    !target.sshArgs.some((arg) => arg.startsWith('-J') || /proxyjump/i.test(arg))
  ) {
    words.push('-J', target.jumps.map((jump) => `${jump.user}@${formatAddress(jump)}`).join(','));
  }
  if (target.identitiesNamed) for (const file of target.identityFiles) words.push('-i', file);
  if (target.port !== 22) words.push('-p', String(target.port));
  words.push(`${target.user}@${target.alias}`);
  return words.map(quote).join(' ');
}

/** A socket or DNS failure before anything was said over SSH. */
export function socketFault(target: Target, error: NodeJS.ErrnoException): FleetError {
  const address = formatAddress(target);
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NONAME':
    case 'ENODATA':
      return new FleetError(
        {
          code: 'HOST_NAME_UNRESOLVED',
          host: target.name,
          message: `the name ${JSON.stringify(target.hostName)} of ${target.name} does not resolve${error.code === 'EAI_AGAIN' ? ' (the name server does not answer)' : ''}`,
          fix: `Set ansible_host of ${target.name} to its address, or correct the name.`,
        },
        { cause: error },
      );
    case 'ETIMEDOUT':
      return connectTimedOut(target, 'the network did not answer');
    case 'ECONNRESET':
    case 'EPIPE':
      return dropped(target, error);
    default:
      return new FleetError(
        {
          code: 'HOST_UNREACHABLE',
          host: target.name,
          message: `${target.name} cannot be reached at ${address}: ${reasonOf(error)}`,
          fix:
            error.code === 'ECONNREFUSED'
              ? `Start sshd on the host, or correct ansible_port of ${target.name} (now ${target.port}).`
              : `See whether it is up and on the network; \`${sshCommand(target)}\` tries the same.`,
        },
        { cause: error },
      );
  }
}

function reasonOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'nothing listens on that port';
    case 'EHOSTUNREACH':
      return 'no route to the host';
    case 'ENETUNREACH':
      return 'no route to its network';
    default:
      return error.message === '' ? (error.code ?? 'unknown') : error.message;
  }
}

export function connectTimedOut(target: Target, where: string): FleetError {
  return new FleetError({
    code: 'CONNECT_TIMED_OUT',
    host: target.name,
    message: `no login on ${target.name} (${formatAddress(target)}) within ${target.connectTimeoutMs / 1000} s: ${where}`,
    fix: `See whether a firewall drops the packets (\`${sshCommand(target)}\` tries the same), or set ansible_ssh_timeout (seconds).`,
  });
}

/** The connection ended before the server had let us in or turned us away: worth another try. */
export function dropped(target: Target, error: Error): FleetError {
  return new FleetError(
    {
      code: 'CONNECT_DROPPED',
      host: target.name,
      message: `${target.name} (${formatAddress(target)}) closed the connection before login: ${error.message}`,
      fix: `sshd may be overloaded (MaxStartups) or refuse this address: see \`journalctl -u ssh\` on the host; \`${sshCommand(target)}\` tries the same.`,
    },
    { cause: error },
  );
}

export function proxyCommandFault(target: Target, complaint: string): FleetError {
  return new FleetError({
    code: 'PROXY_COMMAND_FAILED',
    host: target.name,
    message: `the ProxyCommand to ${target.name} ended before login${said(complaint)}`,
    fix: `Try it by hand: \`${target.proxyCommand ?? ''}\`.`,
  });
}

export function jumpRefused(
  target: Target,
  jump: Target,
  error: Error & { readonly reason?: unknown },
): FleetError {
  // SSH_OPEN_ADMINISTRATIVELY_PROHIBITED (RFC 4254, 5.1); sshd's own words are only "open failed".
  const prohibited = error.reason === 1 || /prohibited/i.test(`${error.message} ${error.reason}`);
  return new FleetError(
    {
      code: prohibited ? 'JUMP_REFUSED' : 'HOST_UNREACHABLE',
      host: target.name,
      message: `the jump host ${jump.alias} did not connect to ${formatAddress(target)}: ${error.message}`,
      fix: prohibited
        ? `Allow forwarding on ${jump.alias} (AllowTcpForwarding, PermitOpen in its sshd_config).`
        : `See from ${jump.alias} whether ${target.name} is up and sshd listens on port ${target.port}.`,
    },
    { cause: error },
  );
}

export function authFailed(
  target: Target,
  tried: readonly string[],
  hints: readonly string[],
  cause: Error,
): FleetError {
  const tooMany = /too many authentication failures/i.test(cause.message);
  return new FleetError(
    {
      code: 'AUTH_FAILED',
      host: target.name,
      message: `${target.name} did not let ${target.user} in; tried ${tried.length === 0 ? 'nothing, for there was no key, no agent and no password' : tried.join(', ')}${tooMany ? ' (the server stopped after too many)' : ''}`,
      fix: [
        `Try \`${sshCommand(target)}\`.`,
        tooMany ? 'Name the right key (ansible_ssh_private_key_file) and set IdentitiesOnly=yes.' : '',
        ...hints,
        'Certificates and FIDO keys need fleet_ssh_transport: openssh.',
      ]
        .filter((part) => part !== '')
        .join(' '),
    },
    { cause },
  );
}

export function algorithmsUnsupported(target: Target, error: Error): FleetError {
  return new FleetError(
    {
      code: 'ALGORITHMS_UNSUPPORTED',
      host: target.name,
      message: `${target.name} and fleet's own SSH have no algorithm in common (${error.message.replace(/^Handshake failed: /, '')})`,
      fix: `Set fleet_ssh_transport: openssh for ${target.name}: the system's ssh knows post-quantum and other algorithms.`,
    },
    { cause: error },
  );
}

/** Why a host key is refused, with the line at fault and the command that mends it. `key` is base64. */
export function hostKeyFault(
  target: Target,
  verdict: Exclude<HostKeyVerdict, { kind: 'known' }>,
  key: string,
): FleetError {
  const name = knownName(
    target.hostKeyAlias ?? target.hostName,
    target.hostKeyAlias === undefined ? target.port : 22,
  );
  const shown = `${keyTypeOf(key)} ${fingerprint(key)}`;
  const context = { host: target.name } as const;
  switch (verdict.kind) {
    case 'unknown':
      return new FleetError({
        ...context,
        code: 'HOST_KEY_UNKNOWN',
        message: `the host key of ${target.name} (${name}, ${shown}) is not in known_hosts`,
        fix: `Compare the fingerprint and log in once with \`${sshCommand(target)}\`, or run with --host-key-checking accept-new.`,
      });
    case 'changed':
      return new FleetError({
        ...context,
        code: 'HOST_KEY_CHANGED',
        where: { file: verdict.entry.file, line: verdict.entry.line },
        message: `the host key of ${target.name} (${name}) is now ${shown}, not the ${verdict.entry.keyType} key at ${verdict.entry.file}:${verdict.entry.line}; somebody may be in between`,
        fix: `When the host was rebuilt: \`ssh-keygen -R ${quote(name)} -f ${quote(verdict.entry.file)}\`, then run again with --host-key-checking accept-new.`,
      });
    case 'revoked':
      return new FleetError({
        ...context,
        code: 'HOST_KEY_REVOKED',
        where: { file: verdict.entry.file, line: verdict.entry.line },
        message: `the host key of ${target.name} (${name}, ${shown}) is marked @revoked at ${verdict.entry.file}:${verdict.entry.line}`,
        fix: 'Give the host a new key (`ssh-keygen -A` after removing the old one); a revoked one must not be trusted again.',
      });
    case 'authority-only':
      return new FleetError({
        ...context,
        code: 'HOST_KEY_UNKNOWN',
        where: { file: verdict.entry.file, line: verdict.entry.line },
        message: `${target.name} (${name}) is known by a certificate authority only (${verdict.entry.file}:${verdict.entry.line}), and fleet's own SSH knows no certificates`,
        fix: `Set fleet_ssh_transport: openssh for ${target.name}, or add its plain key (${shown}) to known_hosts.`,
      });
  }
}
