import type { RefusedCluster } from './cluster-plan.ts';

export function refused(code: string, because: string, fix: string, host?: string): RefusedCluster {
  return { verdict: 'refused', code, because, fix, ...(host === undefined ? {} : { host }) };
}

export function isRefused(outcome: object): outcome is RefusedCluster {
  return 'verdict' in outcome && outcome.verdict === 'refused';
}
