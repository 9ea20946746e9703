import { posix } from 'node:path';
import { reveal } from '../core/secret.ts';
import { ask, type HostQuestion } from '../engine/fact.ts';
import type { Diff, Plan } from '../engine/step.ts';
import { contentOf, fileAt } from '../facts/file.ts';
import { identity } from '../facts/identity.ts';
import type { InUse } from '../facts/k3s-in-use.ts';
import { withNewer } from '../facts/k3s-in-use.ts';
import { withoutSecrets } from '../k3s/config-text.ts';
import { type LandingSite, landFile, type WantedFile } from './landed-file.ts';

/** The questions that landing a file needs answered. */
export function siteQuestions(path: string): {
  readonly [Name in keyof LandingSite]: HostQuestion<LandingSite[Name]>;
} {
  return {
    file: ask(fileAt(path)),
    content: ask(contentOf(path)),
    parent: ask(fileAt(posix.dirname(path))),
    me: ask(identity),
  };
}

/** What landing a config file sees: the file, and the service that reads it when it starts. */
export interface ConfigFileSeen extends LandingSite {
  readonly inUse: InUse;
}

/** Root's own, secrets inside, shown in diffs without them. The service will have to start again to read it. */
export function landConfigFile<Seen extends ConfigFileSeen>(
  seen: Seen,
  wanted: Pick<WantedFile, 'path' | 'content'>,
): Plan<Seen> {
  const landed = landFile(seen, {
    ...wanted,
    mode: '0600',
    owner: 'root',
    group: 'root',
    makeParents: true,
    confidential: true,
  });
  if (landed.verdict !== 'change') return landed;
  const content = wanted.content;
  const after =
    content instanceof Uint8Array || (typeof content === 'object' && 'upload' in content)
      ? undefined
      : reveal(content);
  const diff: Diff = {
    subject: wanted.path,
    before: seen.content.text === undefined ? undefined : withoutSecrets(seen.content.text),
    after: after === undefined ? undefined : withoutSecrets(after),
  };
  return {
    ...landed,
    diff: diff.before === diff.after ? (landed.diff ?? []) : [diff],
    after: { ...landed.after, inUse: withNewer(seen.inUse, wanted.path) } as Partial<Seen>,
  };
}
