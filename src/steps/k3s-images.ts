import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { baseName } from '../facts/airgap-folder.ts';
import { type ImageArchive, rememberImages } from '../facts/k3s-images.ts';
import { archOf } from '../k3s/version.ts';
import { type AirgapSeen, airgapQuestions, carriedBy, imagesFolderOf, wantedImages } from './airgap-needs.ts';
import { k3sNode } from './k3s-node.ts';

export const k3sImagesStep = defineStep<ReturnType<typeof Type.Object>, AirgapSeen>({
  name: 'k3s_images',
  summary:
    'The image archives of airgap_dir for the release and the architecture of the host stand where k3s imports them from; those that fleet put there before and the folder has no more are gone, all others are left alone.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_images:\n'],
  look: (_args, host) => airgapQuestions(host),
  plan(seen, _args, host): Plan<AirgapSeen> {
    const node = k3sNode(host);
    if (node.settings.airgapDir === undefined) return unchanged('airgap_dir is not set');
    const arch = archOf(seen.installed.machine);
    if (arch === undefined)
      return refuse(`k3s publishes no images for ${seen.installed.machine}`, 'Use another host.');
    const images = wantedImages(seen.folder, seen.inspection, arch, seen.wanted.text);
    const names = new Set(images.map(baseName));
    const missing = images.filter((file) => seen.archives.get(baseName(file))?.sha256 !== file.sha256);
    const outdated = [...seen.archives].flatMap(([name, { ours }]) =>
      ours === true && !names.has(name) ? [name] : [],
    );
    if (missing.length === 0 && outdated.length === 0)
      return unchanged(`${images.length} image archives are in place`);
    const target = imagesFolderOf(host);
    const uploads = missing.map(
      (file): Action => ({
        kind: 'upload',
        source: { from: 'file', path: file.path, sha256: file.sha256 },
        path: `${target}/${baseName(file)}`,
        mode: '0644',
        owner: 'root',
        group: 'root',
        ...carriedBy(node, host),
      }),
    );
    const sent = missing.map((file): [string, ImageArchive] => [
      baseName(file),
      { sizeBytes: file.sizeBytes, sha256: file.sha256, ours: true },
    ]);
    const after = new Map([...seen.archives, ...sent].filter(([name]) => !outdated.includes(name)));
    const ours = [...after].flatMap(([name, { sha256, ours }]) => (ours === true ? [{ name, sha256 }] : []));
    return change(
      [
        ...(missing.length === 0 ? [] : [`${missing.map(baseName).join(', ')} not there, or different`]),
        ...(outdated.length === 0 ? [] : [`${outdated.join(', ')} no longer in airgap_dir`]),
      ].join('; '),
      [
        { kind: 'run', what: `make ${target}`, script: sh`mkdir -p ${target}` },
        ...uploads,
        ...outdated.map((name): Action => ({ kind: 'remove', path: `${target}/${name}` })),
        {
          kind: 'run',
          what: `remember which archives are fleet's`,
          script: rememberImages(target, ours),
        },
      ],
      { after: { archives: after } },
    );
  },
});
