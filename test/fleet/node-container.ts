/**
 * One container that behaves like a machine: an init system as PID 1, an address that it keeps, a name of its own. What Docker must be
 * told for that differs between engines, so it is found out by starting one.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { GenericContainer, type WaitStrategy } from 'testcontainers';
import { cacheDirectory, dockerClient } from './docker.ts';
import { exclusively } from './machine.ts';

/** A container as Docker's client sees it. */
export type DockerContainer = Parameters<WaitStrategy['waitUntilReady']>[0];

/** What systemd in a container needs from Docker, narrowest first. */
const freedoms = {
  /** Works where `--privileged` does not, because the caller itself lacks CAP_SYS_RESOURCE. */
  capabilities: {
    CapAdd: ['ALL'],
    CapDrop: ['SYS_RESOURCE'],
    SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'],
    // What the command line calls `--security-opt systempaths=unconfined`.
    MaskedPaths: [],
    ReadonlyPaths: [],
  },
  allCapabilities: {
    CapAdd: ['ALL'],
    SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined', 'label=disable'],
    MaskedPaths: [],
    ReadonlyPaths: [],
  },
  privileged: { Privileged: true },
} as const;

/** A way of starting nodes that was seen to work with this engine. */
export type Freedom = keyof typeof freedoms;

const bootDeadline = 60_000;

/** What a new node is given before it starts. */
export interface NodeSettings {
  readonly image: string;
  readonly freedom: Freedom;
  readonly containerName: string;
  readonly hostName: string;
  readonly labels: Record<string, string>;
  readonly machineId: string;
  readonly authorizedKeys: string;
  readonly hostKeyTypes: readonly string[];
  readonly network?: { readonly name: string; readonly address: string };
}

