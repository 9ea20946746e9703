/** How long a rollout pauses, and whether somebody is asked. */
export interface RolloutPause {
  /** On a terminal somebody says when it goes on. */
  readonly asks: boolean;
  /** How long it waits where nobody is asked; where it is `undefined`, the run ends there. */
  readonly durationMs: number | undefined;
}

/** After whom a rollout can pause. */
export const pausePoints = ['canary', 'servers'] as const;
export type PausePoint = (typeof pausePoints)[number];
export type RolloutPauses = Readonly<Partial<Record<PausePoint, RolloutPause>>>;

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

/** `10m` (also `30s`, `2h`): waits. `ask`: asks, or ends the run. `ask 10m`: asks, or waits. `undefined` for anything else. */
export function parsePause(text: string): RolloutPause | undefined {
  const [, asks, amount, unit = ''] =
    /^(?=.)(ask)?\s*(?:(\d{1,6})([smh]))?$/.exec(text.trim().toLowerCase()) ?? [];
  if (asks === undefined && amount === undefined) return undefined;
  const durationMs = amount === undefined ? undefined : Number(amount) * (unitMs[unit] ?? 0);
  return { asks: asks !== undefined, durationMs };
}
