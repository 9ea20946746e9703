/**
 * Distance to a host where the kernel has no `tc netem`: a TCP relay on this machine that hands on everything half a round trip later.
 * A new connection costs a round trip and a half before its first byte arrives, as its handshake would.
 */
import { connect as connectSocket, createServer, type Socket } from 'node:net';

/** A relay to one host. */
export interface Distance {
  /** Where on 127.0.0.1 it listens. */
  readonly port: number;
  readonly close: () => Promise<void>;
}

export async function distanceTo(host: string, port: number, roundTripMs: number): Promise<Distance> {
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (near) => {
    const connected = performance.now() + 1.5 * roundTripMs;
    const far = connectSocket({ host, port, noDelay: true });
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
    }
    carry(near, far, roundTripMs / 2, connected);
    carry(far, near, roundTripMs / 2, connected);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the relay has no port');
  return {
    port: address.port,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Hands everything on, in order, a time later, and nothing before the connection stands. */
function carry(from: Socket, to: Socket, delayMs: number, notBefore: number): void {
  const waiting: { readonly due: number; readonly act: () => void }[] = [];
  const handOn = (): void => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const early = next.due - performance.now();
      if (early > 0) {
        setTimeout(handOn, Math.ceil(early));
        return;
      }
      waiting.shift();
      next.act();
    }
  };
  const later = (act: () => void): void => {
    waiting.push({ due: Math.max(performance.now() + delayMs, notBefore), act });
    if (waiting.length === 1) handOn();
  };
  from.on('data', (chunk) => later(() => to.write(chunk)));
  from.on('end', () => later(() => to.end()));
  from.on('error', () => to.destroy());
}
