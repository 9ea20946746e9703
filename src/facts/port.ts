import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** `unknown`: the host has no means to try (`nc`, bash or curl). */
export type PortState = 'open' | 'closed' | 'unknown';

const LOCAL = new Set(['127.0.0.1', 'localhost', '::1', '0.0.0.0', '::']);

/**
 * Whether a TCP port can be reached from a host. The host's own ports are read from the kernel's table, which needs no
 * tool and makes no connection. Source: /proc/net/tcp and tcp6; else nc, bash's /dev/tcp or curl.
 */
export function tcpPort(address: string, port: number, connectTimeoutS: number): Fact<PortState> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return {
    key: `port:${address}:${port}`,
    volatile: true,
    sh: LOCAL.has(address)
      ? // "   0: 0100007F:0016 00000000:0000 0A …": address:port, peer, 0A for listening
        sh`if cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ${`^ *[0-9]*: [0-9A-F]*:${hex} [0-9A-F]*:[0-9A-F]* 0A`}; then echo open; else echo closed; fi`
      : sh`h=${address} p=${port} t=${connectTimeoutS}
if command -v nc >/dev/null 2>&1 && nc -h 2>&1 | grep -q -e '-z'; then nc -z -w "$t" "$h" "$p" >/dev/null 2>&1
elif command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then timeout "$t" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$h" "$p" 2>/dev/null
elif command -v curl >/dev/null 2>&1; then curl -s --connect-timeout "$t" --max-time "$t" "telnet://$h:$p" </dev/null >/dev/null 2>&1; c=$?; [ "$c" = 0 ] || [ "$c" = 28 ] || [ "$c" = 48 ] || [ "$c" = 49 ]
else echo unknown; exit 0; fi && echo open || echo closed`,
    parse: (answer) => {
      const state = answer.stdout.trim();
      if (state === 'open' || state === 'closed' || state === 'unknown') return state;
      throw new Error(`unknown answer ${JSON.stringify(answer.stdout + answer.stderr)}`);
    },
  };
}

/** How many established TCP connections a host has on one of its ports. Source: /proc/net/tcp and tcp6. */
export function connectionsOn(port: number): Fact<number> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return {
    key: `port:connections ${port}`,
    volatile: true,
    sh: sh`cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -c ${`^ *[0-9]*: [0-9A-F]*:${hex} [0-9A-F]*:[0-9A-F]* 01`}; true`,
    parse: (answer) => Number(answer.stdout.trim() || 0),
  };
}
