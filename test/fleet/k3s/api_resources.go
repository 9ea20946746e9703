package main

import (
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

// resource is one kind the API serves.
type resource struct {
	group, version   string
	plural, kind     string
	singular         string
	short            []string
	namespaced       bool
	categories       []string
	status, eviction bool // subresources
	binding          bool
	removed          string // the Kubernetes release that does not serve it any more, "1.32"
}

func (r *resource) apiVersion() string {
	if r.group == "" {
		return r.version
	}
	return r.group + "/" + r.version
}

// key is where an object lives in the datastore.
func (r *resource) key(ns, name string) string {
	k := "/registry/" + r.plural
	if r.group != "" && r.group != "apps" && r.group != "policy" {
		k = "/registry/" + r.group + "/" + r.plural
	}
	if r.namespaced {
		k += "/" + ns
	}
	return k + "/" + name
}

// prefix is where all of them live, or those of one namespace.
func (r *resource) prefix(ns string) string {
	k := strings.TrimSuffix(r.key("", ""), "/")
	k = strings.TrimSuffix(k, "/")
	if r.namespaced && ns != "" {
		return k + "/" + ns + "/"
	}
	return k + "/"
}

// resourceTable: group/version plural Kind short,names flags.
// Flags: n namespaced, s has a status subresource, a is in "kubectl get all".
// The minor version that removes it, where it is deprecated.
const resourceTable = `
v1 namespaces Namespace ns s
v1 nodes Node no s
v1 pods Pod po nsa
v1 services Service svc nsa
v1 configmaps ConfigMap cm n
v1 secrets Secret - n
v1 events Event ev n
v1 serviceaccounts ServiceAccount sa n
v1 endpoints Endpoints ep n
v1 persistentvolumes PersistentVolume pv s
v1 persistentvolumeclaims PersistentVolumeClaim pvc ns
v1 replicationcontrollers ReplicationController rc nsa
v1 resourcequotas ResourceQuota quota ns
v1 limitranges LimitRange limits n
apps/v1 deployments Deployment deploy nsa
apps/v1 replicasets ReplicaSet rs nsa
apps/v1 daemonsets DaemonSet ds nsa
apps/v1 statefulsets StatefulSet sts nsa
batch/v1 jobs Job - nsa
batch/v1 cronjobs CronJob cj nsa
policy/v1 poddisruptionbudgets PodDisruptionBudget pdb ns
policy/v1beta1 poddisruptionbudgets PodDisruptionBudget pdb ns
coordination.k8s.io/v1 leases Lease - n
discovery.k8s.io/v1 endpointslices EndpointSlice - n
networking.k8s.io/v1 ingresses Ingress ing ns
networking.k8s.io/v1 networkpolicies NetworkPolicy netpol n
networking.k8s.io/v1 ingressclasses IngressClass - -
rbac.authorization.k8s.io/v1 roles Role - n
rbac.authorization.k8s.io/v1 rolebindings RoleBinding - n
rbac.authorization.k8s.io/v1 clusterroles ClusterRole - -
rbac.authorization.k8s.io/v1 clusterrolebindings ClusterRoleBinding - -
storage.k8s.io/v1 storageclasses StorageClass sc -
scheduling.k8s.io/v1 priorityclasses PriorityClass pc -
flowcontrol.apiserver.k8s.io/v1 flowschemas FlowSchema - s
flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations PriorityLevelConfiguration - s
flowcontrol.apiserver.k8s.io/v1beta3 flowschemas FlowSchema - s 32
flowcontrol.apiserver.k8s.io/v1beta3 prioritylevelconfigurations PriorityLevelConfiguration - s 32
apiextensions.k8s.io/v1 customresourcedefinitions CustomResourceDefinition crd,crds s
k3s.cattle.io/v1 addons Addon - n
k3s.cattle.io/v1 etcdsnapshotfiles ETCDSnapshotFile - s
helm.cattle.io/v1 helmcharts HelmChart - ns
helm.cattle.io/v1 helmchartconfigs HelmChartConfig - n
`

var resources = parseResources()

func parseResources() []*resource {
	var out []*resource
	for _, line := range strings.Split(strings.TrimSpace(resourceTable), "\n") {
		f := strings.Fields(line)
		r := &resource{version: f[0], plural: f[1], kind: f[2], singular: strings.ToLower(f[2])}
		if g, v, ok := strings.Cut(f[0], "/"); ok {
			r.group, r.version = g, v
		}
		if len(f) > 5 {
			if last, _ := strconv.Atoi(f[5]); minor(version) >= last {
				continue
			}
			r.removed = "1." + f[5]
		}
		if f[3] != "-" {
			r.short = strings.Split(f[3], ",")
		}
		r.namespaced = strings.Contains(f[4], "n")
		r.status = strings.Contains(f[4], "s")
		if strings.Contains(f[4], "a") {
			r.categories = []string{"all"}
		}
		r.eviction = r.plural == "pods"
		r.binding = r.plural == "pods"
		out = append(out, r)
	}
	return out
}

// builtin finds a resource that is always there, by plural name.
func builtin(plural string) *resource {
	for _, r := range resources {
		if r.plural == plural {
			return r
		}
	}
	panic("no resource " + plural)
}

// askedFor remembers that a deprecated API was asked for, until this server ends.
func (a *api) askedFor(r *resource, sub string) {
	if r.removed != "" {
		a.deprecated.Store(fmt.Sprintf("group=%q,removed_release=%q,resource=%q,subresource=%q,version=%q", r.group, r.removed, r.plural, sub, r.version), true)
	}
}

// metrics tells which deprecated APIs were asked for, and nothing else that k3s tells at /metrics.
func (a *api) metrics(w io.Writer) {
	lines := []string{}
	a.deprecated.Range(func(labels, _ any) bool {
		lines = append(lines, fmt.Sprintf("apiserver_requested_deprecated_apis{%s} 1", labels))
		return true
	})
	sort.Strings(lines)
	fmt.Fprintln(w, "# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release.")
	fmt.Fprintln(w, "# TYPE apiserver_requested_deprecated_apis gauge")
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
}

// allResources adds those that CustomResourceDefinitions define.
func (a *api) allResources() []*resource {
	out := resources
	recs, _ := a.store.replica().list(builtin("customresourcedefinitions").prefix(""))
	for _, rec := range recs {
		crd := decode(rec)
		for _, v := range listAt(crd, "spec", "versions") {
			if served, _ := at(v, "served").(bool); !served {
				continue
			}
			r := &resource{group: strAt(crd, "spec", "group"), version: strAt(v, "name"), plural: strAt(crd, "spec", "names", "plural"),
				kind: strAt(crd, "spec", "names", "kind"), singular: strAt(crd, "spec", "names", "singular"),
				namespaced: strAt(crd, "spec", "scope") == "Namespaced", status: at(v, "subresources", "status") != nil}
			for _, s := range listAt(crd, "spec", "names", "shortNames") {
				if name, ok := s.(string); ok {
					r.short = append(r.short, name)
				}
			}
			out = append(out[:len(out):len(out)], r)
		}
	}
	return out
}

func (a *api) findResource(group, version, plural string) *resource {
	for _, r := range a.allResources() {
		if r.group == group && r.version == version && r.plural == plural {
			return r
		}
	}
	return nil
}

// findKind finds the resource of a manifest.
func (a *api) findKind(apiVersion, kind string) *resource {
	for _, r := range a.allResources() {
		if r.apiVersion() == apiVersion && r.kind == kind {
			return r
		}
	}
	return nil
}

// discovery answers /api, /apis and the resource lists below them.
func (a *api) discovery(path string) obj {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "/api":
		return obj{"kind": "APIVersions", "versions": []any{"v1"}, "serverAddressByClientCIDRs": []any{obj{"clientCIDR": "0.0.0.0/0", "serverAddress": a.advertise}}}
	case path == "/apis":
		groups := []any{}
		for _, g := range a.groups() {
			groups = append(groups, a.group(g))
		}
		return obj{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
	case len(parts) == 2 && parts[0] == "api" && parts[1] == "v1":
		return a.resourceList("", "v1")
	case len(parts) == 2 && parts[0] == "apis":
		for _, g := range a.groups() {
			if g == parts[1] {
				return a.group(g)
			}
		}
	case len(parts) == 3 && parts[0] == "apis":
		return a.resourceList(parts[1], parts[2])
	}
	return nil
}

func (a *api) groups() []string {
	seen, out := map[string]bool{}, []string{}
	for _, r := range a.allResources() {
		if r.group != "" && !seen[r.group] {
			seen[r.group] = true
			out = append(out, r.group)
		}
	}
	return out
}

func (a *api) group(name string) obj {
	versions, seen := []any{}, map[string]bool{}
	for _, r := range a.allResources() {
		if r.group == name && !seen[r.version] {
			seen[r.version] = true
			versions = append(versions, obj{"groupVersion": r.apiVersion(), "version": r.version})
		}
	}
	return obj{"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions, "preferredVersion": versions[0]}
}

func (a *api) resourceList(group, version string) obj {
	verbs := []any{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
	list := []any{}
	gv := ""
	for _, r := range a.allResources() {
		if r.group != group || r.version != version {
			continue
		}
		gv = r.apiVersion()
		entry := obj{"name": r.plural, "singularName": r.singular, "namespaced": r.namespaced, "kind": r.kind, "verbs": verbs}
		if len(r.short) > 0 {
			entry["shortNames"] = r.short
		}
		if len(r.categories) > 0 {
			entry["categories"] = r.categories
		}
		list = append(list, entry)
		if r.status {
			list = append(list, obj{"name": r.plural + "/status", "singularName": "", "namespaced": r.namespaced, "kind": r.kind, "verbs": []any{"get", "patch", "update"}})
		}
		if r.eviction {
			list = append(list, obj{"name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy", "version": "v1", "kind": "Eviction", "verbs": []any{"create"}})
		}
		switch r.plural {
		case "deployments", "replicasets", "statefulsets":
			list = append(list, obj{"name": r.plural + "/scale", "singularName": "", "namespaced": true, "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": []any{"get", "patch", "update"}})
		}
	}
	if gv == "" {
		return nil
	}
	return obj{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": gv, "resources": list}
}
