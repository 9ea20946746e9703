/** As much of an object as tells whether it is ready. */
export interface ObjectWithStatus {
  readonly kind?: string;
  readonly metadata?: { readonly name?: string; readonly generation?: number };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>> & {
    readonly conditions?: readonly {
      readonly type?: string;
      readonly status?: string;
      readonly message?: string;
    }[];
  };
}

/** What somebody waits for, instead of what is usual for the kind. */
export interface WantedCondition {
  readonly type: string;
  /** `True` unless said. */
  readonly status?: string;
  readonly reason?: string;
}

/** Whether an object has come to what it promises: `true`, or why not yet. Kinds that promise nothing are ready by being there. */
export function objectReady(object: ObjectWithStatus, wanted?: WantedCondition): true | string {
  const name = `${object.kind ?? 'object'} ${object.metadata?.name ?? ''}`.trim();
  if (wanted !== undefined) return conditionHolds(object, wanted, name);
  const { status = {}, spec = {} } = object;
  const count = (key: string): number => Number(status[key] ?? 0);
  const generation = object.metadata?.generation ?? 0;
  const isOld = Number(status.observedGeneration ?? 0) < generation;
  switch (object.kind) {
    case 'Deployment':
    case 'StatefulSet':
    case 'ReplicaSet': {
      if (isOld) return `${name} has not been looked at by its controller`;
      const replicas = Number(spec.replicas ?? 1);
      const ready = count(object.kind === 'Deployment' ? 'availableReplicas' : 'readyReplicas');
      const updated = object.kind === 'ReplicaSet' ? replicas : count('updatedReplicas');
      if (updated < replicas) return `${name}: ${updated} of ${replicas} replicas are updated`;
      return ready >= replicas ? true : `${name}: ${ready} of ${replicas} replicas are ready`;
    }
    case 'DaemonSet': {
      if (isOld) return `${name} has not been looked at by its controller`;
      const desired = count('desiredNumberScheduled');
      const updated = count('updatedNumberScheduled');
      if (updated < desired) return `${name}: ${updated} of ${desired} nodes are updated`;
      return count('numberReady') >= desired
        ? true
        : `${name}: ${count('numberReady')} of ${desired} nodes are ready`;
    }
    case 'Job':
      return conditionHolds(object, { type: 'Complete' }, name);
    case 'Pod':
      return status.phase === 'Succeeded' ? true : conditionHolds(object, { type: 'Ready' }, name);
    case 'Node':
      return conditionHolds(object, { type: 'Ready' }, name);
    case 'CustomResourceDefinition':
      return conditionHolds(object, { type: 'Established' }, name);
    case 'PersistentVolumeClaim':
      return status.phase === 'Bound' ? true : `${name} is ${String(status.phase ?? 'not bound')}`;
    default:
      return true;
  }
}

function conditionHolds(object: ObjectWithStatus, wanted: WantedCondition, name: string): true | string {
  const found = object.status?.conditions?.find(({ type }) => type === wanted.type);
  const status = wanted.status ?? 'True';
  if (found?.status === status) return true;
  const now =
    found === undefined
      ? `has no condition ${wanted.type}`
      : `is ${wanted.type}=${found.status ?? 'Unknown'}, not ${status}`;
  return `${name} ${now}${found?.message === undefined || found.message === '' ? '' : `: ${found.message}`}`;
}
