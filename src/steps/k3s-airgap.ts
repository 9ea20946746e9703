import { Type } from '@sinclair/typebox';
import { ask, askControl } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type AirgapFile, airgapFolder, noAirgapFolder } from '../facts/airgap-folder.ts';
import { type AirgapInspection, airgapInspection, nothingInspected } from '../facts/airgap-inspection.ts';
import { type InstalledBinary, installedBinary } from '../facts/k3s-binary.ts';
import { type ImageArchives, imageArchives } from '../facts/k3s-images.ts';
import { wantedRelease } from '../facts/k3s-release.ts';
import { type SelinuxPolicy, selinuxPolicy } from '../facts/k3s-selinux-policy.ts';
import { type FreeSpaceKiB, freeSpace } from '../facts/preflight.ts';
import { archOf, type K3sVersion } from '../k3s/version.ts';
import { airgapFaults } from './airgap-needs.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly installed: InstalledBinary;
  readonly wanted: K3sVersion;
  readonly folder: readonly AirgapFile[];
  readonly inspection: AirgapInspection;
  readonly archives: ImageArchives;
  readonly freeForImages: FreeSpaceKiB;
  readonly freeForBinary: FreeSpaceKiB;
  readonly selinux: SelinuxPolicy;
}

/** Changes nothing: it keeps a run from beginning that could not end well. */
export const k3sAirgapStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_airgap',
  summary:
    'airgap_dir has, whole and for the right release, everything that this node needs of it, and the node has room for it; nothing is sent before that is so.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_airgap:\n'],
  look(_args, host) {
    const { settings } = k3sNode(host);
    const { airgapDir, k3sServerLocation } = settings;
    return {
      installed: ask(installedBinary),
      wanted: askControl(wantedRelease(settings.k3sVersion, settings.channelsUrl, airgapDir)),
      folder: askControl(airgapDir === undefined ? noAirgapFolder : airgapFolder(airgapDir)),
      inspection: askControl(airgapDir === undefined ? nothingInspected : airgapInspection(airgapDir)),
      archives: ask(imageArchives(`${k3sServerLocation}/agent/images`)),
      freeForImages: ask(freeSpace(`${k3sServerLocation}/agent/images`)),
      freeForBinary: ask(freeSpace('/usr/local/bin')),
      selinux: ask(selinuxPolicy),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const { airgapDir, k3sServerLocation } = node.settings;
    if (airgapDir === undefined) return unchanged('airgap_dir is not set');
    const arch = archOf(seen.installed.machine);
    if (arch === undefined) {
      return refuse(
        `k3s publishes nothing for ${seen.installed.machine}`,
        'Use an x86_64, aarch64 or armv7 host.',
      );
    }
    const faults = airgapFaults({
      folder: seen.folder,
      inspection: seen.inspection,
      release: seen.wanted,
      arch,
      installed: seen.installed.version,
      archives: seen.archives,
      imagesFolder: `${k3sServerLocation}/agent/images`,
      freeForImages: seen.freeForImages,
      freeForBinary: seen.freeForBinary,
      selinux: seen.selinux,
      hasOwnScript: node.settings.k3sInstallScript !== undefined,
      hasRegistry:
        node.settings.registriesConfigYaml !== undefined || 'system-default-registry' in node.config,
    });
    if (faults.length === 0) return unchanged(`airgap_dir has all that ${host.name} needs`);
    return refuse(
      `airgap_dir ${airgapDir} cannot serve ${host.name}: ${faults.join('; ')}`,
      `Make the folder on a machine with a network: fleet airgap pull --version ${seen.wanted.text} --arch ${arch} --out ${airgapDir}`,
    );
  },
});
