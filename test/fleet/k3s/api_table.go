package main

import (
	"fmt"
	"strings"
	"time"
)

// Tables are how the server tells kubectl what to print.

type column struct {
	name string
	wide bool
	cell func(obj) any
}

func field(path string) func(obj) any {
	keys := strings.Split(path, ".")
	return func(o obj) any {
		if v := at(o, keys...); v != nil {
			return v
		}
		return "<none>"
	}
}

var (
	nameColumn = column{"Name", false, func(o obj) any { return nameOf(o) }}
	ageColumn  = column{"Age", false, func(o obj) any { return age(strAt(o, "metadata", "creationTimestamp")) }}
)

// tableColumns holds what is printed between name and age, and after it.
var tableColumns = map[string][]column{
	"nodes": {
		{"Status", false, func(o obj) any { return nodeStatus(o) }},
		{"Roles", false, func(o obj) any { return nodeRoles(o) }},
		ageColumn,
		{"Version", false, field("status.nodeInfo.kubeletVersion")},
		{"Internal-IP", true, func(o obj) any { return nodeAddress(o, "InternalIP") }},
		{"External-IP", true, func(o obj) any { return nodeAddress(o, "ExternalIP") }},
		{"OS-Image", true, field("status.nodeInfo.osImage")},
		{"Kernel-Version", true, field("status.nodeInfo.kernelVersion")},
		{"Container-Runtime", true, field("status.nodeInfo.containerRuntimeVersion")},
	},
	"pods": {
		{"Ready", false, func(o obj) any {
			n := len(listAt(o, "spec", "containers"))
			if podReady(o) {
				return fmt.Sprintf("%d/%d", n, n)
			}
			return fmt.Sprintf("0/%d", n)
		}},
		{"Status", false, func(o obj) any {
			if at(o, "metadata", "deletionTimestamp") != nil {
				return "Terminating"
			}
			return at(o, "status", "phase")
		}},
		{"Restarts", false, func(obj) any { return "0" }},
		ageColumn,
		{"IP", true, field("status.podIP")},
		{"Node", true, field("spec.nodeName")},
		{"Nominated Node", true, func(obj) any { return "<none>" }},
		{"Readiness Gates", true, func(obj) any { return "<none>" }},
	},
	"namespaces": {{"Status", false, field("status.phase")}, ageColumn},
	"configmaps": {{"Data", false, func(o obj) any { return len(mapAt(o, "data")) + len(mapAt(o, "binaryData")) }}, ageColumn},
	"secrets":    {{"Type", false, field("type")}, {"Data", false, func(o obj) any { return len(mapAt(o, "data")) }}, ageColumn},
	"services": {
		{"Type", false, field("spec.type")}, {"Cluster-IP", false, field("spec.clusterIP")},
		{"External-IP", false, func(obj) any { return "<none>" }}, {"Port(s)", false, func(o obj) any {
			var out []string
			for _, p := range listAt(o, "spec", "ports") {
				proto := strAt(p, "protocol")
				if proto == "" {
					proto = "TCP"
				}
				out = append(out, scalarText(at(p, "port"))+"/"+proto)
			}
			return strings.Join(out, ",")
		}}, ageColumn},
	"deployments": {
		{"Ready", false, func(o obj) any {
			return fmt.Sprintf("%s/%s", count(o, "status.readyReplicas"), count(o, "spec.replicas"))
		}},
		{"Up-to-date", false, func(o obj) any { return count(o, "status.updatedReplicas") }},
		{"Available", false, func(o obj) any { return count(o, "status.availableReplicas") }}, ageColumn},
	"replicasets": {
		{"Desired", false, func(o obj) any { return count(o, "spec.replicas") }},
		{"Current", false, func(o obj) any { return count(o, "status.replicas") }},
		{"Ready", false, func(o obj) any { return count(o, "status.readyReplicas") }}, ageColumn},
	"daemonsets": {
		{"Desired", false, func(o obj) any { return count(o, "status.desiredNumberScheduled") }},
		{"Current", false, func(o obj) any { return count(o, "status.currentNumberScheduled") }},
		{"Ready", false, func(o obj) any { return count(o, "status.numberReady") }}, ageColumn},
	"poddisruptionbudgets": {
		{"Min Available", false, naField("spec.minAvailable")}, {"Max Unavailable", false, naField("spec.maxUnavailable")},
		{"Allowed Disruptions", false, func(o obj) any { return count(o, "status.disruptionsAllowed") }}, ageColumn},
	"leases": {{"Holder", false, field("spec.holderIdentity")}, ageColumn},
	"events": {
		{"Last Seen", false, func(o obj) any { return age(strAt(o, "lastTimestamp")) }}, {"Type", false, field("type")}, {"Reason", false, field("reason")},
		{"Object", false, func(o obj) any {
			return strings.ToLower(strAt(o, "involvedObject", "kind")) + "/" + strAt(o, "involvedObject", "name")
		}},
		{"Message", false, field("message")}},
}

func naField(path string) func(obj) any {
	get := field(path)
	return func(o obj) any {
		if v := get(o); v != "<none>" {
			return scalarText(v)
		}
		return "N/A"
	}
}

func count(o obj, path string) string {
	n, _ := numAt(o, strings.Split(path, ".")...)
	return scalarText(n)
}

// table prints objects for kubectl; each row carries the object's metadata, or all of it.
func table(r *resource, items []obj, rev string, whole bool) obj {
	columns := append([]column{nameColumn}, tableColumns[r.plural]...)
	if tableColumns[r.plural] == nil {
		columns = append(columns, ageColumn)
	}
	if r.plural == "events" {
		columns = columns[1:]
	}
	defs := make([]any, len(columns))
	for i, c := range columns {
		priority := 0
		if c.wide {
			priority = 1
		}
		format := ""
		if c.name == "Name" {
			format = "name"
		}
		defs[i] = obj{"name": c.name, "type": "string", "format": format, "description": "", "priority": priority}
	}
	rows := make([]any, len(items))
	for i, o := range items {
		cells := make([]any, len(columns))
		for j, c := range columns {
			cells[j] = c.cell(o)
		}
		var inner any = obj{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": o["metadata"]}
		if whole {
			inner = r.stamp(o)
		}
		rows[i] = obj{"cells": cells, "object": inner}
	}
	return obj{"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": obj{"resourceVersion": rev}, "columnDefinitions": defs, "rows": rows}
}

func age(stamp string) string {
	t, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return "<unknown>"
	}
	d := time.Since(t)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 10*time.Minute:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 3*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func nodeStatus(o obj) string {
	out := "NotReady"
	c := condition(o, "Ready")
	switch {
	case c == nil:
		out = "Unknown"
	case c["status"] == "True":
		out = "Ready"
	}
	if u, _ := at(o, "spec", "unschedulable").(bool); u {
		out += ",SchedulingDisabled"
	}
	return out
}

func nodeRoles(o obj) string {
	var roles []string
	for _, k := range sortedKeys(mapAt(o, "metadata", "labels")) {
		if role := strings.TrimPrefix(k, "node-role.kubernetes.io/"); role != k && role != "" {
			roles = append(roles, role)
		}
	}
	if len(roles) == 0 {
		return "<none>"
	}
	return strings.Join(roles, ",")
}

func nodeAddress(o obj, kind string) string {
	for _, a := range listAt(o, "status", "addresses") {
		if strAt(a, "type") == kind {
			return strAt(a, "address")
		}
	}
	return "<none>"
}

func podReady(o obj) bool {
	c := condition(o, "Ready")
	return c != nil && c["status"] == "True"
}
