package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// controllers does the work of kube-controller-manager, the scheduler and k3s's
// own controllers, and plays the pods that kubelets would run. One server does
// it at a time: the holder of a Lease.
type controllers struct {
	s         *server
	api       *api
	id        string
	leaseSeen string    // the holder's last renewal …
	leaseAt   time.Time // … and when we saw it: no clock of another host is trusted
	beatSeen  map[string]string
	beatAt    map[string]time.Time
	podStart  map[string]time.Time
	podStop   map[string]time.Time
	pending   bool // pods are on their way up or down
}

func newControllers(s *server) *controllers {
	return &controllers{s: s, api: s.api, id: s.node + "_" + newUID(), beatSeen: map[string]string{}, beatAt: map[string]time.Time{}, podStart: map[string]time.Time{}, podStop: map[string]time.Time{}}
}

const leaseSeconds = 6

func (c *controllers) run() {
	leading := false
	var seen int64
	var lastNodes, lastAll time.Time
	for ; ; time.Sleep(300 * time.Millisecond) {
		if c.s.store.ready() != nil {
			leading = false
			continue
		}
		was := leading
		leading = c.holdLease(leading)
		if !leading {
			continue
		}
		if !was {
			// What was seen before may be long past: start the clocks anew.
			c.beatSeen, c.beatAt = map[string]string{}, map[string]time.Time{}
		}
		busy := c.s.store.replica().activity()
		changed := busy != seen || !was
		if changed || time.Since(lastNodes) > time.Second {
			c.nodes()
			lastNodes = time.Now()
		}
		// Heartbeats alone are no reason to look at everything.
		if changed || c.pending || time.Since(lastAll) > 5*time.Second {
			seen = busy
			c.workloads()
			c.pods()
			c.garbage()
			c.namespaces()
			if time.Since(lastAll) > 5*time.Second {
				c.oldEvents()
				lastAll = time.Now()
			}
		}
	}
}

// holdLease takes or keeps the lease of the controller manager.
func (c *controllers) holdLease(leading bool) bool {
	r := builtin("leases")
	spec := obj{"holderIdentity": c.id, "leaseDurationSeconds": float64(leaseSeconds), "renewTime": nowMicro()}
	o, err := c.api.get(r, "kube-system", "kube-controller-manager")
	if isCode(err, 404) {
		_, err = c.api.create(r, "kube-system", obj{"metadata": obj{"name": "kube-controller-manager"}, "spec": spec})
		return err == nil
	}
	if err != nil {
		return false
	}
	seen := strAt(o, "spec", "renewTime") + strAt(o, "spec", "holderIdentity")
	if seen != c.leaseSeen {
		c.leaseSeen, c.leaseAt = seen, time.Now()
	}
	mine := strAt(o, "spec", "holderIdentity") == c.id
	if mine && leading && time.Since(c.leaseAt) < 2*time.Second {
		return true
	}
	if !mine && time.Since(c.leaseAt) < leaseSeconds*time.Second {
		return false
	}
	put(o, c.id, "spec", "holderIdentity")
	put(o, spec["renewTime"], "spec", "renewTime")
	_, err = c.api.update(r, "kube-system", "kube-controller-manager", o, false)
	return err == nil
}

