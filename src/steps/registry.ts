import type { AnyStep } from '../engine/step.ts';
import { aptStep } from './apt.ts';
import { assertStep } from './assert.ts';
import { authorizedKeyStep } from './authorized-key.ts';
import { blockinfileStep } from './blockinfile.ts';
import { commandStep } from './command.ts';
import { apkStep, pacmanStep, zypperStep } from './community-packages.ts';
import { copyStep } from './copy.ts';
import { cronStep } from './cron.ts';
import { debugStep } from './debug.ts';
import { failStep } from './fail.ts';
import { fetchStep } from './fetch.ts';
import { directoryStep, fileStep, linkStep } from './file.ts';
import { findStep } from './find.ts';
import { firewalldStep } from './firewalld.ts';
import { getUrlStep } from './get-url.ts';
import { groupStep } from './group.ts';
import { hostnameStep } from './hostname.ts';
import { hostsEntryStep } from './hosts-entry.ts';
import { k3sAbsentStep } from './k3s-absent.ts';
import { k3sAppArmorStep } from './k3s-apparmor.ts';
import { k3sBinaryStep } from './k3s-binary.ts';
import { k3sCgroupsStep } from './k3s-cgroups.ts';
import { k3sConfigStep } from './k3s-config.ts';
import { k3sFirewallStep } from './k3s-firewall.ts';
import { k3sImagesStep } from './k3s-images.ts';
import { k3sInstallStep } from './k3s-install.ts';
import { k3sKubeconfigStep } from './k3s-kubeconfig.ts';
import { k3sManifestsStep } from './k3s-manifests.ts';
import { k3sMembershipStep } from './k3s-membership.ts';
import { k3sQuorumStep } from './k3s-quorum.ts';
import { k3sReadyStep } from './k3s-ready.ts';
import { k3sRegistriesStep } from './k3s-registries.ts';
import { k3sServiceStep } from './k3s-service.ts';
import { k3sStaleNodeStep } from './k3s-stale-node.ts';
import { k3sSudoPathStep } from './k3s-sudo-path.ts';
import { k3sUserKubectlStep } from './k3s-user-kubectl.ts';
import { kernelModuleStep, modprobeStep } from './kernel-module.ts';
import { k8sInfoStep, kubectlStep } from './kubectl.ts';
import { lineinfileStep } from './lineinfile.ts';
import { mountStep } from './mount.ts';
import { nftablesStep } from './nftables.ts';
import { packageStep } from './package.ts';
import { pauseStep } from './pause.ts';
import { pingStep } from './ping.ts';
import { rawStep } from './raw.ts';
import { rebootStep } from './reboot.ts';
import { replaceStep } from './replace.ts';
import { dnfStep, yumStep } from './rpm.ts';
import { scriptStep } from './script.ts';
import { selinuxStep } from './selinux.ts';
import { serviceStep } from './service.ts';
import { setFactStep } from './set-fact.ts';
import { setupStep } from './setup.ts';
import { shellStep } from './shell.ts';
import { slurpStep } from './slurp.ts';
import { statStep } from './stat.ts';
import { swapStep } from './swap.ts';
import { sysctlStep } from './sysctl.ts';
import { systemdStep } from './systemd.ts';
import { templateStep } from './template.ts';
import { timezoneStep } from './timezone.ts';
import { ufwStep } from './ufw.ts';
import { unarchiveStep } from './unarchive.ts';
import { unitStep } from './unit.ts';
import { uriStep } from './uri.ts';
import { userStep } from './user.ts';
import { waitForStep } from './wait-for.ts';
import { waitForConnectionStep } from './wait-for-connection.ts';
/** Every step that fleet brings, by name. */
export const allSteps: readonly AnyStep[] = [
  apkStep,
  aptStep,
  assertStep,
  authorizedKeyStep,
  blockinfileStep,
  commandStep,
  copyStep,
  cronStep,
  debugStep,
  directoryStep,
  dnfStep,
  failStep,
  fetchStep,
  fileStep,
  findStep,
  firewalldStep,
  getUrlStep,
  groupStep,
  hostnameStep,
  hostsEntryStep,
  k8sInfoStep,
  kernelModuleStep,
  kubectlStep,
  lineinfileStep,
  linkStep,
  modprobeStep,
  mountStep,
  nftablesStep,
  packageStep,
  pacmanStep,
  pauseStep,
  pingStep,
  rawStep,
  rebootStep,
  replaceStep,
  scriptStep,
  selinuxStep,
  serviceStep,
  setFactStep,
  setupStep,
  shellStep,
  slurpStep,
  statStep,
  swapStep,
  sysctlStep,
  systemdStep,
  templateStep,
  timezoneStep,
  ufwStep,
  unarchiveStep,
  unitStep,
  uriStep,
  userStep,
  waitForConnectionStep,
  waitForStep,
  yumStep,
  zypperStep,
  k3sAbsentStep,
  k3sAppArmorStep,
  k3sBinaryStep,
  k3sCgroupsStep,
  k3sConfigStep,
  k3sFirewallStep,
  k3sImagesStep,
  k3sInstallStep,
  k3sKubeconfigStep,
  k3sManifestsStep,
  k3sMembershipStep,
  k3sQuorumStep,
  k3sReadyStep,
  k3sRegistriesStep,
  k3sServiceStep,
  k3sStaleNodeStep,
  k3sSudoPathStep,
  k3sUserKubectlStep,
];

const COLLECTIONS = /^(ansible\.(builtin|legacy|posix)|community\.(general|crypto)|kubernetes\.core)\./;

const byName = new Map<string, AnyStep>();
for (const step of allSteps) {
  for (const name of [step.name, ...(step.aliases ?? [])]) byName.set(name, step);
}

/** The step that a playbook means: by its name or another name of it, with or without Ansible's collection before it. */
export function stepNamed(name: string): AnyStep | undefined {
  return byName.get(name.replace(COLLECTIONS, ''));
}

/** Every name that `stepNamed` understands, for finding the nearest to a mistyped one. */
export const stepNames: readonly string[] = [...byName.keys()].sort();
