import type { Upload, UploadPace } from '../engine/action.ts';
import { ask, askControl, type Questions } from '../engine/fact.ts';
import type { HostView } from '../engine/step.ts';
import { isBundlesOwn } from '../facts/airgap-bundle.ts';
import {
  type AirgapFile,
  airgapFolder,
  baseName,
  binaryIn,
  chartsIn,
  hasReleaseImages,
  imagesIn,
  installScriptIn,
  manifestsIn,
  noAirgapFolder,
} from '../facts/airgap-folder.ts';
import { type AirgapInspection, airgapInspection, nothingInspected } from '../facts/airgap-inspection.ts';
import type { HostFacts } from '../facts/host.ts';
import { type InstalledBinary, installedBinary } from '../facts/k3s-binary.ts';
import { type ImageArchives, imageArchives } from '../facts/k3s-images.ts';
import { wantedRelease } from '../facts/k3s-release.ts';
import type { SelinuxPolicy } from '../facts/k3s-selinux-policy.ts';
import type { FreeSpaceKiB } from '../facts/preflight.ts';
import type { NodeSettings } from '../inventory/settings.ts';
import { binaryName, type K3sArch, type K3sVersion } from '../k3s/version.ts';
import { packagesFor, transactionalFault } from './k3s-airgap-selinux.ts';
import { addressOf, type K3sNodeView, k3sNode } from './k3s-node.ts';

/** A file of the folder with its sha256. */
export interface CarriedFile extends AirgapFile {
  readonly sha256: string;
}

/** What airgap_dir has, and what of it a node has already. */
export interface AirgapSeen {
  readonly installed: InstalledBinary;
  readonly wanted: K3sVersion;
  readonly folder: readonly AirgapFile[];
  readonly inspection: AirgapInspection;
  readonly archives: ImageArchives;
}

export function airgapQuestions(host: HostView): Questions<AirgapSeen> {
  const { airgapDir, k3sVersion, channelsUrl } = k3sNode(host).settings;
  return {
    installed: ask(installedBinary),
    wanted: askControl(wantedRelease(k3sVersion, channelsUrl, airgapDir)),
    folder: askControl(airgapDir === undefined ? noAirgapFolder : airgapFolder(airgapDir)),
    inspection: askControl(airgapDir === undefined ? nothingInspected : airgapInspection(airgapDir)),
    archives: ask(imageArchives(imagesFolderOf(host))),
  };
}

/** Where k3s imports images from when it starts. @see https://docs.k3s.io/installation/airgap */
export function imagesFolderOf(host: HostView): string {
  return `${k3sNode(host).settings.k3sServerLocation}/agent/images`;
}

/** How this machine sends large files, as the inventory says. */
export function paceOf({ uploads, uploadRate }: NodeSettings): UploadPace {
  return { atOnce: uploads, ...(uploadRate === undefined ? {} : { bytesPerSecond: uploadRate }) };
}

/** How large files of the folder reach a node: paced, and from another node where that is allowed. */
export function carriedBy(node: K3sNodeView, host: HostView): Pick<Upload, 'pace' | 'spread'> {
  const { settings, cluster } = node;
  if (settings.airgapSpread === 'off') return { pace: paceOf(settings) };
  return {
    pace: paceOf(settings),
    spread: { address: addressOf(host), peers: cluster.servers.length + cluster.agents.length },
  };
}

/** The image archives that a node shall have. */
export function wantedImages(
  folder: readonly AirgapFile[],
  inspection: AirgapInspection,
  arch: K3sArch,
  release: string,
): readonly CarriedFile[] {
  return imagesIn(folder, arch, release).map((file) => ({
    ...file,
    sha256: inspection.files.get(file.name)?.sha256 ?? '',
  }));
}

/** What is known of the folder and of one node, before anything is sent. */
export interface AirgapSituation {
  readonly folder: readonly AirgapFile[];
  readonly inspection: AirgapInspection;
  readonly release: K3sVersion;
  readonly arch: K3sArch;
  /** The release that the node has; it needs no binary when that is the wanted one. */
  readonly installed: K3sVersion | undefined;
  readonly archives: ImageArchives;
  /** Where the archives go. */
  readonly imagesFolder: string;
  readonly freeForImages: FreeSpaceKiB;
  readonly freeForBinary: FreeSpaceKiB;
  readonly selinux: SelinuxPolicy;
  /** For what comes into force with a reboot only. */
  readonly mayReboot: boolean;
  readonly os: HostFacts['os'];
  /** Charts and manifests are for servers. */
  readonly isServer: boolean;
  /** The install script is elsewhere. */
  readonly hasOwnScript: boolean;
  /** Images can come from a registry of the site. */
  readonly hasRegistry: boolean;
}

