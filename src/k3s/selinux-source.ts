/** Systems that k3s' SELinux policy is built for, by the name in its packages' releases and what their repository's folder is called. */
const folders = {
  el7: 'centos/7',
  el8: 'centos/8',
  el9: 'centos/9',
  coreos: 'coreos',
  microos: 'microos',
  slemicro: 'slemicro',
} as const;

export type SelinuxTarget = keyof typeof folders;

/** Rancher's repositories. @see https://docs.k3s.io/advanced#selinux-support */
export const policyRepositories = 'https://rpm.rancher.io/k3s/stable/common';
/** What the packages in them are signed with. */
export const policyKeyUrl = 'https://rpm.rancher.io/public.key';

export const selinuxTargets = Object.keys(folders) as readonly SelinuxTarget[];

/** What of os-release decides. */
export interface SystemNames {
  readonly id: string;
  readonly like: readonly string[];
  readonly version: string;
}

/** The build of the policy for a system, as the install script of k3s chooses it. */
export function selinuxTarget({ id, like, version }: SystemNames): SelinuxTarget {
  const major = version.split('.')[0] ?? '';
  if (id === 'sle-micro' || id === 'sl-micro') return 'slemicro';
  if (like.includes('suse') || like.includes('opensuse') || id.startsWith('sles')) return 'microos';
  if (like.includes('coreos')) return 'coreos';
  if (major === '7') return 'el7';
  return major === '8' || id === 'fedora' || id === 'amzn' ? 'el8' : 'el9';
}

/** The folder with the metadata of a build's repository. */
export function policyRepository(target: SelinuxTarget, base: string = policyRepositories): string {
  return `${base.replace(/\/+$/, '')}/${folders[target]}/noarch`;
}
