import { X509Certificate } from 'node:crypto';
import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

export interface Expiry {
  /** The certificate's file. */
  readonly path: string;
  readonly at: Date;
}

const mark = '--- fleet: certificate ';

/**
 * When the first of a node's certificates ends; `undefined` where it has none. k3s renews them when it starts within
 * 120 days of their end (90 in older releases); its CA, which lasts ten years, is not counted. They are public: read
 * as they are and taken apart here, so that nodes need no openssl.
 */
export function certificateExpiry(dataFolder: string): Fact<Expiry | undefined> {
  return {
    key: 'k3s:certificates',
    sh: sh`for file in ${dataFolder}/server/tls/*.crt ${dataFolder}/server/tls/etcd/*.crt ${dataFolder}/agent/*.crt; do
case $file in *-ca.crt|*/ca.crt|*-ca.nochain.crt) continue ;; esac
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
        });
      return found.sort((a, b) => a.at.getTime() - b.at.getTime())[0];
    },
  };
}
