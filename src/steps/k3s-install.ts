import { Type } from '@sinclair/typebox';
import { Secret } from '../core/secret.ts';
import { raw, type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl, askEach } from '../engine/fact.ts';
import { change, defineStep, type HostView, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type AirgapFile, airgapFolder, installScriptIn, noAirgapFolder } from '../facts/airgap-folder.ts';
import { type InUse, inUse, withNewer } from '../facts/k3s-in-use.ts';
import { installScript } from '../facts/k3s-install-script.ts';
import { type Installation, installation } from '../facts/k3s-installation.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { argsWithoutSecrets } from '../k3s/command-line.ts';
import { renderEnvFile, splitAssignment } from '../k3s/env-file.ts';
import { passwordOf } from '../k3s/membership.ts';
import { unitName } from '../k3s/paths.ts';
import { endpointUrl, type K3sNodeView, k3sNode, serverUrl } from './k3s-node.ts';

interface Seen {
  readonly there: Installation;
  readonly inUse: InUse;
  readonly servers: ReadonlyMap<string, ServerData | undefined>;
  readonly airgap: readonly AirgapFile[];
}

/** On a tmpfs, in the folder that the lock of the run made. */
const scriptPath = '/run/fleet/k3s-install.sh';

/**
 * The official install script writes unit, symlinks and scripts; it restarts the service whenever it runs and cannot
 * tell whether it changed anything, so it runs only when something it decides differs, and never starts anything itself.
 * @see https://docs.k3s.io/reference/env-variables
 */
export const k3sInstallStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_install',
  summary:
    'The unit (or init script), its environment file, the symlinks and the uninstall script of k3s are there, made by the official install script, with the arguments and variables that the inventory gives.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_install:\n'],
  alters: ['there', 'inUse'],
  look(_args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      there: ask(installation(role, settings.systemdDir)),
      inUse: ask(inUse(role, settings.systemdDir)),
      servers: askEach(servers, serverData(settings.k3sServerLocation)),
      airgap: askControl(
        settings.airgapDir === undefined ? noAirgapFolder : airgapFolder(settings.airgapDir),
      ),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const { there } = seen;
    if (there.manager === 'none') {
      return refuse(
        'the host runs neither systemd nor OpenRC',
        'k3s needs a service manager: boot the host with one.',
      );
    }
    if (there.otherRole) {
      const other = node.role === 'server' ? 'agent' : 'server';
      return refuse(
        `the host is a k3s ${other} and shall become a ${node.role}`,
        `Reset it first: fleet reset --limit ${host.name}`,
      );
    }
    const env = wantedEnv(node, host, seen);
    if ('refused' in env) return refuse(env.refused, env.fix);
    const script = scriptSource(node, seen);
    if (script === undefined) {
      return refuse(
        `airgap_dir ${node.settings.airgapDir} holds no k3s-install.sh`,
        'Save the install script (https://get.k3s.io) there as k3s-install.sh, or set k3s_install_script to where it is.',
      );
    }
    return planInstallation(node, seen, env.variables, script);
  },
});

/** A file named by the inventory, the one in the airgap folder, else the official address; with airgap_dir nothing is fetched. */
function scriptSource({ settings }: K3sNodeView, seen: Seen): string | undefined {
  const inFolder = installScriptIn(seen.airgap, settings.k3sVersion);
  return (
    settings.k3sInstallScript ??
    inFolder?.path ??
    (settings.airgapDir === undefined ? settings.k3sInstallUrl : undefined)
  );
}

