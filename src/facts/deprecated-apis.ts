import { type ShellScript, sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { binaryPath, kubectlWords } from '../k3s/paths.ts';

/** An API on its way out that somebody has asked a server for since its API started. */
export interface DeprecatedRequest {
  readonly group: string;
  readonly version: string;
  /** `cronjobs` */
  readonly resource: string;
  /** The minor version of Kubernetes 1 that does not serve it any more. */
  readonly removedIn: number;
}

const metric = 'apiserver_requested_deprecated_apis';

/**
 * Which deprecated APIs were asked for, by the metric that every API server has for it. A server whose binary is of the
 * wanted minor version already is not asked: its metrics are megabytes.
 * @param wantedMinor `v1.34`; left out where only the control node can tell what is wanted
 * @see https://kubernetes.io/blog/2020/09/03/warnings/#metrics
 */
export function deprecatedRequests(wantedMinor: string | undefined): Fact<readonly DeprecatedRequest[]> {
  return {
    key: `k3s:deprecated-requests:${wantedMinor ?? ''}`,
    sh: metricsUnless(wantedMinor),
    parse: ({ stdout }) =>
      stdout.split('\n').flatMap((line): DeprecatedRequest[] => {
        const [, labels, value] = /^[a-z_]+\{(.*)\} (\S+)$/.exec(line) ?? [];
        if (labels === undefined || Number(value) === 0) return [];
        const of = (name: string): string => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
        const [, removedIn] = /^1\.(\d+)$/.exec(of('removed_release')) ?? [];
        if (removedIn === undefined) return [];
        const [group, version, resource] = [of('group'), of('version'), of('resource')];
        return [{ group, version, resource, removedIn: Number(removedIn) }];
      }),
    volatile: true,
  };
}

function metricsUnless(wantedMinor: string | undefined): ShellScript {
  const isThere = wantedMinor === undefined ? 'no version' : `k3s version ${wantedMinor}.`;
  return sh`if [ -x ${binaryPath} ]; then
  case "$(${binaryPath} --version 2> /dev/null)" in
    ${isThere}*) ;;
    *) ${kubectlWords} get --raw /metrics --request-timeout=20s 2> /dev/null | sed -n ${`/^${metric}{/p`} ;;
  esac
fi; true`;
}
