/** Whether the servers of a cluster answered, all the time that something was done to them. */
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';
import type { FakeNode } from '../fleet/nodes.ts';

/** Which servers said `ok` when all were asked at once. */
export interface Round {
  readonly atMs: number;
  readonly ready: readonly string[];
}

interface Kubeconfig {
  readonly clusters: readonly { cluster: { 'certificate-authority-data': string } }[];
  readonly users: readonly { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
}

const everyMs = 100;
const answerWithinMs = 1_000;

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

  /** How long at a stretch fewer servers than this were ready, from the last time that all was well to the next, in ms. */
  longestBelow(count: number): number {
    let longest = 0;
    let wellAt = this.rounds[0]?.atMs ?? 0;
    let isBelow = false;
    for (const { atMs, ready } of this.rounds) {
      if (isBelow) longest = Math.max(longest, atMs - wellAt);
      isBelow = ready.length < count;
      if (!isBelow) wellAt = atMs;
    }
    return longest;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#asking;
    this.#agent.destroy();
  }

  async #ask(): Promise<void> {
    while (!this.#isOver) {
      const atMs = performance.now();
      const answers = await Promise.all(this.#servers.map((node) => this.#isReady(node.address)));
      this.rounds.push({
        atMs,
        ready: this.#servers.filter((_, index) => answers[index]).map(({ name }) => name),
      });
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  #isReady(address: string): Promise<boolean> {
    return new Promise((resolve) => {
      const asked = request(
        { host: address, port: 6443, path: '/readyz', agent: this.#agent, timeout: answerWithinMs },
        (response) => {
          response.resume();
          resolve(response.statusCode === 200);
        },
      );
      asked.on('timeout', () => asked.destroy());
      asked.on('error', () => resolve(false));
      asked.end();
    });
  }
}
