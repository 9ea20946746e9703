/** Whether the servers of a cluster answered, all the time that something was done to them. */
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';
import type { FakeNode } from '../fleet/nodes.ts';

/** What the servers said when all were asked at once. */
export interface Round {
  /** Those that said `ok`. */
  readonly ready: readonly string[];
  /** Those at whose port nobody listened: their k3s did not run. One that elects a leader listens, and is not ready. */
  readonly away: readonly string[];
}

interface Kubeconfig {
  readonly clusters: readonly { cluster: { 'certificate-authority-data': string } }[];
  readonly users: readonly { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
}

type Answer = 'ready' | 'not ready' | 'away';

const everyMs = 100;
/** Long, for a busy machine; who does not listen is known at once, or does not exist. */
const answerWithinMs = 5_000;

/** Asks each server's own API for /readyz, as the admin and again and again, until it is stopped. */
export class ReadyzWatch {
  readonly rounds: Round[] = [];
  readonly #agent: Agent;
  readonly #servers: readonly FakeNode[];
  #isOver = false;
  readonly #asking: Promise<void>;

  private constructor(servers: readonly FakeNode[], agent: Agent) {
    this.#servers = servers;
    this.#agent = agent;
    this.#asking = this.#ask();
  }

  /** @param kubeconfig the file that fleet wrote, with nothing but this cluster in it */
  static async start(servers: readonly FakeNode[], kubeconfig: string): Promise<ReadyzWatch> {
    const { clusters, users } = parse(await readFile(kubeconfig, 'utf8')) as Kubeconfig;
    const bytes = (base64: string | undefined): Buffer => Buffer.from(base64 ?? '', 'base64');
    const agent = new Agent({
      keepAlive: false,
      ca: bytes(clusters[0]?.cluster['certificate-authority-data']),
      cert: bytes(users[0]?.user['client-certificate-data']),
      key: bytes(users[0]?.user['client-key-data']),
    });
    return new ReadyzWatch(servers, agent);
  }

  /** How many servers did not run at the same moment, at most. With one of three or more the others have a quorum. */
  get mostAway(): number {
    return Math.max(...this.rounds.map(({ away }) => away.length));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#asking;
    this.#agent.destroy();
  }

  async #ask(): Promise<void> {
    while (!this.#isOver) {
      const answers = await Promise.all(this.#servers.map((node) => this.#answerOf(node.address)));
      const names = (wanted: Answer): string[] =>
        this.#servers.filter((_, index) => answers[index] === wanted).map(({ name }) => name);
      this.rounds.push({ ready: names('ready'), away: names('away') });
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  #answerOf(address: string): Promise<Answer> {
    return new Promise((resolve) => {
      let listens = false;
      const asked = request(
        { host: address, port: 6443, path: '/readyz', agent: this.#agent, timeout: answerWithinMs },
        (response) => {
          response.resume();
          resolve(response.statusCode === 200 ? 'ready' : 'not ready');
        },
      );
      asked.on('socket', (socket) =>
        socket.on('connect', () => {
          listens = true;
        }),
      );
      asked.on('timeout', () => asked.destroy());
      asked.on('error', () => resolve(listens ? 'not ready' : 'away'));
      asked.end();
    });
  }
}
