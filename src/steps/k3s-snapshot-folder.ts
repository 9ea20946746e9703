import { flagValue } from '../k3s/command-line.ts';
import type { K3sNodeView } from './k3s-node.ts';

/** The value of a setting of k3s as the inventory gives it: a flag wins over the config file. */
export function k3sSetting(node: K3sNodeView, name: string): string | undefined {
  const value = flagValue(node.extraArgs, `--${name}`) ?? node.config[name];
  if (value === undefined || value === null) return undefined;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Where a server keeps its snapshots. @see https://docs.k3s.io/cli/etcd-snapshot */
export function snapshotFolderOf(node: K3sNodeView): string {
  return k3sSetting(node, 'etcd-snapshot-dir') ?? `${node.settings.k3sServerLocation}/server/db/snapshots`;
}

/** Whether snapshots are sent to an object store too. */
export function usesObjectStore(node: K3sNodeView): boolean {
  const value = k3sSetting(node, 'etcd-s3');
  return value === 'true' || node.extraArgs.includes('--etcd-s3');
}

/**
 * Whether `k3s etcd-snapshot` knows the object store too: it reads the config file and not the flags of the service, and
 * fleet hands it none, for keys among arguments are for all to read.
 */
export function commandsUseObjectStore(node: K3sNodeView): boolean {
  return String(node.config['etcd-s3']) === 'true';
}
