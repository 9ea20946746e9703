/** Nodes whose releases come from where they are published, to be upgraded by an edit of `k3s_version`. */
import { k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import type { NodesWanted } from '../fleet/nodes.ts';
import { type ReleaseServer, startReleaseServer } from '../fleet/release-server.ts';
import { clusterNodes, type Lab, startLab } from './lab.ts';

export interface UpgradeLab extends Lab {
  readonly releases: ReleaseServer;
  /** Writes the inventory with these variables over those that name where releases come from; without any, with the first release. */
  write(vars?: Readonly<Record<string, unknown>>): Promise<void>;
  /** What each node runs, as the API tells it. */
  versions(): Promise<Readonly<Record<string, string>>>;
  /** Names of nodes that take no pods. */
  cordoned(): Promise<readonly string[]>;
}

/**
 * Fresh nodes, root logged in, and a server of releases.
 * @param releases the first is what the inventory asks for at first
 */
export async function startUpgradeLab(
  wanted: NodesWanted,
  releases: readonly [string, ...string[]],
  channels?: Readonly<Record<string, string>>,
): Promise<UpgradeLab> {
  const artifacts = await k3sArtifacts(releases);
  const lab = await startLab({
    user: 'root',
    ...wanted,
    vars: { airgap_dir: null, k3s_version: releases[0], ...wanted.vars },
  });
  try {
    const server = await startReleaseServer({
      artifacts,
      addresses: [lab.nodes.network.gateway],
      ...(channels === undefined ? {} : { channels }),
    });
    const stop = async (): Promise<void> => {
      await server.stop();
      await lab.stop();
    };
    const write = async (vars: Readonly<Record<string, unknown>> = {}): Promise<void> => {
      await lab.nodes.writeInventory({
        artifact_url: `${server.releasesUrl}/download`,
        channels_url: server.channelsUrl,
        k3s_install_url: server.installScriptUrl,
        ...vars,
      });
    };
    const versions = async () =>
      Object.fromEntries(
        Object.entries(await clusterNodes(lab.cli)).map(([name, { version }]) => [name, version]),
      );
    const cordoned = async () =>
      Object.entries(await clusterNodes(lab.cli)).flatMap(([name, node]) => (node.cordoned ? [name] : []));
    await write();
    return { ...lab, releases: server, write, versions, cordoned, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await lab.stop();
    throw error;
  }
}
