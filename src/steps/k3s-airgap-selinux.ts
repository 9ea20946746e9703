import { dirname } from 'node:path/posix';
import { Type } from '@sinclair/typebox';
import { type ShellScript, sh } from '../core/shell.ts';
import type { Action, Reboot } from '../engine/action.ts';
import { ask, askControl } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import {
  type AirgapFile,
  airgapFolder,
  baseName,
  noAirgapFolder,
  selinuxFilesIn,
} from '../facts/airgap-folder.ts';
import { type HostFacts, hostFacts } from '../facts/host.ts';
import { nextBootMark, type SelinuxPolicy, selinuxPolicy } from '../facts/k3s-selinux-policy.ts';
import { type K3sTraces, k3sTraces } from '../facts/k3s-traces.ts';
import { packageEffects } from '../facts/package.ts';
import { binaryPath } from '../k3s/paths.ts';
import { type SystemNames, selinuxTarget } from '../k3s/selinux-source.ts';
import { flag, optional, whole } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';

const args = Type.Object(
  {
    allow_reboot: optional(
      flag(
        'Where the root file system is read-only, puts the packages into the system of the next boot and reboots the host. Default false: says what to do.',
      ),
    ),
    reboot_timeout: optional(
      whole('How long it may take to come back, in seconds. Default 600.', { minimum: 1 }),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly policy: SelinuxPolicy;
  readonly traces: K3sTraces;
  readonly facts: HostFacts;
  readonly folder: readonly AirgapFile[];
}

/** What is installed there is in force only after a reboot, which somebody has to allow. */
export const transactionalFault =
  "its root file system is read-only, and k3s' SELinux policy takes a reboot, which allow_reboot does not allow";
const transactionalFix =
  'Set allow_reboot: true; or on the host: transactional-update pkg install with the packages of airgap_dir, then a reboot.';

/** On a tmpfs, for the time of the transaction. */
const packagesFolder = '/run/fleet/airgap-rpms';
/** In a snapshot /run and /tmp are other ones; this is the host's own in every transactional-update that has `--continue`. */
const snapshotPackagesFolder = '/var/cache/fleet-airgap-rpms';

/** No repository takes part, and no package manager that would ask one: rpm has all that it needs or changes nothing. */
export const k3sAirgapSelinuxStep = defineStep<typeof args, Seen>({
  name: 'k3s_airgap_selinux',
  summary:
    "Where SELinux is on, k3s' policy and what it needs are installed from the RPM packages in airgap_dir, in one transaction that was tested first; packages that are there in a newer version stay. Where the root file system is read-only they come into the system of the next boot, and a host that has no k3s yet is rebooted into it; for one that has, k3s_policy_boot does that at its turn.",
  args,
  examples: ['- k3s_airgap_selinux:\n', '- k3s_airgap_selinux: allow_reboot=true\n'],
  look(_args, host) {
    const { airgapDir, k3sServerLocation, systemdDir } = k3sNode(host).settings;
    return {
      policy: ask(selinuxPolicy),
      traces: ask(k3sTraces(k3sServerLocation, systemdDir)),
      facts: ask(hostFacts),
      folder: askControl(airgapDir === undefined ? noAirgapFolder : airgapFolder(airgapDir)),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const { policy, traces, facts, folder } = seen;
    if (k3sNode(host).settings.airgapDir === undefined) return unchanged('airgap_dir is not set');
    if (policy.mode === 'disabled') return unchanged('SELinux is off');
    if (policy.installed.includes('k3s-selinux')) return unchanged("k3s' policy is installed");
    const packages = packagesFor(folder, facts.os);
    if (!packages.some((file) => baseName(file).startsWith('k3s-selinux-'))) {
      return policy.mode === 'permissive'
        ? unchanged('SELinux is permissive, and airgap_dir has no k3s-selinux for this system')
        : refuse(
            `SELinux is enforcing, and airgap_dir has no k3s-selinux for ${facts.os.prettyName}`,
            'Put k3s-selinux, and container-selinux and selinux-policy if the node lacks them, into airgap_dir.',
          );
    }
    if (policy.isTransactional !== true) {
      return change(
        `SELinux is ${policy.mode}, and k3s-selinux is not installed`,
        installation(folder, packages, facts, packagesFolder, rpmTransaction(packagesFolder)),
        {
          diff: [{ subject: 'package k3s-selinux', before: undefined, after: 'installed' }],
          after: { policy: { ...policy, installed: [...policy.installed, 'k3s-selinux'] } },
          touches: packageEffects,
        },
      );
    }
    const runsK3s = traces.paths.includes(binaryPath);
    if (policy.isInNextBoot === true && runsK3s)
      return unchanged(
        "the system of the next boot has k3s' policy; the host is rebooted into it at its turn",
      );
    if (args.allow_reboot !== true) {
      if (policy.mode === 'enforcing') return refuse(transactionalFault, transactionalFix);
      return unchanged(`SELinux is permissive, and ${transactionalFault}`);
    }
    const install =
      policy.isInNextBoot === true
        ? []
        : installation(
            folder,
            packages,
            facts,
            snapshotPackagesFolder,
            snapshotTransaction(snapshotPackagesFolder),
          );
    const [first, ...rest] = runsK3s ? install : [...install, policyReboot(args.reboot_timeout)];
    if (first === undefined) return unchanged("the system of the next boot has k3s' policy");
    return change(
      policy.isInNextBoot === true
        ? `SELinux is ${policy.mode}, and the system of the next boot has k3s-selinux`
        : `SELinux is ${policy.mode}, k3s-selinux is not installed, and the root file system is read-only`,
      [first, ...rest],
      {
        diff: [
          {
            subject: 'package k3s-selinux',
            before: undefined,
            after: runsK3s ? 'installed in the system of the next boot' : 'installed',
          },
        ],
        after: {
          policy: runsK3s
            ? { ...policy, isInNextBoot: true }
            : { ...policy, installed: [...policy.installed, 'k3s-selinux'] },
        },
        touches: runsK3s ? packageEffects : 'everything',
      },
    );
  },
});

/** The reboot into a system that has the policy. */
export function policyReboot(timeoutS = 600): Reboot {
  return {
    kind: 'reboot',
    because: "the system of the next boot has k3s' SELinux policy",
    deadlineMs: timeoutS * 1000,
  };
}

/** Brings the packages and keys into a folder of the host, and has a script do the rest. */
function installation(
  folder: readonly AirgapFile[],
  packages: readonly AirgapFile[],
  { os }: HostFacts,
  to: string,
  script: ShellScript,
): [Action, ...Action[]] {
  const keys = keysFor(folder, os);
  const upload = (file: AirgapFile, name = baseName(file)): Action => ({
    kind: 'upload',
    source: { from: 'file', path: file.path },
    path: `${to}/${name}`,
    mode: '0600',
    owner: 'root',
    group: 'root',
  });
  const checked = keys.length > 0 ? 'signatures checked' : 'signatures not checked: airgap_dir has no key';
  return [
    { kind: 'run', what: `make ${to}`, script: sh`umask 077; rm -rf ${to} && mkdir -p ${to}` },
    ...packages.map((file) => upload(file)),
    ...keys.map((file, index) => upload(file, `${index}.key`)),
    {
      kind: 'run',
      what: `install ${packages.map(baseName).join(', ')} (${checked})`,
      survives: true,
      deadlineMs: 30 * 60_000,
      script,
    },
  ];
}

/** The keys of a bundle for this system, and those that lie in the folder itself. */
function keysFor(folder: readonly AirgapFile[], os: SystemNames): readonly AirgapFile[] {
  const shared = folder.filter(({ name }) => !name.includes('/'));
  return [...selinuxFilesIn(folder, selinuxTarget(os)), ...shared].filter((file) =>
    /^RPM-GPG-KEY|\.(asc|gpg)$/.test(baseName(file)),
  );
}

/**
 * The packages that are for this system: those of a bundle, else those whose release names say so (`.el9`, `.fc40`, `.sle`), or
 * that are for any.
 */
export function packagesFor(
  folder: readonly AirgapFile[],
  { id, like, version }: Pick<HostFacts['os'], 'id' | 'like' | 'version'>,
): readonly AirgapFile[] {
  const major = version.split('.')[0] ?? '';
  const isSuse = id.startsWith('sle') || id.startsWith('sl-') || id.includes('suse') || like.includes('suse');
  const own = isSuse ? 'suse' : id === 'fedora' ? `fc${major}` : `el${major}`;
  const chosen = selinuxFilesIn(folder, selinuxTarget({ id, like, version })).filter(({ name }) =>
    name.endsWith('.rpm'),
  );
  if (chosen.length > 0) return chosen;
  return folder.filter((file) => {
    if (file.name.includes('/') || !file.name.endsWith('.rpm')) return false;
    const [, system] = /\.(el\d+|fc\d+|sle\w*|suse\w*)[._]/.exec(file.name) ?? [];
    if (system === undefined) return true;
    return isSuse ? /^(sle|suse)/.test(system) : system === own;
  });
}

/**
 * Installs the packages of a folder that are not there in this or a newer version, in one transaction, tested first. rpm
 * orders them by what they need. With keys beside them (`*.key`) each must be signed by one of them or of the
 * distribution's, in a keyring of its own: the host's is left alone.
 */
export function rpmTransaction(folder: string): ShellScript {
  return sh`folder=${folder}; cd "$folder" || exit 1
trap 'cd /; rm -rf "$folder"' EXIT; trap 'exit 1' HUP INT TERM
# Where SUSE's macros for policies keep what they compare with; no package brings it.
mkdir -p /var/lib/rpm-state
set -- *.key
if [ -e "$1" ]; then
  ring=$PWD/ring; mkdir -p "$ring" && rpmkeys --dbpath "$ring" --import "$@" || exit 1
  # What comes from the distribution is signed by the distribution, whose keys are here.
  for own in /etc/pki/rpm-gpg/* /usr/lib/rpm/gnupg/keys/*; do if [ -f "$own" ]; then rpmkeys --dbpath "$ring" --import "$own" 2> /dev/null || :; fi; done
  for file in *.rpm; do
    said=$(LC_ALL=C rpmkeys --dbpath "$ring" -K "$file" 2>&1); case $said in *'signatures OK'*) ;; *) echo "not signed by a key of airgap_dir: $said" >&2; exit 1 ;; esac
  done
fi
wanted=
for file in *.rpm; do
  if LC_ALL=C rpm -U --test --nodeps "$file" 2>&1 | grep -q 'already installed'; then echo "$file is there, or a newer one"
  else wanted="$wanted ./$file"; fi
done
[ -n "$wanted" ] || exit 0
set -f; set -- $wanted
rpm -U --test "$@" && rpm -U "$@"`;
}

/**
 * The same in the system of the next boot. `--continue` adds to a system that waits for its boot already, rather than leaving
 * that out, and so this can be run again. `--no-selfupdate`: else the repositories would be asked first. `run` rather than
 * `pkg install`, for whose zypper no repository can be switched off. The status of `run` is no answer (releases differ), so
 * the new system says itself that it has the package; in words that are not in the script, which is told as well.
 * @see https://kubic.opensuse.org/documentation/man-pages/transactional-update.8.html
 */
export function snapshotTransaction(folder: string): ShellScript {
  const inside = sh`( ${rpmTransaction(folder)}
) && echo "it has $(rpm -q --qf '%{NAME}' k3s-selinux)."`;
  return sh`trap 'rm -rf ${folder}' EXIT; trap 'exit 1' HUP INT TERM
tries=0
while :; do
  said=$(transactional-update --non-interactive --quiet --no-selfupdate --continue run sh -c ${inside.text} 2>&1); status=$?
  case $said in *"Couldn't get lock"*) ;; *) break ;; esac
  # It is at work already: most likely the updates of the night.
  tries=$((tries + 1)); [ "$tries" -lt 60 ] || break; sleep 10
done
case $status,$said in
  0,*'it has k3s-selinux.'*) mkdir -p ${dirname(nextBootMark)} && : > ${nextBootMark} ;;
  *) printf '%s\n' "$said" | tail -n 20 >&2; exit 1 ;;
esac`;
}
