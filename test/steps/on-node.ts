import { expect } from 'vitest';
import type { ShellScript } from '../../src/core/shell.ts';
import type { Action } from '../../src/engine/action.ts';
import { scriptOf } from '../../src/engine/action-script.ts';
import type { Plan } from '../../src/engine/step.ts';
import type { Answer } from '../../src/ssh/connection.ts';
import { readArguments } from '../../src/steps/arguments.ts';
import { stepNamed } from '../../src/steps/registry.ts';
import type { NodeFamily } from '../fleet/image.ts';
import { type FakeFleet, startNodes } from '../fleet/nodes.ts';
import { hostView } from './here.ts';

/** One fake node on which steps are run with their real tools, through Docker: neither SSH nor the engine takes part. */
export class StepNode {
  readonly #fleet: FakeFleet;

  constructor(fleet: FakeFleet) {
    this.#fleet = fleet;
  }

  static async start(family: NodeFamily = 'debian'): Promise<StepNode> {
    return new StepNode(await startNodes({ servers: 1, family }));
  }

  async stop(): Promise<void> {
    await this.#fleet.stop();
  }

  async run(script: string): Promise<Answer> {
    const node = this.#fleet.servers[0];
    if (node === undefined) throw new Error('no node');
    const { stdout, stderr, code } = await this.#fleet.exec(node, script);
    return { stdout, stderr, code };
  }

  async says(script: string): Promise<string> {
    return (await this.run(script)).stdout.trim();
  }

  /** Installs Debian packages; false where no mirror can be reached. */
  async installs(packages: string): Promise<boolean> {
    const { code } = await this.run(
      `export DEBIAN_FRONTEND=noninteractive; { timeout 60 apt-get update -q && timeout 240 apt-get install -y -q --no-install-recommends ${packages}; } >/dev/null 2>&1`,
    );
    return code === 0;
  }

  async plan(name: string, written: unknown): Promise<Plan<Record<string, unknown>>> {
    const step = stepNamed(name);
    if (step === undefined) throw new Error(name);
    const args = readArguments<unknown>(step, written);
    const seen: Record<string, unknown> = {};
    for (const [question, asked] of Object.entries(step.look(args, hostView()))) {
      const { fact } = asked as unknown as {
        fact: { sh: ShellScript; parse: (answer: Answer) => unknown; key: string };
      };
      const answer = await this.run(fact.sh.text);
      expect(answer.stderr, fact.key).toBe('');
      seen[question] = fact.parse(answer);
    }
    return step.plan(seen, args, hostView());
  }

  async perform(actions: readonly Action[]): Promise<readonly (Answer | undefined)[]> {
    const answers: (Answer | undefined)[] = [];
    for (const action of actions) {
      if (action.kind !== 'run' && action.kind !== 'write' && action.kind !== 'remove')
        throw new Error(action.kind);
      const answer = await this.run(scriptOf(action, {}, `e2e-${answers.length}-${Date.now()}`).text);
      expect(
        answer.code,
        `${'what' in action ? action.what : action.path}: ${answer.stderr}${answer.stdout}`,
      ).toBe(0);
      answers.push(answer);
    }
    return answers;
  }

  /** A change that leaves nothing to change. */
  async lands(name: string, written: unknown): Promise<Plan<Record<string, unknown>>> {
    const first = await this.plan(name, written);
    expect(first.verdict, first.because).toBe('change');
    if (first.verdict === 'change') await this.perform(first.actions);
    const second = await this.plan(name, written);
    expect(second.verdict, second.because).toBe('unchanged');
    return first;
  }
}
