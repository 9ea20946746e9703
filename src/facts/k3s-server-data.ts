import { Secret } from '../core/secret.ts';
import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** What a server keeps of a cluster on its disk. */
export interface ServerData {
  /**
   * `none`: it was never part of a cluster, or its data was wiped; authorities may stand ready for one that is yet to begin.
   * `external`: certificates and a token, but no database of its own.
   */
  readonly datastore: 'none' | 'sqlite' | 'etcd' | 'external';
  /** Full form, `K10<sha256 of the CA>::server:<password>`. */
  readonly token: Secret | undefined;
  /** Of clusters that give agents one of their own (`agent-token`); absent where agents join with `token`. */
  readonly agentToken?: Secret;
  readonly running: boolean;
  /** The host name as the kernel has it, lower case: what k3s calls the node unless it is told otherwise. */
  readonly hostName: string;
}

/** @see https://docs.k3s.io/datastore and https://docs.k3s.io/cli/token for what stands where */
export function serverData(dataFolder: string): Fact<ServerData> {
  return {
    key: `k3s:server-data:${dataFolder}`,
    sh: sh`data=${dataFolder}/server
if [ -d "$data/db/etcd/member" ] || [ -e "$data/db/etcd/name" ] || [ -d "$data/db/etcd" ]; then echo etcd
elif [ -e "$data/db/state.db" ]; then echo sqlite
elif [ -e "$data/tls/server-ca.crt" ] && { [ -e "$data/token" ] || [ -e "$data/node-token" ]; }; then echo external
else echo none; fi
if [ -d /run/systemd/units ] && [ ! -L /run/systemd/units/invocation:k3s.service ]; then echo stopped
elif systemctl is-active --quiet k3s 2> /dev/null || rc-service k3s status > /dev/null 2>&1; then echo running; else echo stopped; fi
read -r name < /proc/sys/kernel/hostname; echo "$name"
cat "$data/token" 2> /dev/null || cat "$data/node-token" 2> /dev/null || echo
if [ -f "$data/agent-token" ] && [ ! -L "$data/agent-token" ]; then cat "$data/agent-token"; fi
true`,
    parse: ({ stdout }) => {
      const [datastore, running, hostName = '', token = '', agentToken = ''] = stdout.split('\n');
      if (
        datastore !== 'none' &&
        datastore !== 'sqlite' &&
        datastore !== 'etcd' &&
        datastore !== 'external'
      ) {
        throw new Error(`unknown datastore ${JSON.stringify(datastore)}`);
      }
      return {
        datastore,
        token: token.trim() === '' ? undefined : new Secret(token.trim()),
        ...(agentToken.trim() === '' || agentToken.trim() === token.trim()
          ? {}
          : { agentToken: new Secret(agentToken.trim()) }),
        running: running === 'running',
        hostName: hostName.toLowerCase(),
      };
    },
  };
}
