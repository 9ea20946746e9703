import { basename } from 'node:path';
import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl } from '../engine/fact.ts';
import { change, defineStep, type HostView, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type FileDigests, fileDigests } from '../facts/file-digests.ts';
import { airgapManifests, type LocalManifests, localManifests } from '../facts/local-manifests.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly local: LocalManifests;
  readonly airgap: LocalManifests;
  readonly there: FileDigests;
}

/** On every server, so that losing the first one loses no manifest. @see https://docs.k3s.io/installation/packaged-components */
export const k3sManifestsStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_manifests',
  summary:
    'The files of extra_manifests, and the manifests of airgap_dir, stand in server/manifests, where k3s applies them as they change.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_manifests:\n'],
  look(_args, host) {
    const { settings } = k3sNode(host);
    return {
      local: askControl(localManifests(settings.extraManifests, host.searchPath)),
      airgap: askControl(airgapManifests(settings.airgapDir)),
      there: ask(fileDigests(folderOf(host))),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const folder = folderOf(host);
    const wanted = [...seen.local, ...seen.airgap];
    if (k3sNode(host).role !== 'server' || wanted.length === 0)
      return unchanged('there are no extra manifests for this node');
    const names = wanted.map(({ path }) => basename(path));
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined)
      return refuse(`two of extra_manifests and airgap_dir are called ${twice}`, 'Rename one of the files.');
    const wrong = wanted.filter(({ path, sha256 }) => seen.there.get(basename(path)) !== sha256);
    if (wrong.length === 0) return unchanged(`${names.join(', ')} are in place`);
    const writes = wrong.map(
      ({ path, content }): Action => ({
        kind: 'write',
        path: `${folder}/${basename(path)}`,
        content,
        mode: '0600',
        owner: 'root',
        group: 'root',
      }),
    );
    return change(
      `${wrong.map(({ path }) => basename(path)).join(', ')} not there, or different`,
      [{ kind: 'run', what: `make ${folder}`, script: sh`umask 077; mkdir -p ${folder}` }, ...writes],
      {
        after: {
          there: new Map([
            ...seen.there,
            ...wrong.map(({ path, sha256 }) => [basename(path), sha256] as const),
          ]),
        },
      },
    );
  },
});

function folderOf(host: HostView): string {
  return `${k3sNode(host).settings.k3sServerLocation}/server/manifests`;
}
