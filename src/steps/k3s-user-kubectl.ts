import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import type { Secret } from '../core/secret.ts';
import { sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { sha256Of, touchesOfPath } from '../facts/file.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { serverKubeconfig } from '../facts/k3s-kubeconfig.ts';
import { type UserKubectl, userKubectl } from '../facts/k3s-user-kubectl.ts';
import { choice, optional } from './arguments.ts';
import { k3sNode, loginName } from './k3s-node.ts';

interface Seen {
  readonly user: UserKubectl | undefined;
  readonly kubeconfig: Secret | undefined;
  /** k3s writes the kubeconfig when it starts: where a plan cannot foresee the start, it must not foresee the file either. */
  readonly service: InUse;
}

const args = Type.Object(
  { state: optional(choice(['present', 'absent'], 'Whether he can. Default present.')) },
  { additionalProperties: false },
);

const exportLine = 'export KUBECONFIG=~/.kube/config';

/**
 * As k3s-ansible's user_kubectl, without its completion line in .bashrc: that makes every later ssh command pay the
 * start of a kubectl.
 */
export const k3sUserKubectlStep = defineStep<typeof args, Seen>({
  name: 'k3s_user_kubectl',
  summary:
    'The login user of a server can use kubectl there: ~/.kube/config is his own copy, and his shell knows it.',
  args,
  examples: ['- k3s_user_kubectl:\n', '- k3s_user_kubectl: {state: absent}\n'],
  look(_args, host) {
    const { role, settings } = k3sNode(host);
    return {
      user: ask(userKubectl(loginName(host))),
      kubeconfig: ask(serverKubeconfig),
      service: ask(inUse(role, settings.systemdDir)),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const { role, settings } = k3sNode(host);
    const name = loginName(host);
    const { user, kubeconfig } = seen;
    const isAbsent = args.state === 'absent';
    if (role !== 'server' || (!settings.userKubectl && !isAbsent)) return unchanged('user_kubectl is off');
    if (name === 'root') return unchanged('root needs no copy');
    if (user === undefined) return unchanged(`there is no user ${name}`);
    if (isAbsent) return withoutCopy(user, kubeconfig, name);
    if (kubeconfig === undefined) return unchanged('the server has no kubeconfig yet');
    const wanted = sha256Of(kubeconfig.reveal());
    const config = posix.join(user.home, '.kube', 'config');
    const profile = posix.join(user.home, '.bashrc');
    const rightConfig = user.configSha256 === wanted;
    const rightProfile = user.profile.split('\n').includes(exportLine);
    if (rightConfig && rightProfile) return unchanged(`${name} can use kubectl`);
    const owned = { owner: name, group: user.group } as const;
    const text = `${user.profile === '' || user.profile.endsWith('\n') ? user.profile : `${user.profile}\n`}${exportLine}\n`;
    return change(
      rightConfig ? `${profile} does not set KUBECONFIG` : `${config} is not the server's kubeconfig`,
      [
        {
          kind: 'run',
          what: `make ${posix.dirname(config)}`,
          script: sh`[ -d ${posix.dirname(config)} ] || install -d -m 0700 -o ${name} -g ${user.group} ${posix.dirname(config)}`,
        },
        ...(rightConfig
          ? []
          : [{ kind: 'write' as const, path: config, content: kubeconfig, mode: '0600', ...owned }]),
        ...(rightProfile
          ? []
          : [{ kind: 'write' as const, path: profile, content: text, mode: '0644', ...owned }]),
      ],
      {
        touches: [...touchesOfPath(config), ...touchesOfPath(profile)],
        after: { user: { ...user, configSha256: wanted, profile: text } },
      },
    );
  },
});

/** Only what fleet wrote: the server's own kubeconfig, and with it the line that points there. Before k3s itself goes: its file tells whose copy it is. */
function withoutCopy(user: UserKubectl, kubeconfig: Secret | undefined, name: string): Plan<Seen> {
  const config = posix.join(user.home, '.kube', 'config');
  const profile = posix.join(user.home, '.bashrc');
  if (user.configSha256 === '') return unchanged(`${name} has no kubeconfig`);
  if (kubeconfig === undefined || user.configSha256 !== sha256Of(kubeconfig.reveal()))
    return unchanged(`${config} is not the server's`);
  const lines = user.profile.split('\n');
  const kept = lines.filter((line) => line !== exportLine).join('\n');
  return change(
    `${config} is the kubeconfig of this server`,
    [
      { kind: 'remove', path: config },
      {
        kind: 'run',
        what: `remove ${posix.dirname(config)} if it is empty`,
        script: sh`rmdir ${posix.dirname(config)} 2> /dev/null; true`,
      },
      ...(kept === user.profile
        ? []
        : [
            kept === ''
              ? { kind: 'remove' as const, path: profile }
              : {
                  kind: 'write' as const,
                  path: profile,
                  content: kept,
                  mode: '0644',
                  owner: name,
                  group: user.group,
                },
          ]),
    ],
    {
      touches: [...touchesOfPath(config), ...touchesOfPath(profile)],
      after: { user: { ...user, configSha256: '', profile: kept } },
    },
  );
}
