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

/** Removed in 1.N, what, what takes its place, and of which kinds. */
const removals = `
32 flowcontrol.apiserver.k8s.io/v1beta3 flowcontrol.apiserver.k8s.io/v1      FlowSchema PriorityLevelConfiguration
29 flowcontrol.apiserver.k8s.io/v1beta2 flowcontrol.apiserver.k8s.io/v1      FlowSchema PriorityLevelConfiguration
27 storage.k8s.io/v1beta1               storage.k8s.io/v1                    CSIStorageCapacity
26 flowcontrol.apiserver.k8s.io/v1beta1 flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema PriorityLevelConfiguration
26 autoscaling/v2beta2                  autoscaling/v2                       HorizontalPodAutoscaler
25 autoscaling/v2beta1                  autoscaling/v2                       HorizontalPodAutoscaler
25 batch/v1beta1                        batch/v1                             CronJob
25 discovery.k8s.io/v1beta1             discovery.k8s.io/v1                  EndpointSlice
25 events.k8s.io/v1beta1                events.k8s.io/v1                     Event
25 node.k8s.io/v1beta1                  node.k8s.io/v1                       RuntimeClass
25 policy/v1beta1                       policy/v1                            PodDisruptionBudget
25 policy/v1beta1                       -                                    PodSecurityPolicy
22 admissionregistration.k8s.io/v1beta1 admissionregistration.k8s.io/v1      MutatingWebhookConfiguration ValidatingWebhookConfiguration
22 apiextensions.k8s.io/v1beta1         apiextensions.k8s.io/v1              CustomResourceDefinition
22 apiregistration.k8s.io/v1beta1       apiregistration.k8s.io/v1            APIService
22 authentication.k8s.io/v1beta1        authentication.k8s.io/v1             TokenReview
22 authorization.k8s.io/v1beta1         authorization.k8s.io/v1              LocalSubjectAccessReview SelfSubjectAccessReview SubjectAccessReview
22 certificates.k8s.io/v1beta1          certificates.k8s.io/v1               CertificateSigningRequest
22 coordination.k8s.io/v1beta1          coordination.k8s.io/v1               Lease
22 extensions/v1beta1                   networking.k8s.io/v1                 Ingress
22 networking.k8s.io/v1beta1            networking.k8s.io/v1                 Ingress IngressClass
22 rbac.authorization.k8s.io/v1beta1    rbac.authorization.k8s.io/v1         ClusterRole ClusterRoleBinding Role RoleBinding
22 scheduling.k8s.io/v1beta1            scheduling.k8s.io/v1                 PriorityClass
22 storage.k8s.io/v1beta1               storage.k8s.io/v1                    CSIDriver CSINode StorageClass VolumeAttachment
16 extensions/v1beta1                   networking.k8s.io/v1                 NetworkPolicy
16 extensions/v1beta1                   policy/v1beta1                       PodSecurityPolicy
16 extensions/v1beta1                   apps/v1                              DaemonSet Deployment ReplicaSet
16 apps/v1beta1                         apps/v1                              Deployment ReplicaSet StatefulSet
16 apps/v1beta2                         apps/v1                              DaemonSet Deployment ReplicaSet StatefulSet
`;

/** @see https://kubernetes.io/docs/reference/using-api/deprecation-guide/ */
export const removedApis: readonly RemovedApi[] = removals
  .trim()
  .split('\n')
  .map((line) => {
    const [removedIn, api = '', replacement, ...kinds] = line.split(/ +/);
    const [group = '', version = ''] = api.split('/');
    return {
      group,
      version,
      kinds,
      removedIn: Number(removedIn),
      replacement: replacement === '-' ? undefined : replacement,
    };
  });

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
