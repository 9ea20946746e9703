/**
 * Fake nodes as the tests have them, plus what others need on every host: Python for Ansible and mitogen, and rsync. fleet needs neither; it
 * is measured on the same nodes.
 */
import { dockerClient, runCommand } from '../test/fleet/docker.ts';
import { nodeImage, nodeImageTag } from '../test/fleet/image.ts';
import { type FakeFleet, startNodes } from '../test/fleet/nodes.ts';

/** One server and `count - 1` agents, freshly booted. Their owner calls `stop()`. */
export async function startNodesWithPython(
  count: number,
  vars: Readonly<Record<string, unknown>> = {},
): Promise<FakeFleet> {
  await provideImageWithPython();
  return await startNodes({ servers: 1, agents: count - 1, user: 'debian', vars });
}

let provided: Promise<void> | undefined;

/**
 * `startNodes` runs the image whose tag `nodeImageTag` gives, and builds one only where there is none. So the image of the tests, with
 * Python added, is put under the tag that a base image of our own leads to.
 */
async function provideImageWithPython(): Promise<void> {
  provided ??= (async () => {
    const plain = await nodeImage();
    process.env.FLEET_TEST_BASE_IMAGE = `${plain} with python3 and rsync`;
    const tag = await nodeImageTag('debian');
    const docker = (await dockerClient()).container.dockerode;
    const there = await docker
      .getImage(tag)
      .inspect()
      .then(
        () => true,
        () => false,
      );
    if (there) return;
    process.stderr.write(`bench: building ${tag}, the node image with python3 and rsync\n`);
    const dockerfile = [
      `FROM ${plain}`,
      'RUN apt-get update -q && apt-get install -y -q --no-install-recommends python3 rsync && rm -rf /var/lib/apt/lists/*',
      '',
    ].join('\n');
    const { code, stdout, stderr } = await runCommand(
      'docker',
      ['build', '--network', 'host', '-t', tag, '-'],
      { input: dockerfile },
    );
    if (code !== 0)
      throw new Error(`the image with python3 and rsync could not be built:\n${stdout}${stderr}`);
  })();
  await provided;
}
