import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type HostFacts, hostFacts } from '../facts/host.ts';
import { type SelinuxPolicy, selinuxPolicy } from '../facts/k3s-selinux-policy.ts';
import { type FreeSpaceKiB, freeSpace } from '../facts/preflight.ts';
import { archOf } from '../k3s/version.ts';
import { type AirgapSeen, airgapFaults, airgapQuestions, imagesFolderOf } from './airgap-needs.ts';
import { flag, optional } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';

const args = Type.Object(
  { allow_reboot: optional(flag('Whether a node may be rebooted for what it needs. Default false.')) },
  { additionalProperties: false },
);

interface Seen extends AirgapSeen {
  readonly freeForImages: FreeSpaceKiB;
  readonly freeForBinary: FreeSpaceKiB;
  readonly selinux: SelinuxPolicy;
  readonly facts: HostFacts;
}

/** Changes nothing: it keeps a run from beginning that could not end well. */
export const k3sAirgapStep = defineStep<typeof args, Seen>({
  name: 'k3s_airgap',
  summary:
    'airgap_dir has, whole and for the right release, everything that this node needs of it, and the node has room for it; nothing is sent before that is so.',
  readsOnly: true,
  args,
  examples: ['- k3s_airgap:\n'],
  look(_args, host) {
    return {
      ...airgapQuestions(host),
      freeForImages: ask(freeSpace(imagesFolderOf(host))),
      freeForBinary: ask(freeSpace('/usr/local/bin')),
      selinux: ask(selinuxPolicy),
      facts: ask(hostFacts),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const node = k3sNode(host);
    const { airgapDir } = node.settings;
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
      imagesFolder: imagesFolderOf(host),
      freeForImages: seen.freeForImages,
      freeForBinary: seen.freeForBinary,
      selinux: seen.selinux,
      mayReboot: args.allow_reboot === true,
      os: seen.facts.os,
      isServer: node.role === 'server',
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