function planInstallation(
  node: K3sNodeView,
  seen: Seen,
  env: ReadonlyMap<string, string>,
  script: string,
): Plan<Seen> {
  const { there } = seen;
  const args = [node.role, ...node.extraArgs];
  const reasons = [
    ...(there.args === undefined ? [`${unitName(node.role)} is not installed`] : []),
    ...(there.args !== undefined && !sameList(there.args, args) ? ['its arguments differ'] : []),
    ...(there.args !== undefined && !there.uninstaller ? ['the uninstall script is missing'] : []),
  ];
  const complete = withForeign(env, there);
  const wrongEnv = differing(complete, there);
  const envReasons = [
    ...(there.args !== undefined && wrongEnv.length > 0
      ? [`${wrongEnv.join(', ')} in its environment file`]
      : []),
    ...(there.envMode !== undefined && there.envMode !== '0600'
      ? [`its environment file has mode ${there.envMode}`]
      : []),
  ];
  const because = [...reasons, ...envReasons].join('; ');
  if (because === '')
    return unchanged(`${unitName(node.role)} is installed with these arguments and variables`);
  const writeEnv: Action = {
    kind: 'write',
    path: there.envPath,
    content: new Secret(renderEnvFile(complete)),
    mode: '0600',
    owner: 'root',
    group: 'root',
  };
  return change(
    because,
    reasons.length > 0 ? [...installActions(node, env, args, script), writeEnv] : [writeEnv],
    {
      diff: [
        ...(there.args === undefined || !sameList(there.args, args)
          ? [
              {
                subject: `arguments of ${unitName(node.role)}`,
                before: there.args === undefined ? undefined : shownArgs(there.args),
                after: shownArgs(args),
              },
            ]
          : []),
      ],
      touches: ['service:*', 'file:*'],
      after: {
        there: {
          ...there,
          args,
          env: new Map([...complete].map(([name, value]) => [name, new Secret(value)])),
          envMode: '0600',
          uninstaller: true,
        },
        inUse:
          seen.inUse.state === 'absent'
            ? { ...seen.inUse, state: 'inactive', enabled: true }
            : withNewer(seen.inUse, there.envPath),
      },
    },
  );
}

function installActions(
  { settings }: K3sNodeView,
  env: ReadonlyMap<string, string>,
  args: readonly string[],
  from: string,
): readonly [Action, ...Action[]] {
  const variables: Record<string, string> = {
    INSTALL_K3S_SKIP_DOWNLOAD: 'true',
    INSTALL_K3S_SKIP_START: 'true',
    INSTALL_K3S_BIN_DIR: '/usr/local/bin',
    INSTALL_K3S_SYSTEMD_DIR: settings.systemdDir,
    ...(settings.airgapDir === undefined ? {} : { INSTALL_K3S_SKIP_SELINUX_RPM: 'true' }),
    ...settings.extraInstallEnvs,
    ...Object.fromEntries(env),
  };
  return [
    {
      kind: 'write',
      path: scriptPath,
      content: {
        fact: installScript({
          from,
          ...(settings.k3sInstallSha256 === undefined ? {} : { sha256: settings.k3sInstallSha256 }),
        }),
      },
      mode: '0700',
      owner: 'root',
      group: 'root',
    },
    {
      kind: 'run',
      what: `run the k3s install script: ${shownArgs(args)}`,
      survives: true,
      deadlineMs: 900_000,
      script: sh`${exportAll(variables)}
sh ${scriptPath} ${args}; code=$?; rm -f ${scriptPath}; exit "$code"`,
    },
  ];
}

function exportAll(variables: Readonly<Record<string, string>>): ShellScript {
  return raw(
    Object.entries(variables)
      .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      .map(([name, value]) => sh`export ${raw(name)}=${value}`.text)
      .join('\n'),
  );
}

type WantedEnv =
  | { readonly variables: ReadonlyMap<string, string> }
  | { readonly refused: string; readonly fix: string };

/** The variables that k3s shall find when it starts: how it joins, its token, and what the user adds. */
function wantedEnv(node: K3sNodeView, host: HostView, seen: Seen): WantedEnv {
  const token = wantedToken(node, host, seen);
  if (typeof token === 'object' && 'refused' in token) return token;
  const variables = new Map<string, string>();
  if (token !== undefined) variables.set('K3S_TOKEN', token);
  if (node.role === 'agent') variables.set('K3S_URL', joinUrl(node, seen));
  for (const [name, value] of Object.entries(node.settings.extraInstallEnvs)) {
    if (/^(K3S_|CONTAINERD_)/.test(name)) variables.set(name, value);
  }
  for (const assignment of node.settings.extraServiceEnvs) {
    const pair = splitAssignment(assignment);
    if (pair === undefined) {
      return {
        // What follows the name may be a password.
        refused: `extra_service_envs holds ${JSON.stringify(assignment.split('=')[0])}, which is no NAME=value`,
        fix: 'Write each entry as NAME=value.',
      };
    }
    variables.set(...pair);
  }
  return { variables };
}

/**
 * Nobody's token is ever replaced by another: the live cluster's counts. Agents and joining servers get it in full, CA
 * hash included, so that they cannot follow whatever else answers at the address.
 */