/** Ready is: systemd or OpenRC has finished booting and, where the node has an address, sshd answers there. */
class Booted implements WaitStrategy {
  readonly #address: string | undefined;
  #deadline = bootDeadline;
  constructor(address: string | undefined) {
    this.#address = address;
  }
  async waitUntilReady(container: DockerContainer): Promise<void> {
    await untilBooted(container.id, this.#address, this.#deadline);
  }
  withStartupTimeout(milliseconds: number): this {
    this.#deadline = milliseconds;
    return this;
  }
  isStartupTimeoutSet(): boolean {
    return true;
  }
  getStartupTimeout(): number {
    return this.#deadline;
  }
}

/** testcontainers' container, with what it has no method for. */
export class NodeContainer extends GenericContainer {
  constructor(settings: NodeSettings) {
    super(settings.image);
    Object.assign(this.hostConfig, freedoms[settings.freedom], {
      CgroupnsMode: 'private',
      // A reboot ends PID 1 with an error code, and the machine must come back; after `docker kill` it stays down.
      RestartPolicy: { Name: 'on-failure' },
    });
    this.withName(settings.containerName)
      .withHostname(settings.hostName)
      .withLabels(settings.labels)
      // 64 MB of /run would be counted as the node's memory if something filled it; Debian's own default is a tenth of the RAM.
      .withTmpFs({ '/run': 'rw,nosuid,nodev,mode=755' })
      .withAutoCleanup(false)
      .withCopyContentToContainer([
        { content: `${settings.machineId}\n`, target: '/etc/machine-id', mode: 0o444 },
        { content: settings.authorizedKeys, target: '/etc/fake-node/authorized_keys', mode: 0o644 },
        { content: settings.hostKeyTypes.join(' '), target: '/etc/fake-node/host-key-types', mode: 0o644 },
      ])
      .withWaitStrategy(new Booted(settings.network?.address));
    if (settings.network) {
      this.withNetworkMode(settings.network.name);
      // Docker hands out addresses again when containers stop; a machine keeps its own.
      this.createOpts.NetworkingConfig = {
        EndpointsConfig: {
          [settings.network.name]: {
            IPAMConfig: { IPv4Address: settings.network.address },
            Aliases: [settings.hostName],
          },
        },
      };
    }
  }
}

/** Runs `sh -c script` in a container, as root and without SSH. */
export async function execIn(
  containerId: string,
  script: string,
): Promise<{ stdout: string; stderr: string; code: number }> {
  const { container } = await dockerClient();
  const { stdout, stderr, exitCode } = await container.exec(container.getById(containerId), [
    'sh',
    '-c',
    script,
  ]);
  return { stdout, stderr, code: exitCode };
}

/** Runs `sh -c script` in a short-lived container that sees the network of the machine that Docker runs on. */
export async function runOnHostNetwork(image: string, script: string): Promise<void> {
  await runInHelper(image, script, { NetworkMode: 'host', CapAdd: ['NET_ADMIN'] });
}

async function runInHelper(image: string, script: string, hostConfig: object): Promise<void> {
  const docker = (await dockerClient()).container.dockerode;
  const helper = await docker.createContainer({
    Image: image,
    Cmd: ['sh', '-c', script],
    Tty: true,
    HostConfig: hostConfig,
  });
  try {
    await helper.start();
    const { StatusCode: code }: { StatusCode: number } = await helper.wait();
    if (code !== 0) {
      throw new Error(
        `a helper container failed: ${String(await helper.logs({ stdout: true, stderr: true }))}`,
      );
    }
  } finally {
    await helper.remove({ force: true });
  }
}

/**
 * Each systemd holds three inotify instances, and the kernel allows one user 128 unless told: the fortieth node would fail to boot
 * with nothing in its log. Raises the limit of this machine where so many nodes need it, and says so.
 */
export async function makeRoomFor(nodes: number, image: string, freedom: Freedom): Promise<void> {
  const limitFile = '/proc/sys/fs/inotify/max_user_instances';
  const limit = Number(await readFile(limitFile, 'utf8'));
  const docker = (await dockerClient()).container.dockerode;
  const running = await docker.listContainers({ filters: { label: ['fleet-test.node'] } });
  const enough = 8192;
  if (limit >= enough || 3 * (running.length + nodes) + 64 <= limit) return;
  await writeFile(limitFile, String(enough)).catch(
    async () =>
      await runInHelper(image, `echo ${enough} >${limitFile}`, { ...freedoms[freedom], NetworkMode: 'none' }),
  );
  process.stderr.write(
    `nodes: for ${running.length + nodes} of them fs.inotify.max_user_instances of this machine is now ${enough} (was ${limit}; back at its next boot)\n`,
  );
}

/** Waits until systemd has booted and, where an address is given, sshd sends its banner; throws with the node's journal if not. */
export async function untilBooted(
  containerId: string,
  address: string | undefined,
  deadline = bootDeadline,
): Promise<void> {
  const end = Date.now() + deadline;
  // `--wait` needs systemd's own socket, which is not there in the first moments; then it waits without asking again.
  const boot = `for try in $(seq ${Math.ceil(deadline / 50)}); do
    if [ -x /sbin/openrc-run ]; then
      [ "$(cat /run/openrc/softlevel 2>/dev/null)" = default ] && [ ! -e /run/openrc/rc.starting ] && exit 0
    fi
    state=$(systemctl is-system-running --wait 2>/dev/null)
    case $state in running | degraded | maintenance) echo "$state"; exit 0 ;; esac
    sleep 0.05
  done
  exit 1`;
  let failure: string | undefined;
  do {
    failure = await Promise.race([
      execIn(containerId, boot).then(
        ({ code, stdout }) => (code === 0 ? undefined : `its init is ${stdout.trim() || 'not up'}`),
        (error: unknown) =>
          `no command can be run in it: ${error instanceof Error ? error.message : String(error)}`,
      ),
      after(end - Date.now(), `it has not finished booting within ${deadline / 1000} s`),
    ]);
    // In the middle of a reboot there is a moment when the container runs nothing, and a command that ran is gone.
    if (failure) await new Promise((resolve) => setTimeout(resolve, 50));
  } while (failure && Date.now() < end && (await isUp(containerId)));
  if (failure) throw new Error(`${failure}\n${await diagnosis(containerId)}`);
  if (address === undefined) return;
  while (!(await sendsBanner(address))) {
    if (Date.now() > end)
      throw new Error(`sshd does not answer at ${address}\n${await diagnosis(containerId)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether a container runs, or is about to. */
async function isUp(containerId: string): Promise<boolean> {
  const { container } = await dockerClient();
  const { State } = await container.getById(containerId).inspect();
  return State.Running || State.Restarting;
}

function after(milliseconds: number, message: string): Promise<string> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds, message).unref();
  });
}

/** Whether an SSH server greets at this address. */
function sendsBanner(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: 22, timeout: 2000 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('data', (data) => end(data.toString('latin1').startsWith('SSH-2.0-')));
    socket.on('timeout', () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
  });
}

/** What a person would look at first when a node does not come up. */
async function diagnosis(containerId: string): Promise<string> {
  const { container } = await dockerClient();
  const { State } = await container.getById(containerId).inspect();
  const state = `container: ${State.Status}, exit code ${State.ExitCode} ${State.Error}`.trimEnd();
  if (!State.Running) return state;
  const seen = await execIn(
    containerId,
    'if [ -x /sbin/openrc-run ]; then rc-status -a; else systemctl --failed --no-legend --plain; journalctl -b -n 30 --no-pager -p notice; fi 2>&1',
  );
  return `${state}\n${seen.stdout}${seen.stderr}`;
}

/**
 * The narrowest way in which this engine boots systemd: tried once with a container of its own, then remembered per engine
 * and image.
 */
export async function workingFreedom(image: string): Promise<Freedom> {
  const { container } = await dockerClient();
  const info: { ID?: string } = await container.dockerode.info();
  const memory = path.join(cacheDirectory, `freedom-${image.replace(/[^\w.-]/g, '-')}.json`);
  const known = async (): Promise<Freedom | undefined> => {
    const text = await readFile(memory, 'utf8').catch(() => '{}');
    const { engine, freedom }: { engine?: string; freedom?: string } = JSON.parse(text);
    return engine === info.ID && freedom !== undefined && isFreedom(freedom) ? freedom : undefined;
  };
  // Whoever waited for another process to try finds what it found.
  return (
    (await known()) ??
    (await exclusively(
      `${memory}.lock`,
      async () => (await known()) ?? (await narrowest(image, memory, info.ID)),
    ))
  );
}

/** Tries what freedoms there are, the narrowest first, and remembers the first that does. */
async function narrowest(image: string, memory: string, engine: string | undefined): Promise<Freedom> {
  const { container } = await dockerClient();
  const failures: string[] = [];
  for (const freedom of Object.keys(freedoms).filter(isFreedom)) {
    const containerName = `fleet-test-probe-${randomBytes(4).toString('hex')}`;
    try {
      await new NodeContainer({
        image,
        freedom,
        containerName,
        hostName: 'probe',
        labels: {},
        machineId: randomBytes(16).toString('hex'),
        authorizedKeys: '',
        hostKeyTypes: ['ed25519'],
      })
        .withStartupTimeout(20_000)
        .start();
      await writeFile(`${memory}.new`, JSON.stringify({ engine, freedom }));
      await rename(`${memory}.new`, memory);
      return freedom;
    } catch (error) {
      failures.push(`${freedom}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await container.dockerode
        .getContainer(containerName)
        .remove({ force: true, v: true })
        .catch(() => undefined);
    }
  }
  throw new Error(`this Docker Engine boots systemd in no way that we know:\n${failures.join('\n')}`);
}

function isFreedom(name: string): name is Freedom {
  return Object.hasOwn(freedoms, name);
}
