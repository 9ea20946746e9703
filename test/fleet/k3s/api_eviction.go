package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// evict removes a pod unless a PodDisruptionBudget forbids it now.
func (a *api) evict(ns, name string, eviction obj, dry bool) error {
	pods := builtin("pods")
	pod, err := a.get(pods, ns, name)
	if err != nil {
		return err
	}
	if phase := strAt(pod, "status", "phase"); phase != "Succeeded" && phase != "Failed" && at(pod, "metadata", "deletionTimestamp") == nil {
		budgets, _ := a.list(builtin("poddisruptionbudgets"), ns)
		for _, pdb := range budgets {
			if !matchSelector(mapAt(pdb, "spec", "selector"), mapAt(pod, "metadata", "labels")) {
				continue
			}
			b := a.budget(pdb)
			// A pod that is not ready counts for nothing: it may always go.
			if b.allowed <= 0 && podReady(pod) {
				return &apiError{429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.",
					obj{"causes": []any{obj{"reason": "DisruptionBudget", "message": fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently", nameOf(pdb), b.desired, b.healthy)}}}}
			}
		}
	}
	if dry {
		return nil
	}
	opt := deleteOptions{}
	if g, ok := numAt(eviction, "deleteOptions", "gracePeriodSeconds"); ok {
		opt.grace = &g
	}
	_, err = a.delete(pods, ns, name, opt)
	return err
}

type budgetState struct{ healthy, desired, expected, allowed int }

// budget counts what a PodDisruptionBudget allows at this moment.
func (a *api) budget(pdb obj) (b budgetState) {
	all, _ := a.list(builtin("pods"), nsOf(pdb))
	owners := map[string]bool{}
	bare := 0
	for _, p := range all {
		if !matchSelector(mapAt(pdb, "spec", "selector"), mapAt(p, "metadata", "labels")) {
			continue
		}
		if phase := strAt(p, "status", "phase"); phase == "Succeeded" || phase == "Failed" {
			continue
		}
		if podReady(p) && at(p, "metadata", "deletionTimestamp") == nil {
			b.healthy++
		}
		if owner := controllerOf(p); owner != nil {
			if uid := strAt(owner, "uid"); !owners[uid] {
				owners[uid] = true
				b.expected += a.replicasOf(nsOf(p), owner)
			}
		} else {
			bare++
		}
	}
	b.expected += bare
	if v := at(pdb, "spec", "maxUnavailable"); v != nil {
		b.desired = b.expected - portion(v, b.expected)
	} else {
		v := at(pdb, "spec", "minAvailable")
		if v == nil {
			v = 1.0
		}
		b.desired = portion(v, b.expected)
	}
	b.allowed = b.healthy - b.desired
	if b.allowed < 0 {
		b.allowed = 0
	}
	return b
}

func (a *api) replicasOf(ns string, owner obj) int {
	r := a.findKind(strAt(owner, "apiVersion"), strAt(owner, "kind"))
	if r == nil {
		return 0
	}
	o, err := a.get(r, ns, strAt(owner, "name"))
	if err != nil {
		return 0
	}
	n, ok := numAt(o, "spec", "replicas")
	if !ok {
		n, _ = numAt(o, "status", "desiredNumberScheduled")
	}
	return int(n)
}

// portion reads a number or a percentage, rounded up as Kubernetes does.
func portion(v any, of int) int {
	if s, ok := v.(string); ok {
		if p, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64); err == nil {
			if strings.HasSuffix(s, "%") {
				return int(math.Ceil(p * float64(of) / 100))
			}
			return int(p)
		}
		return 0
	}
	n, _ := v.(float64)
	return int(n)
}

// controllerOf gives the owner that controls an object.
func controllerOf(o obj) obj {
	for _, ref := range listAt(o, "metadata", "ownerReferences") {
		if m, ok := ref.(obj); ok && m["controller"] == true {
			return m
		}
	}
	return nil
}

// orphanDependents takes an object's name off the things it owns.
func (a *api) orphanDependents(o obj) error {
	for _, plural := range []string{"pods", "replicasets"} {
		r := builtin(plural)
		items, _ := a.list(r, nsOf(o))
		for _, item := range items {
			if c := controllerOf(item); c != nil && c["uid"] == uidOf(o) {
				err := a.modify(r, nsOf(item), nameOf(item), false, func(x obj) bool { drop(x, "metadata", "ownerReferences"); return true })
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}
