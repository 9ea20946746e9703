import type { RefusedCluster } from './cluster-plan.ts';

export function refused(code: string, because: string, fix: string, host?: string): RefusedCluster {
  return { verdict: 'refused', code, because, fix, ...(host === undefined ? {} : { host }) };
}

/** What hosts that answer ail from: preparing them may mend it before their turn comes. */
export function mayPass(refusal: RefusedCluster): RefusedCluster {
  return { ...refusal, mayPass: true };
}

export function isRefused(outcome: object): outcome is RefusedCluster {
  return 'verdict' in outcome && outcome.verdict === 'refused';
}
