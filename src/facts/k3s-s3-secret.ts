import { Secret } from '../core/secret.ts';
import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { kubectlWords } from '../k3s/paths.ts';

/** The settings of an object store by their names, `etcd-s3-bucket`. */
export type S3Secret = ReadonlyMap<string, Secret>;

/**
 * What the Secret says that `etcd-s3-config-secret` names; empty where the API does not tell.
 * @see https://docs.k3s.io/cli/etcd-snapshot#s3-configuration-secret-support
 */
export function s3Secret(name: string): Fact<S3Secret> {
  return {
    key: `k3s:s3-secret:${name}`,
    sh: sh`${kubectlWords} get secret -n kube-system ${name} --request-timeout=10s -o ${'go-template={{range $name, $value := .data}}{{$name}} {{$value}}{{"\\n"}}{{end}}'} 2> /dev/null; true`,
    parse: ({ stdout }) =>
      new Map(
        stdout.split('\n').flatMap((line) => {
          const [key = '', encoded = ''] = line.split(' ');
          const text = Buffer.from(encoded, 'base64').toString('utf8');
          return key === '' || text === '' ? [] : [[key, new Secret(text)] as const];
        }),
      ),
    volatile: true,
  };
}
