/** Somebody who works with the cluster all the time that something is done to it. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setInterval as everyMs } from 'node:timers/promises';
import { kubectl, type Lab } from './lab.ts';

const pauseMs = 1_000;

/** Writes an object each second, at whichever server takes it, as through a load balancer. */
export class ObjectWriter {
  /** Objects that some server took. */
  written = 0;
  /** What the servers said where none of them took it. */
  readonly refused: string[] = [];
  readonly #over = new AbortController();
  readonly #writing: Promise<void>;

  constructor(private readonly lab: Lab) {
    this.#writing = this.#write();
  }

  /** Ends with the object that is on its way. */
  async stop(): Promise<void> {
    this.#over.abort();
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { signal } = this.#over;
    try {
      for await (const _tick of everyMs(pauseMs, undefined, { signal })) await this.#writeOne();
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #writeOne(): Promise<void> {
    const file = path.join(this.lab.nodes.directory, 'written.json');
    const metadata = { name: `written-${this.written}`, namespace: 'default' };
    await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata }));
    const said: string[] = [];
    for (const node of this.lab.nodes.servers) {
      const { code, stderr } = await kubectl(
        this.lab.cli,
        ...['--server', `https://${node.address}:6443`, '--request-timeout=5s'],
        ...['create', '--validate=false', '-f', file],
      );
      if (code === 0 || /already exists/.test(stderr)) {
        this.written += 1;
        return;
      }
      said.push(stderr);
    }
    this.refused.push(said.join(''));
  }
}