// nodes marks silent nodes NotReady and ends deleted ones.
func (c *controllers) nodes() {
	r := builtin("nodes")
	nodes, _ := c.api.list(r, "")
	for _, n := range nodes {
		name := nameOf(n)
		if at(n, "metadata", "deletionTimestamp") != nil {
			c.endNode(n)
			continue
		}
		beat := ""
		if lease, err := c.api.get(builtin("leases"), "kube-node-lease", name); err == nil {
			beat = strAt(lease, "spec", "renewTime")
		}
		if c.beatSeen[name] != beat || c.beatAt[name].IsZero() {
			c.beatSeen[name], c.beatAt[name] = beat, time.Now()
		}
		silent := time.Since(c.beatAt[name]) > nodeGrace
		ready := condition(n, "Ready")
		if silent && ready != nil && ready["status"] != "Unknown" {
			c.api.modify(r, "", name, true, func(o obj) bool {
				for _, kind := range []string{"MemoryPressure", "DiskPressure", "PIDPressure"} {
					setCondition(o, kind, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
				}
				return setCondition(o, "Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
			})
			c.s.event("", "Node", name, "Normal", "NodeNotReady", fmt.Sprintf("Node %s status is now: NodeNotReady", name))
		}
		c.taintByState(n)
	}
	c.nodePasswords(nodes)
}

// taintByState keeps the taints that follow from a node's state.
func (c *controllers) taintByState(n obj) {
	want := map[string]string{}
	if u, _ := at(n, "spec", "unschedulable").(bool); u {
		want["node.kubernetes.io/unschedulable"] = "NoSchedule"
	}
	if ready := condition(n, "Ready"); ready != nil {
		switch ready["status"] {
		case "Unknown":
			want["node.kubernetes.io/unreachable"] = "NoExecute"
		case "False":
			want["node.kubernetes.io/not-ready"] = "NoExecute"
		}
	}
	ours := map[string]bool{"node.kubernetes.io/unschedulable": true, "node.kubernetes.io/unreachable": true, "node.kubernetes.io/not-ready": true}
	taints, changed := []any{}, false
	for _, t := range listAt(n, "spec", "taints") {
		key := strAt(t, "key")
		if ours[key] {
			if want[key] != strAt(t, "effect") {
				changed = true
				continue
			}
			delete(want, key)
		}
		taints = append(taints, t)
	}
	for key, effect := range want {
		changed = true
		taints = append(taints, obj{"key": key, "effect": effect, "timeAdded": now()})
	}
	if !changed {
		return
	}
	// Guarded by the revision that was read: a user may be tainting meanwhile.
	if len(taints) == 0 {
		drop(n, "spec", "taints")
	} else {
		put(n, taints, "spec", "taints")
	}
	c.api.update(builtin("nodes"), "", nameOf(n), n, false)
}

// endNode removes the etcd member of a deleted server before its Node goes.
func (c *controllers) endNode(n obj) {
	if !hasFinalizer(n, etcdFinalizer) {
		return
	}
	if c.s.raft != nil {
		if err := c.s.raft.removeByName(strAt(n, "metadata", "annotations", "etcd.k3s.cattle.io/node-name")); err != nil {
			if !errors.Is(err, errNoLeader) {
				errorf("failed to remove etcd member of node %s: %v", nameOf(n), err)
			}
			return
		}
	}
	c.api.modify(builtin("nodes"), "", nameOf(n), false, func(o obj) bool {
		put(o, without(listAt(o, "metadata", "finalizers"), etcdFinalizer), "metadata", "finalizers")
		return true
	})
}

// nodePasswords forgets the passwords, leases and pods of nodes that are gone.
func (c *controllers) nodePasswords(nodes []obj) {
	alive := map[string]bool{}
	for _, n := range nodes {
		alive[nameOf(n)] = true
	}
	for name := range c.beatAt {
		if !alive[name] {
			delete(c.beatAt, name)
			delete(c.beatSeen, name)
			c.api.delete(builtin("secrets"), "kube-system", name+".node-password.k3s", deleteOptions{})
			c.api.delete(builtin("leases"), "kube-node-lease", name, deleteOptions{})
		}
	}
	pods, _ := c.api.list(builtin("pods"), "")
	zero := 0.0
	for _, p := range pods {
		if n := strAt(p, "spec", "nodeName"); n != "" && !alive[n] {
			c.api.delete(builtin("pods"), nsOf(p), nameOf(p), deleteOptions{grace: &zero})
		}
	}
}

// removeByName takes a member out; one that is gone already is no error.
func (n *raftNode) removeByName(name string) error {
	n.mu.Lock()
	id := ""
	for _, m := range n.members {
		if m.Name == name {
			id = m.ID
		}
	}
	n.mu.Unlock()
	if id == "" {
		return nil
	}
	infof("Removing etcd member %s (%s)", name, id)
	ctx, cancel := contextTimeout(writeTimeout)
	defer cancel()
	_, _, err := n.propose(ctx, entry{Conf: &confChange{Remove: id}})
	return err
}

// garbage deletes what belonged to owners that are gone.
func (c *controllers) garbage() {
	for _, plural := range []string{"replicasets", "pods"} {
		r := builtin(plural)
		items, _ := c.api.list(r, "")
		for _, o := range items {
			owner := controllerOf(o)
			if owner == nil || at(o, "metadata", "deletionTimestamp") != nil {
				continue
			}
			or := c.api.findKind(strAt(owner, "apiVersion"), strAt(owner, "kind"))
			if or == nil {
				continue
			}
			real, err := c.api.get(or, nsOf(o), strAt(owner, "name"))
			if isCode(err, 404) || err == nil && uidOf(real) != strAt(owner, "uid") {
				c.api.delete(r, nsOf(o), nameOf(o), deleteOptions{})
			}
		}
	}
}

// namespaces ends those that are being deleted, once they are empty.
func (c *controllers) namespaces() {
	spaces, _ := c.api.list(builtin("namespaces"), "")
	for _, ns := range spaces {
		if at(ns, "metadata", "deletionTimestamp") == nil {
			continue
		}
		left := 0
		for _, r := range c.api.allResources() {
			if !r.namespaced {
				continue
			}
			items, _ := c.api.list(r, nameOf(ns))
			for _, o := range items {
				left++
				c.api.delete(r, nsOf(o), nameOf(o), deleteOptions{})
			}
		}
		if left == 0 {
			c.api.remove(builtin("namespaces"), "", nameOf(ns), -1)
		}
	}
}

// oldEvents forgets events after an hour, and all but the newest 200.
func (c *controllers) oldEvents() {
	events, _ := c.api.list(builtin("events"), "")
	for i, e := range events {
		t, _ := time.Parse(time.RFC3339, strAt(e, "lastTimestamp"))
		if time.Since(t) > time.Hour || i < len(events)-200 {
			c.api.delete(builtin("events"), nsOf(e), nameOf(e), deleteOptions{})
		}
	}
}

// template makes a pod from a workload's template.
func podFrom(owner obj, kind, name string) obj {
	pod := obj{"metadata": obj{}, "spec": obj{}}
	if t := mapAt(owner, "spec", "template"); t != nil {
		pod = deepCopy(t)
	}
	if mapAt(pod, "metadata") == nil {
		pod["metadata"] = obj{}
	}
	put(pod, name, "metadata", "name")
	put(pod, []any{obj{"apiVersion": "apps/v1", "kind": kind, "name": nameOf(owner), "uid": uidOf(owner), "controller": true, "blockOwnerDeletion": true}}, "metadata", "ownerReferences")
	return pod
}

// owned gives the live pods or sets that an owner controls.
func owned(items []obj, owner obj) (out []obj) {
	for _, o := range items {
		if ref := controllerOf(o); ref != nil && ref["uid"] == uidOf(owner) && at(o, "metadata", "deletionTimestamp") == nil {
			out = append(out, o)
		}
	}
	return
}

func templateHash(o obj) string {
	return caHash([]byte(fmt.Sprint(normal(obj{"t": at(o, "spec", "template")}))))[:10]
}

// workloads drives Deployments, ReplicaSets, StatefulSets and DaemonSets.
func (c *controllers) workloads() {
	pods, _ := c.api.list(builtin("pods"), "")
	sets, _ := c.api.list(builtin("replicasets"), "")
	deployments, _ := c.api.list(builtin("deployments"), "")
	for _, d := range deployments {
		c.deployment(d, owned(sets, d), pods)
	}
	for _, kind := range []string{"ReplicaSet", "StatefulSet"} {
		r := c.api.findKind("apps/v1", kind)
		items, _ := c.api.list(r, "")
		for _, set := range items {
			c.replicas(r, set, owned(pods, set))
		}
	}
	daemons, _ := c.api.list(builtin("daemonsets"), "")
	for _, d := range daemons {
		c.daemon(d, owned(pods, d))
	}
	budgets, _ := c.api.list(builtin("poddisruptionbudgets"), "")
	for _, pdb := range budgets {
		b := c.api.budget(pdb)
		status := normal(obj{"currentHealthy": b.healthy, "desiredHealthy": b.desired, "expectedPods": b.expected, "disruptionsAllowed": b.allowed, "observedGeneration": at(pdb, "metadata", "generation")})
		c.setStatus(builtin("poddisruptionbudgets"), pdb, status)
	}
}

func (c *controllers) setStatus(r *resource, o, status obj) {
	if !equal(mapAt(o, "status"), status) {
		o["status"] = status
		c.api.update(r, nsOf(o), nameOf(o), o, true)
	}
}

func (c *controllers) deployment(d obj, sets, pods []obj) {
	if at(d, "metadata", "deletionTimestamp") != nil {
		return
	}
	want, _ := numAt(d, "spec", "replicas")
	name := nameOf(d) + "-" + templateHash(d)
	var current obj
	for _, set := range sets {
		if nameOf(set) == name {
			current = set
		}
	}
	if current == nil {
		set := obj{"metadata": obj{"name": name, "labels": mapAt(d, "spec", "template", "metadata", "labels"),
			"ownerReferences": []any{obj{"apiVersion": "apps/v1", "kind": "Deployment", "name": nameOf(d), "uid": uidOf(d), "controller": true, "blockOwnerDeletion": true}}},
			"spec": obj{"replicas": want, "selector": at(d, "spec", "selector"), "template": at(d, "spec", "template")}}
		c.api.create(builtin("replicasets"), nsOf(d), normal(set))
		return
	}
	if n, _ := numAt(current, "spec", "replicas"); n != want {
		put(current, want, "spec", "replicas")
		c.api.update(builtin("replicasets"), nsOf(d), name, current, false)
	}
	ready, total, updated := 0, 0, 0
	for _, set := range sets {
		mine := owned(pods, set)
		for _, p := range mine {
			total++
			if podReady(p) {
				ready++
			}
		}
		if nameOf(set) == name {
			updated = len(mine)
		} else if readyIn(owned(pods, current)) >= int(want) {
			// The new pods stand: the old set goes.
			c.api.delete(builtin("replicasets"), nsOf(d), nameOf(set), deleteOptions{})
		}
	}
	available := obj{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "Deployment has minimum availability."}
	if ready < int(want) {
		available = obj{"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "Deployment does not have minimum availability."}
	}
	status := obj{"observedGeneration": at(d, "metadata", "generation"), "replicas": total, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": ready,
		"conditions": []any{available, obj{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "ReplicaSet has successfully progressed."}}}
	if missing := int(want) - ready; missing > 0 {
		status["unavailableReplicas"] = missing
	}
	c.setStatus(builtin("deployments"), d, normal(status))
}

func readyIn(pods []obj) (n int) {
	for _, p := range pods {
		if podReady(p) {
			n++
		}
	}
	return
}

func (c *controllers) replicas(r *resource, set obj, mine []obj) {
	if at(set, "metadata", "deletionTimestamp") != nil {
		return
	}
	want, _ := numAt(set, "spec", "replicas")
	live := mine[:0:0]
	for _, p := range mine {
		if phase := strAt(p, "status", "phase"); phase != "Failed" && phase != "Succeeded" {
			live = append(live, p)
		}
	}
	if r.kind == "StatefulSet" {
		have := map[string]bool{}
		for _, p := range live {
			have[nameOf(p)] = true
		}
		for i := 0; i < int(want); i++ {
			if name := fmt.Sprintf("%s-%d", nameOf(set), i); !have[name] {
				c.api.create(builtin("pods"), nsOf(set), podFrom(set, r.kind, name))
				break
			}
		}
	} else {
		for i := len(live); i < int(want); i++ {
			c.api.create(builtin("pods"), nsOf(set), podFrom(set, r.kind, nameOf(set)+"-"+randomHex(3)[:5]))
		}
	}
	for i := int(want); i < len(live); i++ {
		c.api.delete(builtin("pods"), nsOf(set), nameOf(live[i]), deleteOptions{})
	}
	ready := readyIn(live)
	c.setStatus(r, set, normal(obj{"replicas": len(live), "readyReplicas": ready, "availableReplicas": ready, "observedGeneration": at(set, "metadata", "generation")}))
}

func (c *controllers) daemon(d obj, mine []obj) {
	if at(d, "metadata", "deletionTimestamp") != nil {
		return
	}
	nodes, _ := c.api.list(builtin("nodes"), "")
	on := map[string]obj{}
	for _, p := range mine {
		on[strAt(p, "spec", "nodeName")] = p
	}
	desired, ready := 0, 0
	for _, n := range nodes {
		pod := podFrom(d, "DaemonSet", nameOf(d)+"-"+randomHex(3)[:5])
		put(pod, append(listAt(pod, "spec", "tolerations"),
			obj{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"},
			obj{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
			obj{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}), "spec", "tolerations")
		if !fits(pod, n) || at(n, "metadata", "deletionTimestamp") != nil {
			if p := on[nameOf(n)]; p != nil {
				c.api.delete(builtin("pods"), nsOf(p), nameOf(p), deleteOptions{})
			}
			continue
		}
		desired++
		p := on[nameOf(n)]
		if p == nil {
			put(pod, nameOf(n), "spec", "nodeName")
			c.api.create(builtin("pods"), nsOf(d), pod)
		} else if podReady(p) {
			ready++
		}
	}
	c.setStatus(builtin("daemonsets"), d, normal(obj{"desiredNumberScheduled": desired, "currentNumberScheduled": len(mine), "numberReady": ready, "numberAvailable": ready,
		"updatedNumberScheduled": len(mine), "numberMisscheduled": 0, "observedGeneration": at(d, "metadata", "generation")}))
}

// fits tells whether a pod may be on a node: node selector and taints.
func fits(pod, node obj) bool {
	labels := mapAt(node, "metadata", "labels")
	for k, v := range mapAt(pod, "spec", "nodeSelector") {
		if labels[k] != v {
			return false
		}
	}
	for _, t := range listAt(node, "spec", "taints") {
		if strAt(t, "effect") != "PreferNoSchedule" && !tolerates(pod, t) {
			return false
		}
	}
	return true
}

func tolerates(pod obj, taint any) bool {
	for _, t := range listAt(pod, "spec", "tolerations") {
		if e := strAt(t, "effect"); e != "" && e != strAt(taint, "effect") {
			continue
		}
		if k := strAt(t, "key"); k != "" && k != strAt(taint, "key") {
			continue
		}
		if strAt(t, "operator") == "Exists" || strAt(t, "value") == strAt(taint, "value") {
			return true
		}
	}
	return false
}

// pods schedules those that wait, and lets kubelets start and stop theirs.
func (c *controllers) pods() {
	r := builtin("pods")
	pods, _ := c.api.list(r, "")
	nodes, _ := c.api.list(builtin("nodes"), "")
	byName, load := map[string]obj{}, map[string]int{}
	for _, n := range nodes {
		byName[nameOf(n)] = n
	}
	for _, p := range pods {
		load[strAt(p, "spec", "nodeName")]++
	}
	known := map[string]bool{}
	c.pending = false
	for _, p := range pods {
		uid := uidOf(p)
		known[uid] = true
		node := strAt(p, "spec", "nodeName")
		if node == "" {
			if at(p, "metadata", "deletionTimestamp") == nil {
				c.schedule(p, nodes, load)
			}
			continue
		}
		n := byName[node]
		alive := n != nil && condition(n, "Ready") != nil && condition(n, "Ready")["status"] == "True"
		switch {
		case !alive:
			// A dead kubelet neither starts nor stops anything; its pods are not ready.
			if podReady(p) {
				c.api.modify(r, nsOf(p), nameOf(p), true, func(o obj) bool { return setCondition(o, "Ready", "False", "NodeNotReady", "") })
			}
		case at(p, "metadata", "deletionTimestamp") != nil:
			c.pending = true
			if c.podStop[uid].IsZero() {
				c.podStop[uid] = time.Now()
			} else if time.Since(c.podStop[uid]) >= podStopAfter {
				c.api.remove(r, nsOf(p), nameOf(p), -1)
			}
		case c.evicted(p, n):
			c.api.delete(r, nsOf(p), nameOf(p), deleteOptions{})
		case !podReady(p) && (strAt(p, "status", "phase") == "Pending" || strAt(p, "status", "phase") == "Running"):
			c.pending = true
			if c.podStart[uid].IsZero() {
				c.podStart[uid] = time.Now()
			} else if time.Since(c.podStart[uid]) > 600*time.Millisecond {
				c.startPod(p, n)
			}
		}
	}
	for uid := range c.podStart {
		if !known[uid] {
			delete(c.podStart, uid)
			delete(c.podStop, uid)
		}
	}
}

// evicted: a NoExecute taint drives out pods that do not tolerate it. Pods of a
// dead node stay; Kubernetes waits five minutes and so never matters here.
func (c *controllers) evicted(p, node obj) bool {
	for _, t := range listAt(node, "spec", "taints") {
		if strAt(t, "effect") == "NoExecute" && !tolerates(p, t) {
			return true
		}
	}
	return false
}

func (c *controllers) schedule(p obj, nodes []obj, load map[string]int) {
	best := ""
	for _, n := range nodes {
		ready := condition(n, "Ready")
		if ready == nil || ready["status"] != "True" || !fits(p, n) || at(n, "metadata", "deletionTimestamp") != nil {
			continue
		}
		if best == "" || load[nameOf(n)] < load[best] {
			best = nameOf(n)
		}
	}
	if best == "" {
		if condition(p, "PodScheduled") == nil {
			c.api.modify(builtin("pods"), nsOf(p), nameOf(p), true, func(o obj) bool {
				return setCondition(o, "PodScheduled", "False", "Unschedulable", "no node is available")
			})
		}
		return
	}
	load[best]++
	c.api.modify(builtin("pods"), nsOf(p), nameOf(p), false, func(o obj) bool { put(o, best, "spec", "nodeName"); return true })
}

func (c *controllers) startPod(p, node obj) {
	c.api.modify(builtin("pods"), nsOf(p), nameOf(p), true, func(o obj) bool {
		put(o, "Running", "status", "phase")
		put(o, nodeAddress(node, "InternalIP"), "status", "hostIP")
		if strAt(o, "status", "podIP") == "" {
			sum := caHash([]byte(uidOf(o)))
			a, _ := strconv.ParseInt(sum[:2], 16, 32)
			b, _ := strconv.ParseInt(sum[2:4], 16, 32)
			put(o, fmt.Sprintf("10.42.%d.%d", a%8, b%250+2), "status", "podIP")
		}
		put(o, now(), "status", "startTime")
		var containers []any
		for _, ct := range listAt(o, "spec", "containers") {
			containers = append(containers, obj{"name": strAt(ct, "name"), "image": strAt(ct, "image"), "ready": true, "started": true, "restartCount": 0.0, "state": obj{"running": obj{"startedAt": now()}}})
		}
		put(o, containers, "status", "containerStatuses")
		for _, kind := range []string{"PodScheduled", "Initialized", "ContainersReady", "Ready"} {
			setCondition(o, kind, "True", "", "")
		}
		return true
	})
}
