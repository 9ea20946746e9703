import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type AirgapFile, airgapFolder, imagesIn, noAirgapFolder } from '../facts/airgap-folder.ts';
import { type InstalledBinary, installedBinary } from '../facts/k3s-binary.ts';
import { type ImageArchives, imageArchives } from '../facts/k3s-images.ts';
import { type FileDigests, localDigests, noDigests } from '../facts/local-digests.ts';
import { archOf } from '../k3s/version.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly installed: InstalledBinary;
  readonly folder: readonly AirgapFile[];
  readonly digests: FileDigests;
  readonly archives: ImageArchives;
}

/** k3s imports what stands in agent/images when it starts. @see https://docs.k3s.io/installation/airgap */
export const k3sImagesStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_images',
  summary:
    'The image archives of airgap_dir for the architecture of the host stand where k3s imports them from.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_images:\n'],
  look(_args, host) {
    const { airgapDir, k3sServerLocation } = k3sNode(host).settings;
    return {
      installed: ask(installedBinary),
      folder: askControl(airgapDir === undefined ? noAirgapFolder : airgapFolder(airgapDir)),
      digests: askControl(airgapDir === undefined ? noDigests : localDigests(airgapDir)),
      archives: ask(imageArchives(`${k3sServerLocation}/agent/images`)),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const { airgapDir, k3sServerLocation } = k3sNode(host).settings;
    if (airgapDir === undefined) return unchanged('airgap_dir is not set');
    const arch = archOf(seen.installed.machine);
    if (arch === undefined)
      return refuse(`k3s publishes no images for ${seen.installed.machine}`, 'Use another host.');
    const images = imagesIn(seen.folder, arch);
    const missing = images.filter(({ name }) => seen.archives.get(name)?.sha256 !== seen.digests.get(name));
    const target = `${k3sServerLocation}/agent/images`;
    const uploads = missing.map(
      ({ name, path }): Action => ({
        kind: 'upload',
        source: { from: 'file', path },
        path: `${target}/${name}`,
        mode: '0644',
        owner: 'root',
        group: 'root',
      }),
    );
    if (uploads.length === 0) return unchanged(`${images.length} image archives are in place`);
    const sent = missing.map(
      (file) =>
        [file.name, { sizeBytes: file.sizeBytes, sha256: seen.digests.get(file.name) ?? '' }] as const,
    );
    return change(
      `${missing.map(({ name }) => name).join(', ')} not there, or different`,
      [{ kind: 'run', what: `make ${target}`, script: sh`mkdir -p ${target}` }, ...uploads],
      { after: { archives: new Map([...seen.archives, ...sent]) } },
    );
  },
});
