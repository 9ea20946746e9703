import { FleetError } from '../../core/errors.ts';
import { k3sNodes } from '../../facts/k3s-nodes.ts';
import { wantedRelease } from '../../facts/k3s-release.ts';
import { settingsOf } from '../../inventory/settings.ts';
import { upgradePath } from '../../k3s/upgrade-path.ts';
import { type K3sVersion, parseVersion, whyNotUpgrade } from '../../k3s/version.ts';
import { accessTo } from '../access.ts';
import { askHosts, asRoot } from '../ask-hosts.ts';
import { clusterRun, siteVars } from '../cluster-run.ts';
import type { Invocation, RunCommand } from '../command.ts';
import { driveApply, driveAsking, drivePlan } from '../drive.ts';
import { type ExitCode, exit } from '../exit-codes.ts';
import { type OpenedFleet, openFleet } from '../open-fleet.ts';

/** Another release of k3s on the whole cluster, one minor version at a time. */
export const upgrade: RunCommand = async (invocation) => {
  const to = invocation.flags.text('to');
  const opened = await openFleet(to === undefined ? invocation : withRelease(invocation, to), {
    needsCluster: true,
  });
  const hops = await hopsOf(invocation, opened);
  if (hops.length > 1) {
    invocation.console.note(
      `${hops.length} upgrades, one after the other: ${hops.map(({ text }) => text).join(', then ')}.`,
    );
  }
  return hopByHop(invocation, hops);
};

/** Each hop is a run of its own. Who has agreed to the first has agreed to the way. */
async function hopByHop(invocation: Invocation, hops: readonly K3sVersion[]): Promise<ExitCode> {
  for (const [index, release] of hops.entries()) {
    const hop = withRelease(invocation, release.text);
    const wanted = await clusterRun(hop, {
      command: 'upgrade',
      playbook: 'upgrade',
      vars: siteVars(invocation.flags),
    });
    if (invocation.settings.check) {
      const code = await drivePlan(hop, wanted);
      const later = hops.slice(index + 1);
      if (later.length > 0)
        invocation.console.note(
          `Then, planned when it is their turn: ${later.map(({ text }) => text).join(', ')}.`,
        );
      return code;
    }
    if (hops.length > 1) invocation.console.note(`Upgrade ${index + 1} of ${hops.length}: ${release.text}`);
    const code = await (index === 0
      ? driveAsking(hop, wanted, hops.length > 1 ? `Do it, and the ${hops.length - 1} after it?` : 'Do it?')
      : driveApply(hop, wanted));
    if (code !== exit.ok) return code;
  }
  return exit.ok;
}

/** The same call with `k3s_version` set above all else. */
function withRelease(invocation: Invocation, release: string): Invocation {
  const { settings } = invocation;
  return {
    ...invocation,
    settings: { ...settings, extraVars: [...settings.extraVars, JSON.stringify({ k3s_version: release })] },
  };
}

/** The releases to run one after the other. @throws FleetError UPGRADE_PATH where minor versions would be skipped and nobody said how to go */
async function hopsOf(invocation: Invocation, opened: OpenedFleet): Promise<readonly K3sVersion[]> {
  const cluster = opened.cluster();
  const [first] = cluster.servers;
  if (first === undefined) throw noServer();
  const { k3sVersion, channelsUrl, airgapDir } = settingsOf(first);
  const to = await wantedRelease(k3sVersion, channelsUrl, airgapDir).read();
  const running = await serversRun(invocation, opened);
  const backwards = running
    .map((from) => whyNotUpgrade(from, to))
    .find((why) => why?.because.includes('back'));
  const path = upgradePath(running, to);
  if (backwards !== undefined)
    throw new FleetError({ code: 'UPGRADE_PATH', message: backwards.because, fix: backwards.fix });
  if (path.between.length === 0) return [to];
  const way = invocation.flags.text('upgradePath');
  if (way === undefined) {
    throw new FleetError({
      code: 'UPGRADE_PATH',
      message: `the servers run ${path.from.text}, and ${to.text} is ${path.between.length + 1} minor versions ahead; a control plane takes them one at a time: ${[...path.between, to.text].join(', ')}`,
      fix: 'Let fleet do them one after the other with --upgrade-path auto, or name the releases: --upgrade-path v1.34.2+k3s1.',
    });
  }
  const named = way === 'auto' ? [] : way.split(',').map((text) => text.trim());
  return [
    ...(await Promise.all(
      path.between.map((minor) => {
        const release = named.find((text) => text === minor || text.startsWith(`${minor}.`)) ?? minor;
        return wantedRelease(release, channelsUrl, undefined).read();
      }),
    )),
    to,
  ];
}

/** What the servers run, by the first API that answers. */
async function serversRun(invocation: Invocation, opened: OpenedFleet): Promise<readonly K3sVersion[]> {
  const { servers } = opened.cluster();
  const answers = await askHosts(
    await accessTo(opened, invocation),
    new Map(servers.map(({ name }) => [name, [k3sNodes]])),
    asRoot,
  );
  for (const answer of answers) {
    const told = answer.of(k3sNodes);
    if (told === undefined || !('nodes' in told)) continue;
    return told.nodes.filter((node) => node.controlPlane).flatMap((node) => parseVersion(node.version) ?? []);
  }
  const failed = answers.find((answer) => answer.failed !== undefined)?.failed;
  throw (
    failed ??
    new FleetError({
      code: 'NOT_UPGRADABLE',
      message: 'no server answers, so there is nothing to upgrade, or nobody to ask',
      fix: 'Bring the cluster up first: fleet up.',
    })
  );
}

function noServer(): FleetError {
  return new FleetError({
    code: 'NO_SERVER',
    message: 'the cluster has no server',
    fix: 'Put at least one host into the server group.',
    blame: 'usage',
  });
}
