import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep } from '../engine/step.ts';
import { type PackageState, packages } from '../facts/package.ts';
import { choice, flag, list, optional, whole } from './arguments.ts';
import { LISTS_VALID_S, packageState } from './package.ts';
import { packageName, planPackages } from './package-change.ts';

const args = Type.Object(
  {
    name: list(
      'Packages; `name-version` or `name=version` for one version, or the path or URL of a package.',
      { aliases: ['pkg'] },
    ),
    state: optional(
      choice(
        ['present', 'installed', 'latest', 'absent', 'removed'],
        'Present (the default), newest, or gone.',
      ),
    ),
    update_cache: optional(flag('Fetches the lists of packages first.', { aliases: ['expire-cache'] })),
    enablerepo: optional(list('Repositories to use for this step though they are switched off.')),
    disablerepo: optional(list('Repositories not to use for this step.')),
    disable_gpg_check: optional(flag('Installs what carries no valid signature. Better add the key.')),
    install_weak_deps: optional(flag('Whether recommended packages come along.')),
    autoremove: optional(flag('Removes what only removed packages needed.')),
    allow_downgrade: optional(flag('Lets an older version replace a newer one.')),
    lock_timeout: optional(whole('Ignored: dnf and yum wait for one another.')),
  },
  { additionalProperties: false },
);

function rpmStep(name: 'dnf' | 'yum', aliases: readonly string[]) {
  return defineStep<typeof args, { packages: PackageState }>({
    name,
    aliases,
    summary: `RPM packages are installed, newest, or gone, by ${name}.`,
    args,
    freeForm: 'name',
    examples: [`- ${name}: name=iscsi-initiator-utils,nfs-utils state=present`],
    look: (args) => ({
      packages: ask(
        packages(
          args.name.map((one) => packageName(one).name),
          name,
          args.state === 'latest',
        ),
      ),
    }),
    plan: (seen, args) =>
      planPackages(seen, {
        names: args.name,
        state: packageState(args.state),
        ...(args.update_cache === true ? { refreshOlderThanS: LISTS_VALID_S } : {}),
        ...(args.enablerepo === undefined ? {} : { enableRepo: args.enablerepo }),
        ...(args.disablerepo === undefined ? {} : { disableRepo: args.disablerepo }),
        ...(args.disable_gpg_check === true ? { noGpgCheck: true } : {}),
        ...(args.install_weak_deps === undefined ? {} : { installRecommends: args.install_weak_deps }),
        ...(args.autoremove === true ? { autoremove: true } : {}),
        ...(args.allow_downgrade === true ? { allowDowngrade: true } : {}),
      }),
  });
}

/** Ansible's `dnf`. */
export const dnfStep = rpmStep('dnf', ['dnf5']);

/** Ansible's `yum`. */
export const yumStep = rpmStep('yum', []);
