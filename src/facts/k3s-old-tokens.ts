import { Secret } from '../core/secret.ts';
import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** A token that the cluster had before it was rotated: snapshots from before that moment open only with it. */
export interface OldToken {
  /** When it was replaced, by the server's clock. */
  readonly until: Date;
  readonly token: Secret;
}

/** Root's alone. One file per rotation, named by the second in which the token was replaced. */
export function oldTokensFolder(dataFolder: string): string {
  return `${dataFolder}/server/fleet-old-tokens`;
}

/** Oldest first. */
export function oldTokens(dataFolder: string): Fact<readonly OldToken[]> {
  return {
    key: `k3s:old-tokens:${dataFolder}`,
    sh: sh`for file in ${oldTokensFolder(dataFolder)}/*; do
  if [ -f "$file" ]; then echo "\${file##*/} $(cat "$file")"; fi
done; true`,
    parse: ({ stdout }) =>
      stdout
        .split('\n')
        .flatMap((line): OldToken[] => {
          const match = /^(\d+) (\S+)$/.exec(line);
          return match?.[2] === undefined
            ? []
            : [{ until: new Date(Number(match[1]) * 1000), token: new Secret(match[2]) }];
        })
        .sort((a, b) => a.until.getTime() - b.until.getTime()),
  };
}

/** The token that opened the cluster at a moment; `undefined` where that is the one it still has. */
export function tokenAt(tokens: readonly OldToken[], moment: Date): Secret | undefined {
  return tokens.find(({ until }) => until.getTime() >= moment.getTime())?.token;
}
