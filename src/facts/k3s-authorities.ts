import { X509Certificate } from 'node:crypto';
import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { type AuthorityName, authorityNames, type Bundle, certificateTexts } from '../k3s/authorities.ts';

/** An authority of a server, as it stands on its disk. */
export interface ServerAuthority {
  readonly text: string;
  readonly bundle: Bundle;
  /** How many keys stand beside it: of what k3s or fleet made, the root's is the last of them. */
  readonly keys: number;
}

export interface ServerAuthorities {
  readonly openssl: boolean;
  readonly authorities: ReadonlyMap<AuthorityName, ServerAuthority>;
}

const mark = '--- fleet: authority ';

/** The public half of a cluster's authorities, and how many private keys there are, none of which is read. */
export function serverAuthorities(dataFolder: string): Fact<ServerAuthorities> {
  return {
    key: `k3s:authorities:${dataFolder}`,
    sh: sh`command -v openssl > /dev/null 2>&1 && echo openssl || echo none
for name in ${[...authorityNames]}; do
file=${`${dataFolder}/server/tls`}/$name
if [ -r "$file.crt" ]; then
echo ${mark}"$name $(grep -c 'BEGIN .*PRIVATE KEY' "$file.key" 2> /dev/null)"; cat "$file.crt"
fi
done; true`,
    parse: ({ stdout }) => {
      const [first = '', ...parts] = stdout.split(mark);
      return {
        openssl: first.trim() === 'openssl',
        authorities: new Map(
          parts.flatMap((part): [AuthorityName, ServerAuthority][] => {
            const [head = ''] = part.split('\n', 1);
            const [said, keys] = head.split(' ');
            const name = authorityNames.find((each) => each === said);
            if (name === undefined) return [];
            const text = part.slice(head.length + 1);
            const bundle = certificateTexts(text).map((each) => new X509Certificate(each));
            return [[name, { text, bundle, keys: Number(keys) }]];
          }),
        ),
      };
    },
  };
}