/** Everything that is wrong with the folder for this node; each names the file. Empty when all is there and whole. */
export function airgapFaults(situation: AirgapSituation): readonly string[] {
  const { folder, inspection, release, arch } = situation;
  const { bundle } = inspection;
  if (bundle !== undefined && !bundle.versions.includes(release.text)) {
    return [`it is a bundle for ${bundle.versions.join(', ')}, and k3s_version is ${release.text}`];
  }
  const script = installScriptIn(folder, release.text);
  const images = wantedImages(folder, inspection, arch, release.text);
  const needsBinary = situation.installed?.text !== release.text;
  const binary = binaryIn(folder, arch, release.text);
  const isNew = situation.installed === undefined;
  const used = [
    ...(needsBinary && binary !== undefined ? [binary] : []),
    ...images,
    ...(isNew && !situation.hasOwnScript && script !== undefined ? [script] : []),
    ...(situation.isServer ? [...chartsIn(folder), ...manifestsIn(folder)] : []),
    ...(needsPolicy(situation) ? policyFilesIn(folder) : []),
  ];
  const damaged = used.flatMap((file) => damageOf(file, inspection));
  return [
    ...(needsBinary && binary === undefined
      ? [`${binaryName(arch)}, the binary for ${arch}, is missing`]
      : []),
    ...(needsBinary && binary !== undefined && damaged.length === 0
      ? binaryFaults(binary, inspection, arch, release)
      : []),
    ...(!situation.hasRegistry &&
    hasReleaseImages(folder, release.text) &&
    !images.some((file) => baseName(file).startsWith('k3s-airgap-images-'))
      ? [`k3s-airgap-images-${arch}.tar.zst, the images for ${arch}, is missing`]
      : []),
    ...(isNew && script === undefined && !situation.hasOwnScript
      ? ['k3s-install.sh, the install script, is missing']
      : []),
    ...selinuxFaults(situation),
    ...damaged,
    ...spaceFaults(situation, needsBinary ? binary : undefined, images),
  ];
}

function binaryFaults(
  file: AirgapFile,
  inspection: AirgapInspection,
  arch: K3sArch,
  release: K3sVersion,
): readonly string[] {
  const found = inspection.files.get(file.name);
  if (found === undefined) return [];
  if (found.machine === undefined) return [`${file.name} is no program`];
  if (found.machine !== arch) {
    const machine = found.machine === 'other' ? 'another processor' : found.machine;
    return [`${file.name} is a program for ${machine}, not for ${arch}`];
  }
  const named = found.releases ?? [];
  if (named.length === 0 || named.includes(release.text)) return [];
  return [`${file.name} is ${named.join(' or ')}, not ${release.text}`];
}

function damageOf(file: AirgapFile, { files, bundle }: AirgapInspection): readonly string[] {
  const found = files.get(file.name);
  if (found?.published !== undefined && found.published.sha256 !== found.sha256) {
    return [`${file.name} has sha256 ${found.sha256}, ${found.published.by} says ${found.published.sha256}`];
  }
  // What somebody put beside a bundle's files is theirs; what a bundle's own folders hold must be in its list.
  const isForeign = bundle !== undefined && found?.published === undefined && isBundlesOwn(file.name);
  return isForeign ? [`${file.name} is not in the list of the bundle`] : [];
}

function needsPolicy({ selinux }: AirgapSituation): boolean {
  return selinux.mode !== 'disabled' && !selinux.installed.includes('k3s-selinux');
}

/** Root installs them: whatever system they are for, none may have been exchanged. */
function policyFilesIn(folder: readonly AirgapFile[]): readonly AirgapFile[] {
  return folder.filter(({ name }) => name.startsWith('selinux/') || name.endsWith('.rpm'));
}

function selinuxFaults({ selinux, mayReboot, folder, os }: AirgapSituation): readonly string[] {
  if (selinux.mode !== 'enforcing' || selinux.installed.includes('k3s-selinux')) return [];
  if (!packagesFor(folder, os).some((file) => baseName(file).startsWith('k3s-selinux-')))
    return [`k3s-selinux-*.rpm for ${os.prettyName} is missing, which a node that enforces SELinux needs`];
  return selinux.isTransactional === true && !mayReboot ? [transactionalFault] : [];
}

function spaceFaults(
  situation: AirgapSituation,
  binary: AirgapFile | undefined,
  images: readonly CarriedFile[],
): readonly string[] {
  const { archives, inspection, freeForImages, freeForBinary, imagesFolder } = situation;
  const missing = images.filter((file) => archives.get(baseName(file))?.sha256 !== file.sha256);
  const packed = missing.reduce((sum, file) => sum + file.sizeBytes, 0);
  const unpacked = missing.reduce(
    (sum, file) => sum + (inspection.files.get(file.name)?.unpackedBytes ?? file.sizeBytes),
    0,
  );
  return [
    ...tooFull(
      imagesFolder,
      packed + unpacked,
      freeForImages,
      'the image archives and the images in them need',
    ),
    ...(binary === undefined ? [] : tooFull('/usr/local/bin', binary.sizeBytes, freeForBinary, 'k3s needs')),
  ];
}

function tooFull(folder: string, bytes: number, free: FreeSpaceKiB, what: string): readonly string[] {
  if (free === undefined || bytes <= free * 1024) return [];
  return [`${what} ${mebibytes(bytes)} in ${folder}, and ${mebibytes(free * 1024)} are free`];
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(bytes < 10 * 1024 * 1024 ? 1 : 0)} MiB`;
}
