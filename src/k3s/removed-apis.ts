import type { K3sVersion } from './version.ts';

/** A version of a Kubernetes API that later releases no longer serve. */
export interface RemovedApi {
  /** `policy`; empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** As manifests name them. */
  readonly kinds: readonly string[];
  /** The first minor version of Kubernetes 1 that does not serve it. */
  readonly removedIn: number;
  /** `batch/v1`; `undefined` where nothing takes its place. */
  readonly replacement: string | undefined;
}

function removed(removedIn: number, apiVersion: string, kinds: string, replacement?: string): RemovedApi {
  const [group = '', version = ''] = apiVersion.split('/');
  return { group, version, kinds: kinds.split(' '), removedIn, replacement };
}

/** @see https://kubernetes.io/docs/reference/using-api/deprecation-guide/ */
export const removedApis: readonly RemovedApi[] = [
  removed(
    32,
    'flowcontrol.apiserver.k8s.io/v1beta3',
    'FlowSchema PriorityLevelConfiguration',
    'flowcontrol.apiserver.k8s.io/v1',
  ),
  removed(
    29,
    'flowcontrol.apiserver.k8s.io/v1beta2',
    'FlowSchema PriorityLevelConfiguration',
    'flowcontrol.apiserver.k8s.io/v1',
  ),
  removed(27, 'storage.k8s.io/v1beta1', 'CSIStorageCapacity', 'storage.k8s.io/v1'),
  removed(
    26,
    'flowcontrol.apiserver.k8s.io/v1beta1',
    'FlowSchema PriorityLevelConfiguration',
    'flowcontrol.apiserver.k8s.io/v1beta3',
  ),
  removed(26, 'autoscaling/v2beta2', 'HorizontalPodAutoscaler', 'autoscaling/v2'),
  removed(25, 'autoscaling/v2beta1', 'HorizontalPodAutoscaler', 'autoscaling/v2'),
  removed(25, 'batch/v1beta1', 'CronJob', 'batch/v1'),
  removed(25, 'discovery.k8s.io/v1beta1', 'EndpointSlice', 'discovery.k8s.io/v1'),
  removed(25, 'events.k8s.io/v1beta1', 'Event', 'events.k8s.io/v1'),
  removed(25, 'node.k8s.io/v1beta1', 'RuntimeClass', 'node.k8s.io/v1'),
  removed(25, 'policy/v1beta1', 'PodDisruptionBudget', 'policy/v1'),
  removed(25, 'policy/v1beta1', 'PodSecurityPolicy'),
  removed(
    22,
    'admissionregistration.k8s.io/v1beta1',
    'MutatingWebhookConfiguration ValidatingWebhookConfiguration',
    'admissionregistration.k8s.io/v1',
  ),
  removed(22, 'apiextensions.k8s.io/v1beta1', 'CustomResourceDefinition', 'apiextensions.k8s.io/v1'),
  removed(22, 'apiregistration.k8s.io/v1beta1', 'APIService', 'apiregistration.k8s.io/v1'),
  removed(22, 'authentication.k8s.io/v1beta1', 'TokenReview', 'authentication.k8s.io/v1'),
  removed(
    22,
    'authorization.k8s.io/v1beta1',
    'LocalSubjectAccessReview SelfSubjectAccessReview SubjectAccessReview',
    'authorization.k8s.io/v1',
  ),
  removed(22, 'certificates.k8s.io/v1beta1', 'CertificateSigningRequest', 'certificates.k8s.io/v1'),
  removed(22, 'coordination.k8s.io/v1beta1', 'Lease', 'coordination.k8s.io/v1'),
  removed(22, 'extensions/v1beta1', 'Ingress', 'networking.k8s.io/v1'),
  removed(22, 'networking.k8s.io/v1beta1', 'Ingress IngressClass', 'networking.k8s.io/v1'),
  removed(
    22,
    'rbac.authorization.k8s.io/v1beta1',
    'ClusterRole ClusterRoleBinding Role RoleBinding',
    'rbac.authorization.k8s.io/v1',
  ),
  removed(22, 'scheduling.k8s.io/v1beta1', 'PriorityClass', 'scheduling.k8s.io/v1'),
  removed(
    22,
    'storage.k8s.io/v1beta1',
    'CSIDriver CSINode StorageClass VolumeAttachment',
    'storage.k8s.io/v1',
  ),
  removed(16, 'extensions/v1beta1', 'NetworkPolicy', 'networking.k8s.io/v1'),
  removed(16, 'extensions/v1beta1', 'PodSecurityPolicy', 'policy/v1beta1'),
  removed(16, 'extensions/v1beta1', 'DaemonSet Deployment ReplicaSet', 'apps/v1'),
  removed(16, 'apps/v1beta1', 'Deployment ReplicaSet StatefulSet', 'apps/v1'),
  removed(16, 'apps/v1beta2', 'DaemonSet Deployment ReplicaSet StatefulSet', 'apps/v1'),
];

/** The entry for an object of a manifest, where the release no longer serves it. */
export function removedFor(apiVersion: string, kind: string, release: K3sVersion): RemovedApi | undefined {
  return removedApis.find(
    (api) =>
      `${api.group}/${api.version}` === apiVersion &&
      api.kinds.includes(kind) &&
      api.removedIn <= release.minor,
  );
}

/** What to use in the place of an API that clients still ask for, by what its metric says of it. */
export function replacementOf(group: string, version: string, resource: string): string | undefined {
  const found = removedApis.find(
    (api) =>
      api.group === group &&
      api.version === version &&
      api.kinds.some((kind) => resource.startsWith(kind.toLowerCase().replace(/y$/, ''))),
  );
  return found?.replacement;
}