function wantedToken(
  node: K3sNodeView,
  host: HostView,
  seen: Seen,
): string | undefined | { readonly refused: string; readonly fix: string } {
  const live = [...seen.servers.values()].find((server) => server?.token !== undefined)?.token;
  const given = node.settings.token;
  if (live !== undefined && given !== undefined && passwordOf(live) !== passwordOf(given)) {
    return {
      refused: 'the token in the inventory is not the one that the cluster has',
      fix: 'Put the cluster’s own token there, or take it out: fleet reads the live one. To give the cluster another token: fleet rotate token, which then says what to put into the inventory.',
    };
  }
  const different = serversOfAnotherToken(seen.servers);
  if (different.length > 0) {
    return {
      refused: `${different.join(' and ')} have different tokens: a rotation was broken off`,
      fix: 'Finish it: fleet rotate token.',
    };
  }
  const has = seen.there.env?.get('K3S_TOKEN');
  const own = seen.servers.get(host.name);
  if (node.role === 'server') {
    if (own?.datastore !== 'none') return keepForm(has, given ?? has);
    if (live !== undefined) return live.reveal();
    // A CA that is not made yet has no hash: k3s takes the short form alone. @see https://docs.k3s.io/cli/token#server
    return given === undefined ? has?.reveal() : passwordOf(given);
  }
  const forAgents = [...seen.servers.values()].find((server) => server?.agentToken !== undefined)?.agentToken;
  // Whoever gave agents a token of their own does not want them to have the servers'; one that has it already keeps it.
  if (live !== undefined && forAgents !== undefined) {
    const opens =
      has !== undefined && [live, forAgents].some((token) => passwordOf(token) === passwordOf(has));
    return opens ? has.reveal() : forAgents.reveal();
  }
  if (live !== undefined) return keepForm(has, live);
  return {
    refused: 'no server of the cluster has a token yet',
    fix: 'Bring the servers up first: fleet up without --limit, or with the servers in it.',
  };
}

/** Servers with a database whose tokens do not agree, where some do not: one of them alone has heard of a rotation. */
function serversOfAnotherToken(servers: Seen['servers']): readonly string[] {
  const known = [...servers].flatMap(([name, data]) =>
    data?.token === undefined || data.datastore === 'none'
      ? []
      : [{ name, password: passwordOf(data.token) }],
  );
  return new Set(known.map(({ password }) => password)).size > 1 ? known.map(({ name }) => name) : [];
}

/** The token as it stands on the node when it opens the same cluster: a rewrite in the other form would cost a restart. */
function keepForm(has: Secret | undefined, wanted: Secret | undefined): string | undefined {
  if (has !== undefined && wanted !== undefined && passwordOf(has) === passwordOf(wanted))
    return has.reveal();
  return wanted?.reveal();
}

/** The endpoint for all; without one, the server it has (each tells it of the others), else one that runs. */
function joinUrl(node: K3sNodeView, seen: Seen): string {
  if (node.settings.apiEndpoint !== undefined) return endpointUrl(node);
  const current = seen.there.env?.get('K3S_URL')?.reveal();
  const urls = node.servers.map((server) => serverUrl(node, server));
  if (current !== undefined && urls.includes(current)) return current;
  const running = [...seen.servers].find(([, server]) => server?.running === true)?.[0];
  return serverUrl(node, running ?? node.servers[0] ?? '');
}

/** What others put into the file (a proxy that the install script found) stays; what k3s reads is ours. */
function withForeign(wanted: ReadonlyMap<string, string>, there: Installation): ReadonlyMap<string, string> {
  const foreign = [...(there.env ?? [])]
    .filter(([name]) => !/^(K3S_|CONTAINERD_)/.test(name) && !wanted.has(name))
    .map(([name, value]) => [name, value.reveal()] as const);
  return new Map([...foreign, ...wanted]);
}

function differing(wanted: ReadonlyMap<string, string>, there: Installation): string[] {
  const names = new Set([...wanted.keys(), ...(there.env?.keys() ?? [])]);
  return [...names].filter((name) => wanted.get(name) !== there.env?.get(name)?.reveal()).sort();
}

function shownArgs(args: readonly string[]): string {
  return argsWithoutSecrets(args).join(' ');
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
