import { connect } from 'node:net';
import type { ControlFact } from '../engine/fact.ts';

/** An address on the network that this machine fetches from, or the proxy that it goes through. */
export interface SourceReached {
  readonly url: string;
  /** `10.0.0.9:3128`, where a proxy stands between. */
  readonly proxy: string | undefined;
  /** What went wrong; `undefined` where somebody answers. */
  readonly failure: string | undefined;
}

const patienceMs = 2000;

/**
 * Whether this machine gets as far as the hosts of some URLs: a connection is made and closed again, nothing is fetched.
 * Source: TCP, by HTTPS_PROXY, HTTP_PROXY and NO_PROXY as downloads go.
 */
export function sourcesReached(urls: readonly string[]): ControlFact<readonly SourceReached[]> {
  return {
    key: `control:reach ${urls.join(' ')}`,
    read: () => Promise.all(urls.map(sourceReached)),
  };
}

async function sourceReached(url: string): Promise<SourceReached> {
  const proxy = proxyFor(new URL(url), process.env);
  const { hostname, port } = endOf(proxy ?? new URL(url));
  const failure = await connectionFailure(hostname, port);
  return { url, proxy: proxy === undefined ? undefined : `${hostname}:${port}`, failure };
}

function endOf({ hostname, port, protocol }: URL): { readonly hostname: string; readonly port: number } {
  const usual = protocol === 'http:' ? 80 : 443;
  return { hostname: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? usual : Number(port) };
}

/** The proxy that an environment names for a URL. */
export function proxyFor(
  { protocol, hostname }: URL,
  environment: Readonly<Record<string, string | undefined>>,
): URL | undefined {
  const value = (name: string): string =>
    environment[name.toLowerCase()] ?? environment[name.toUpperCase()] ?? '';
  const proxy = value(`${protocol.slice(0, -1)}_proxy`);
  const isSpared = value('no_proxy')
    .split(/[\s,]+/)
    .map((word) => word.replace(/^\*?\./, ''))
    .some((word) => word === '*' || (word !== '' && (hostname === word || hostname.endsWith(`.${word}`))));
  return isSpared || !URL.canParse(proxy) ? undefined : new URL(proxy);
}

function connectionFailure(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (failure: string | undefined): void => {
      clearTimeout(patience);
      socket.destroy();
      resolve(failure);
    };
    const patience = setTimeout(() => end(`no answer within ${patienceMs / 1000} s`), patienceMs);
    socket.once('connect', () => end(undefined));
    socket.once('error', (error) => end(error.message));
  });
}
