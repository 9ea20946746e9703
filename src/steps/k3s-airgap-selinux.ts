import { Type } from '@sinclair/typebox';
import { type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
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
import { type SelinuxPolicy, selinuxPolicy } from '../facts/k3s-selinux-policy.ts';
import { packageEffects } from '../facts/package.ts';
import { type SystemNames, selinuxTarget } from '../k3s/selinux-source.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly policy: SelinuxPolicy;
  readonly facts: HostFacts;
  readonly folder: readonly AirgapFile[];
}

/** Nothing that one transaction could do takes effect before a reboot into a system that a person may want to look at first. */
export const transactionalFault = "its root file system is read-only, and k3s' SELinux policy is not in it";
const transactionalFix =
  'On the host: transactional-update pkg install with the packages of airgap_dir, then a reboot.';

/** On a tmpfs, for the time of the transaction. */
const packagesFolder = '/run/fleet/airgap-rpms';

/** No repository takes part, and no package manager that would ask one: rpm has all that it needs or changes nothing. */
export const k3sAirgapSelinuxStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_airgap_selinux',
  summary:
    "Where SELinux is on, k3s' policy and what it needs are installed from the RPM packages in airgap_dir, in one transaction that was tested first; packages that are there in a newer version stay.",
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_airgap_selinux:\n'],
  look(_args, host) {
    const { airgapDir } = k3sNode(host).settings;
    return {
      policy: ask(selinuxPolicy),
      facts: ask(hostFacts),
      folder: askControl(airgapDir === undefined ? noAirgapFolder : airgapFolder(airgapDir)),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const { policy, facts, folder } = seen;
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
    if (policy.isTransactional === true) return refuse(transactionalFault, transactionalFix);
    const keys = keysFor(folder, facts.os);
    const upload = (file: AirgapFile, name = baseName(file)): Action => ({
      kind: 'upload',
      source: { from: 'file', path: file.path },
      path: `${packagesFolder}/${name}`,
      mode: '0600',
      owner: 'root',
      group: 'root',
    });
    const checked = keys.length > 0 ? 'signatures checked' : 'signatures not checked: airgap_dir has no key';
    return change(
      `SELinux is ${policy.mode}, and k3s-selinux is not installed`,
      [
        {
          kind: 'run',
          what: `make ${packagesFolder}`,
          script: sh`umask 077; rm -rf ${packagesFolder} && mkdir -p ${packagesFolder}`,
        },
        ...packages.map((file) => upload(file)),
        ...keys.map((file, index) => upload(file, `${index}.key`)),
        {
          kind: 'run',
          what: `install ${packages.map(baseName).join(', ')} (${checked})`,
          survives: true,
          deadlineMs: 30 * 60_000,
          script: rpmTransaction(packagesFolder),
        },
      ],
      {
        diff: [{ subject: 'package k3s-selinux', before: undefined, after: 'installed' }],
        after: { policy: { ...policy, installed: [...policy.installed, 'k3s-selinux'] } },
        touches: packageEffects,
      },
    );
  },
});

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
