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
import { k3sAirgapStep } from './k3s-airgap.ts';
import { k3sAirgapSelinuxStep } from './k3s-airgap-selinux.ts';
import { k3sAppArmorStep } from './k3s-apparmor.ts';
import { k3sAuthoritiesStep } from './k3s-authorities.ts';
import { k3sBinaryStep } from './k3s-binary.ts';
import { k3sCaRotatableStep } from './k3s-ca-rotatable.ts';
import { k3sCaRotationStep } from './k3s-ca-rotation.ts';
import { k3sCaRotationEndStep } from './k3s-ca-rotation-end.ts';
import { k3sCaRotationOverStep } from './k3s-ca-rotation-over.ts';
import { k3sCertificatesStep } from './k3s-certificates.ts';
import { k3sCgroupsStep } from './k3s-cgroups.ts';
import { k3sChartsStep } from './k3s-charts.ts';
import { k3sCloudNetworkStep } from './k3s-cloud-network.ts';
import { k3sConfigStep } from './k3s-config.ts';
import { k3sDatastoreStep } from './k3s-datastore.ts';
import { k3sDrainStep } from './k3s-drain.ts';
import { k3sEncryptionAgreedStep } from './k3s-encryption-agreed.ts';
import { k3sEncryptionKeysStep } from './k3s-encryption-keys.ts';
import { k3sFailedStep } from './k3s-failed.ts';
import { k3sFirewallStep } from './k3s-firewall.ts';
import { k3sFixedSettingsStep } from './k3s-fixed-settings.ts';
import { k3sHostNameStep } from './k3s-host-name.ts';
import { k3sHostsStep } from './k3s-hosts.ts';
import { k3sImagesStep } from './k3s-images.ts';
import { k3sInstallStep } from './k3s-install.ts';
import { k3sKeepStep } from './k3s-keep.ts';
import { k3sKernelPackagesStep } from './k3s-kernel-packages.ts';
import { k3sKubeconfigStep } from './k3s-kubeconfig.ts';
import { k3sKubeletSwapStep } from './k3s-kubelet-swap.ts';
import { k3sLeftoversStep } from './k3s-leftovers.ts';
import { k3sManifestsStep } from './k3s-manifests.ts';
import { k3sMembershipStep } from './k3s-membership.ts';
import { k3sNodeAbsentStep } from './k3s-node-absent.ts';
import { k3sNodeLabelsStep } from './k3s-node-labels.ts';
import { k3sOtherRoleStep } from './k3s-other-role.ts';
import { k3sPolicyBootStep } from './k3s-policy-boot.ts';
import { k3sPreflightStep } from './k3s-preflight-step.ts';
import { k3sQuorumStep } from './k3s-quorum.ts';
import { k3sReadyStep } from './k3s-ready.ts';
import { k3sRegistriesStep } from './k3s-registries.ts';
import { k3sReleaseStep } from './k3s-release.ts';
import { k3sRemovedApisStep } from './k3s-removed-apis.ts';
import { k3sRestoreAsideStep } from './k3s-restore-aside.ts';
import { k3sRestoreBackStep } from './k3s-restore-back.ts';
import { k3sRestoreBeginStep } from './k3s-restore-begin.ts';
import { k3sRestoreEndStep } from './k3s-restore-end.ts';
import { k3sRestoreOverStep } from './k3s-restore-over.ts';
import { k3sRestoreResetStep } from './k3s-restore-reset.ts';
import { k3sRestoreStartedStep } from './k3s-restore-started.ts';
import { k3sRestoreStoppedStep } from './k3s-restore-stopped.ts';
import { k3sRollbackStep } from './k3s-rollback.ts';
import { k3sRunningStep } from './k3s-running.ts';
import { k3sSavedBeforeStep } from './k3s-saved-before.ts';
import { k3sSelinuxStep } from './k3s-selinux.ts';
import { k3sServiceStep } from './k3s-service.ts';
import { k3sSnapshotStep } from './k3s-snapshot.ts';
import { k3sSnapshotAbsentStep } from './k3s-snapshot-absent.ts';
import { k3sStageStep } from './k3s-stage.ts';
import { k3sStaleNodeStep } from './k3s-stale-node.ts';
import { k3sStrangersStep } from './k3s-strangers.ts';
import { k3sSudoPathStep } from './k3s-sudo-path.ts';
import { k3sTimeSyncStep } from './k3s-time-sync.ts';
import { k3sTimeZoneStep } from './k3s-time-zone.ts';
import { k3sTokenHeldStep } from './k3s-token-held.ts';
import { k3sTokenMovableStep } from './k3s-token-movable.ts';
import { k3sTokenNotedStep } from './k3s-token-noted.ts';
import { k3sTokenRotationStep } from './k3s-token-rotation.ts';
import { k3sTokenRotationEndStep } from './k3s-token-rotation-end.ts';
import { k3sUncordonStep } from './k3s-uncordon.ts';
import { k3sUpgradableStep } from './k3s-upgradable.ts';
import { k3sUserKubectlStep } from './k3s-user-kubectl.ts';
import { kernelModuleStep, modprobeStep } from './kernel-module.ts';
import { k8sInfoStep, kubectlStep } from './kubectl.ts';
import { leftoversStep } from './leftovers.ts';
import { lineinfileStep } from './lineinfile.ts';
import { mountStep } from './mount.ts';
import { nftablesStep } from './nftables.ts';
import { packageStep } from './package.ts';
import { packageListsStep } from './package-lists.ts';
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
import { systemUpgradeStep } from './system-upgrade.ts';
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
  leftoversStep,
  lineinfileStep,
  linkStep,
  modprobeStep,
  mountStep,
  nftablesStep,
  packageListsStep,
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
  systemUpgradeStep,
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
  k3sAirgapStep,
  k3sAirgapSelinuxStep,
  k3sAppArmorStep,
  k3sBinaryStep,
  k3sAuthoritiesStep,
  k3sCaRotatableStep,
  k3sCaRotationStep,
  k3sCaRotationEndStep,
  k3sCaRotationOverStep,
  k3sCertificatesStep,
  k3sCgroupsStep,
  k3sChartsStep,
  k3sCloudNetworkStep,
  k3sConfigStep,
  k3sDrainStep,
  k3sEncryptionAgreedStep,
  k3sEncryptionKeysStep,
  k3sFailedStep,
  k3sFirewallStep,
  k3sHostNameStep,
  k3sHostsStep,
  k3sImagesStep,
  k3sInstallStep,
  k3sKeepStep,
  k3sKernelPackagesStep,
  k3sKubeconfigStep,
  k3sKubeletSwapStep,
  k3sLeftoversStep,
  k3sManifestsStep,
  k3sMembershipStep,
  k3sNodeAbsentStep,
  k3sNodeLabelsStep,
  k3sOtherRoleStep,
  k3sPolicyBootStep,
  k3sPreflightStep,
  k3sQuorumStep,
  k3sReadyStep,
  k3sRegistriesStep,
  k3sRestoreAsideStep,
  k3sRestoreBackStep,
  k3sRestoreBeginStep,
  k3sRestoreEndStep,
  k3sRestoreOverStep,
  k3sRestoreResetStep,
  k3sRestoreStartedStep,
  k3sRestoreStoppedStep,
  k3sRollbackStep,
  k3sRunningStep,
  k3sSavedBeforeStep,
  k3sSelinuxStep,
  k3sServiceStep,
  k3sSnapshotAbsentStep,
  k3sSnapshotStep,
  k3sReleaseStep,
  k3sRemovedApisStep,
  k3sFixedSettingsStep,
  k3sDatastoreStep,
  k3sStageStep,
  k3sStaleNodeStep,
  k3sStrangersStep,
  k3sSudoPathStep,
  k3sTimeSyncStep,
  k3sTimeZoneStep,
  k3sTokenHeldStep,
  k3sTokenMovableStep,
  k3sTokenNotedStep,
  k3sTokenRotationEndStep,
  k3sTokenRotationStep,
  k3sUncordonStep,
  k3sUpgradableStep,
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
