import { Secret } from '../core/secret.ts';
import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { kubeconfigPath } from '../k3s/paths.ts';

/** The kubeconfig that k3s wrote on a server; `undefined` where there is none yet. It holds the admin's key. */
export const serverKubeconfig: Fact<Secret | undefined> = {
  key: 'k3s:kubeconfig',
  sh: sh`cat ${kubeconfigPath} 2> /dev/null; true`,
  parse: ({ stdout }) => (stdout.trim() === '' ? undefined : new Secret(stdout)),
};
