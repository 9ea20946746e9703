/** Fake nodes with a fleet that reaches them, and what a user would look at to see how the cluster is. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type CommandResult, runCommand } from '../fleet/docker.ts';
import { airgapFolder, defaultK3sVersion, k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import { provideProgram } from '../fleet/machine.ts';
import { type FakeFleet, type FakeNode, type NodesWanted, startNodes } from '../fleet/nodes.ts';
import { FleetCli } from './fleet-cli.ts';

/** Nodes and a command line of their own. */
export interface Lab extends AsyncDisposable {
  readonly nodes: FakeFleet;
  readonly cli: FleetCli;
  stop(): Promise<void>;
}

/** Fresh nodes whose inventory installs k3s from a folder: no network is needed. */
export async function startLab(wanted: NodesWanted): Promise<Lab> {
  const artifacts = await k3sArtifacts();
  const airgap = await airgapFolder(artifacts, defaultK3sVersion);
  const nodes = await startNodes({ ...wanted, vars: { airgap_dir: airgap, ...wanted.vars } });
  try {
    const cli = await FleetCli.make(nodes.directory, nodes.inventoryPath);
    const stop = (): Promise<void> => nodes.stop();
    return { nodes, cli, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await nodes.stop();
    throw error;
  }
}

/** A command on a node, as root and not through fleet. @throws where it fails */
export async function on(lab: Pick<Lab, 'nodes'>, node: FakeNode | string, script: string): Promise<string> {
  const target = typeof node === 'string' ? lab.nodes.node(node) : node;
  const { stdout, stderr, code } = await lab.nodes.exec(target, script);
  if (code !== 0) throw new Error(`on ${target.name}: ${script}\nexit ${code}: ${stderr}${stdout}`);
  return stdout.trimEnd();
}

/** The real kubectl of this machine, with the kubeconfig that fleet wrote. */
export async function kubectl(cli: FleetCli, ...args: readonly string[]): Promise<CommandResult> {
  await provideProgram('kubectl', 'kubernetes-client', 'the tests look at clusters as users do');
  return runCommand('kubectl', args, { env: { PATH: process.env.PATH, HOME: cli.home } });
}

/** A node as `kubectl get nodes` shows it. */
export interface SeenNode {
  readonly ready: boolean;
  readonly roles: readonly string[];
  /** Its member of etcd counts for the quorum; `undefined` without one. */
  readonly voter: boolean | undefined;
  readonly version: string;
  readonly cordoned: boolean;
}

interface NodeObject {
  metadata: { name: string; labels: Record<string, string> };
  spec: { unschedulable?: boolean };
  status: { conditions: { type: string; status: string }[]; nodeInfo: { kubeletVersion: string } };
}

/** The nodes of a cluster, by name. @param context as `cluster_context` names it */
export async function clusterNodes(
  cli: FleetCli,
  context = 'k3s-ansible',
): Promise<Readonly<Record<string, SeenNode>>> {
  const { stdout, stderr, code } = await kubectl(cli, '--context', context, 'get', 'nodes', '-o', 'json');
  if (code !== 0) throw new Error(`kubectl get nodes: ${stderr}`);
  const { items } = JSON.parse(stdout) as { items: NodeObject[] };
  return Object.fromEntries(items.map((node) => [node.metadata.name, seenNode(node)]));
}

function seenNode({ metadata, spec, status }: NodeObject): SeenNode {
  const condition = (type: string) => status.conditions.find((each) => each.type === type)?.status;
  const voter = condition('EtcdIsVoter');
  return {
    ready: condition('Ready') === 'True',
    roles: Object.keys(metadata.labels)
      .flatMap((label) => /^node-role\.kubernetes\.io\/(.+)$/.exec(label)?.[1] ?? [])
      .sort(),
    voter: voter === undefined ? undefined : voter === 'True',
    version: status.nodeInfo.kubeletVersion,
    cordoned: spec.unschedulable === true,
  };
}

/** When each service of a node last became active. Those of a login come and go with it. */
export async function serviceStarts(lab: Lab, node: FakeNode): Promise<Readonly<Record<string, string>>> {
  const listed = await on(lab, node, `systemctl show -p Id,ActiveEnterTimestampMonotonic '*.service'`);
  return Object.fromEntries(
    listed.split('\n\n').flatMap((unit) => {
      const [, id = ''] = /^Id=(.+)$/m.exec(unit) ?? [];
      const [, entered = ''] = /^ActiveEnterTimestampMonotonic=(.+)$/m.exec(unit) ?? [];
      return id.startsWith('user') ? [] : [[id, entered]];
    }),
  );
}

/** What fleet must never leave behind on a node: temporary files, jobs, locks. */
export async function remains(lab: Pick<Lab, 'nodes'>, node: FakeNode): Promise<string[]> {
  const found = await on(
    lab,
    node,
    `find / -xdev \\( -path /proc -o -path /sys \\) -prune -o \\( -name '.fleet-*~' -o -name '*.fleet-*~' \\) -print
     find /run /tmp -xdev \\( -name '.fleet-*' -o -path '/run/fleet*' \\) -print`,
  );
  return found.split('\n').filter((line) => line !== '');
}

/** A kubeconfig as a person has it already, with another cluster in it. */
export const officeKubeconfig = `# mine
apiVersion: v1
kind: Config
current-context: office
clusters:
- name: office
  cluster: {server: "https://office.invalid:6443", insecure-skip-tls-verify: true}
contexts:
- name: office
  context: {cluster: office, user: me, namespace: team}
users:
- name: me
  user: {token: office-token}
preferences: {}
`;

export async function writeKubeconfig(cli: FleetCli, text: string): Promise<void> {
  await mkdir(path.dirname(cli.kubeconfig), { recursive: true, mode: 0o700 });
  await writeFile(cli.kubeconfig, text, { mode: 0o600 });
  await chmod(cli.kubeconfig, 0o600);
}
