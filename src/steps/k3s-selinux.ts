import { Type } from '@sinclair/typebox';
import { lines, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged, unchangedBut } from '../engine/step.ts';
import { type HostFacts, hostFacts } from '../facts/host.ts';
import { type SelinuxPolicy, selinuxPolicy } from '../facts/k3s-selinux-policy.ts';
import { type PackageState, packageEffects, packages, packagesWhere } from '../facts/package.ts';
import { policyKeyUrl, policyRepository, selinuxTarget } from '../k3s/selinux-source.ts';
import { optional, text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';
import { planPackages } from './package-change.ts';

const args = Type.Object(
  {
    repo_url: optional(
      text("Where the policy is installed from. Default: Rancher's repository for the system."),
    ),
    repo_key: optional(
      text("The key that its packages are signed with. Default: Rancher's; `none` for unsigned ones."),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly policy: SelinuxPolicy;
  readonly facts: HostFacts;
  readonly packages: PackageState;
}

/**
 * SELinux is never switched off: k3s gets its policy, from a repository that is used for this once and not left behind.
 * @see https://docs.k3s.io/advanced#selinux-support
 */
export const k3sSelinuxStep = defineStep<typeof args, Seen>({
  name: 'k3s_selinux',
  summary: "Where SELinux is on, k3s' policy and what it needs are installed.",
  args,
  examples: [
    '- k3s_selinux:\n',
    '- k3s_selinux:\n    repo_url: https://mirror.example.org/k3s/el9\n    repo_key: none\n',
  ],
  look: () => ({
    policy: ask(selinuxPolicy),
    facts: ask(hostFacts),
    packages: ask(
      packagesWhere(sh`[ -r /sys/fs/selinux/enforce ]`, packages(['policycoreutils'], undefined, false)),
    ),
  }),
  plan(seen, args, host): Plan<Seen> {
    const { policy, facts, packages: state } = seen;
    if (policy.mode === 'disabled') return unchanged('SELinux is off');
    if (policy.installed.includes('k3s-selinux')) return unchanged("k3s' policy is installed");
    if (k3sNode(host).settings.airgapDir !== undefined)
      return unchanged('airgap_dir brings it, or nothing does');
    if (state.manager === 'apt') {
      // There is no policy of k3s for Debian's; its install script labels files with restorecon.
      const plan = planPackages({ packages: state }, { names: ['policycoreutils'], state: 'present' });
      if (plan.verdict !== 'unchanged') return plan;
      return unchangedBut('there is no SELinux policy of k3s for this system', {
        code: 'SELINUX_POLICY_NONE',
        message: `SELinux is ${policy.mode}, and k3s has no policy for ${facts.os.prettyName}`,
        fix: 'Make it permissive, or write a policy: k3s is not tested with yours.',
      });
    }
    const script = installScript(
      seen,
      args.repo_url ?? policyRepository(selinuxTarget(facts.os)),
      args.repo_key ?? policyKeyUrl,
    );
    if (script === undefined) {
      return refuse(
        `SELinux is ${policy.mode}, and fleet knows no way to install k3s' policy on ${facts.os.prettyName}`,
        'Install container-selinux and k3s-selinux by hand.',
      );
    }
    return change(`SELinux is ${policy.mode}, and k3s-selinux is not installed`, [script], {
      diff: [{ subject: 'package k3s-selinux', before: undefined, after: 'installed' }],
      touches: packageEffects,
    });
  },
});

function installScript(seen: Seen, url: string, key: string): Action | undefined {
  const { manager } = seen.packages;
  const isSigned = key !== 'none';
  const run = {
    kind: 'run',
    what: `install k3s-selinux from ${url}`,
    survives: true,
    deadlineMs: 30 * 60_000,
  } as const;
  if (manager === 'dnf') {
    return {
      ...run,
      script: lines(
        sh`set -e`,
        ...(isSigned ? [sh`rpm --import ${key}`] : []),
        sh`dnf -y -q --repofrompath ${`fleet-k3s,${url}`} ${`--setopt=fleet-k3s.gpgcheck=${isSigned ? 1 : 0}`} install k3s-selinux`,
      ),
    };
  }
  if (manager === 'yum' || manager === 'zypper') {
    const folder = manager === 'yum' ? '/etc/yum.repos.d' : '/etc/zypp/repos.d';
    const file = `${folder}/fleet-k3s.repo`;
    const text = `[fleet-k3s]\nname=fleet-k3s\nbaseurl=${url}\nenabled=1\ngpgcheck=${isSigned ? 1 : 0}\n`;
    const install =
      manager === 'yum'
        ? sh`yum -y -q install k3s-selinux`
        : sh`mkdir -p /var/lib/rpm-state; zypper --non-interactive -q ${isSigned ? [] : ['--no-gpg-checks']} install --auto-agree-with-licenses k3s-selinux`;
    return {
      ...run,
      script: lines(
        sh`set -e; trap 'rm -f ${file}' EXIT`,
        ...(isSigned ? [sh`rpm --import ${key}`] : []),
        sh`printf %s ${text} >${file}`,
        install,
      ),
    };
  }
  return undefined;
}
