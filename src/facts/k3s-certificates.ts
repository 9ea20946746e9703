import { X509Certificate } from 'node:crypto';
import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

export interface Expiry {
  /** The certificate's file. */
  readonly path: string;
  readonly at: Date;
}

const mark = '--- fleet: certificate ';

/** Every certificate of a node. */
export interface NodeCertificates {
  /** k3s renews these when it starts within 120 days of their end (90 in older releases); soonest end first. */
  readonly renewed: readonly Expiry[];
  /** The cluster's authorities: ten years, and never renewed by themselves; soonest end first. */
  readonly authorities: readonly Expiry[];
}

/**
 * They are public: read as they are and taken apart here, so that nodes need no openssl.
 * @see https://docs.k3s.io/cli/certificate
 */
export function nodeCertificates(dataFolder: string): Fact<NodeCertificates> {
  return {
    key: `k3s:certificates:${dataFolder}`,
    sh: sh`for file in ${dataFolder}/server/tls/*.crt ${dataFolder}/server/tls/etcd/*.crt ${dataFolder}/agent/*.crt; do
if [ -f "$file" ]; then echo ${mark}"$file"; cat "$file"; fi
done; true`,
    parse: ({ stdout }) => {
      const found = stdout
        .split(mark)
        .slice(1)
        .flatMap((part): Expiry[] => {
          const path = part.slice(0, part.indexOf('\n'));
          try {
            return [{ path, at: new Date(new X509Certificate(part.slice(path.length + 1)).validTo) }];
          } catch {
            // A key in a .crt, or a file half written: no certificate, no end.
            return [];
          }
        })
        .sort((a, b) => a.at.getTime() - b.at.getTime());
      return {
        renewed: found.filter(({ path }) => !isAuthority(path)),
        authorities: found.filter(({ path }) => isAuthority(path)),
      };
    },
  };
}

function isAuthority(path: string): boolean {
  return /(?:-ca|\/ca|-ca\.nochain)\.crt$/.test(path);
}

/** When the first of a node's certificates ends, authorities left out; `undefined` where it has none. */
export function certificateExpiry(dataFolder: string): Fact<Expiry | undefined> {
  const all = nodeCertificates(dataFolder);
  return {
    ...all,
    key: `k3s:first-certificate:${dataFolder}`,
    parse: (answer) => all.parse(answer).renewed[0],
  };
}
