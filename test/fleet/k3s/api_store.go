package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// api is the Kubernetes API over a datastore: what kube-apiserver does, as far
// as kubectl and the controllers here can tell.
type api struct {
	store      store
	advertise  string   // IP:port of this server
	deprecated sync.Map // what was asked for of deprecated APIs, as labels of a metric
}

// apiError becomes a Status object.
type apiError struct {
	code    int
	reason  string
	message string
	details obj
}

func (e *apiError) Error() string { return e.message }

func (e *apiError) status() obj {
	s := obj{"kind": "Status", "apiVersion": "v1", "metadata": obj{}, "status": "Failure", "message": e.message, "reason": e.reason, "code": e.code}
	if e.reason == "" {
		delete(s, "reason")
	}
	if e.details != nil {
		s["details"] = e.details
	}
	return s
}

func (r *resource) qualified() string {
	if r.group == "" {
		return r.plural
	}
	return r.plural + "." + r.group
}

func (r *resource) details(name string) obj {
	return obj{"name": name, "group": r.group, "kind": r.plural}
}

func notFound(r *resource, name string) *apiError {
	return &apiError{404, "NotFound", fmt.Sprintf("%s %q not found", r.qualified(), name), r.details(name)}
}

func conflict(r *resource, name string) *apiError {
	return &apiError{409, "Conflict", fmt.Sprintf("Operation cannot be fulfilled on %s %q: the object has been modified; please apply your changes to the latest version and try again", r.qualified(), name), r.details(name)}
}

func invalid(r *resource, name, what string) *apiError {
	return &apiError{422, "Invalid", fmt.Sprintf("%s %q is invalid: %s", r.kind, name, what), r.details(name)}
}

// storeError turns a datastore's failure into what kube-apiserver answers then.
func storeError(err error) *apiError {
	return &apiError{500, "", err.Error(), nil}
}

func isCode(err error, code int) bool {
	var e *apiError
	return errors.As(err, &e) && e.code == code
}

// decode reads a record and stamps it with its revision.
func decode(rec record) obj {
	var o obj
	if json.Unmarshal(rec.Value, &o) != nil || o == nil {
		o = obj{}
	}
	put(o, strconv.FormatInt(rec.Mod, 10), "metadata", "resourceVersion")
	return o
}

func (a *api) get(r *resource, ns, name string) (obj, error) {
	rec, ok := a.store.replica().get(r.key(ns, name))
	if !ok {
		return nil, notFound(r, name)
	}
	return r.stamp(decode(rec)), nil
}

// stamp shows an object in the version it was asked for.
func (r *resource) stamp(o obj) obj {
	o["apiVersion"], o["kind"] = r.apiVersion(), r.kind
	return o
}

func (a *api) list(r *resource, ns string) ([]obj, int64) {
	recs, rev := a.store.replica().list(r.prefix(ns))
	out := make([]obj, len(recs))
	for i, rec := range recs {
		out[i] = r.stamp(decode(rec))
	}
	return out, rev
}

// awaitReady gives a datastore that changes its leader a moment.
func (a *api) awaitReady(d time.Duration) error {
	deadline := time.Now().Add(d)
	for {
		err := a.store.ready()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (a *api) writeObject(r *resource, o obj, expect int64) (obj, error) {
	stored := deepCopy(o)
	drop(stored, "metadata", "resourceVersion")
	data, err := json.Marshal(stored)
	if err != nil {
		return nil, err
	}
	rev, err := a.store.write(context.Background(), op{r.key(nsOf(o), nameOf(o)), data, expect})
	if errors.Is(err, errConflict) {
		if expect == 0 {
			return nil, &apiError{409, "AlreadyExists", fmt.Sprintf("%s %q already exists", r.qualified(), nameOf(o)), r.details(nameOf(o))}
		}
		return nil, conflict(r, nameOf(o))
	}
	if err != nil {
		return nil, storeError(err)
	}
	put(o, strconv.FormatInt(rev, 10), "metadata", "resourceVersion")
	return o, nil
}

var (
	goodName  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$`)
	labelPart = regexp.MustCompile(`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`)
)

func (a *api) create(r *resource, ns string, o obj) (obj, error) {
	o = r.stamp(deepCopy(o))
	if mapAt(o, "metadata") == nil {
		o["metadata"] = obj{}
	}
	if nameOf(o) == "" {
		prefix := strAt(o, "metadata", "generateName")
		if prefix == "" {
			return nil, invalid(r, "", "metadata.name: Required value: name or generateName is required")
		}
		put(o, prefix+randomHex(3)[:5], "metadata", "name")
	}
	name := nameOf(o)
	if r.group != "rbac.authorization.k8s.io" && !goodName.MatchString(name) {
		return nil, invalid(r, name, fmt.Sprintf("metadata.name: Invalid value: %q: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'", name))
	}
	if r.namespaced {
		if nsOf(o) != "" && nsOf(o) != ns {
			return nil, &apiError{400, "BadRequest", fmt.Sprintf("the namespace of the provided object does not match the namespace sent on the request"), nil}
		}
		put(o, ns, "metadata", "namespace")
		space, err := a.get(builtin("namespaces"), "", ns)
		if err != nil {
			return nil, err
		}
		if strAt(space, "status", "phase") == "Terminating" && r.plural != "events" {
			return nil, &apiError{403, "Forbidden", fmt.Sprintf("%s %q is forbidden: unable to create new content in namespace %s because it is being terminated", r.qualified(), name, ns), r.details(name)}
		}
	}
	if err := validate(r, o); err != nil {
		return nil, err
	}
	put(o, newUID(), "metadata", "uid")
	put(o, now(), "metadata", "creationTimestamp")
	drop(o, "metadata", "deletionTimestamp")
	if o["spec"] != nil {
		put(o, 1.0, "metadata", "generation")
	}
	fillDefaults(r, o)
	return a.writeObject(r, o, 0)
}

// validate checks the few things whose refusal users of this tool will meet.
func validate(r *resource, o obj) error {
	for key, v := range mapAt(o, "metadata", "labels") {
		s, ok := v.(string)
		if !ok || len(s) > 63 || !labelPart.MatchString(s) {
			return invalid(r, nameOf(o), fmt.Sprintf("metadata.labels: Invalid value: %q: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character", fmt.Sprint(v)))
		}
		if key == "" {
			return invalid(r, nameOf(o), "metadata.labels: Invalid value: \"\": name part must be non-empty")
		}
	}
	if r.plural == "nodes" {
		for _, t := range listAt(o, "spec", "taints") {
			switch strAt(t, "effect") {
			case "NoSchedule", "PreferNoSchedule", "NoExecute":
			default:
				return invalid(r, nameOf(o), fmt.Sprintf("spec.taints[0].effect: Unsupported value: %q: supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"", strAt(t, "effect")))
			}
		}
	}
	return nil
}

func fillDefaults(r *resource, o obj) {
	switch r.plural {
	case "namespaces":
		put(o, "Active", "status", "phase")
		put(o, []any{"kubernetes"}, "spec", "finalizers")
		put(o, nameOf(o), "metadata", "labels", "kubernetes.io/metadata.name")
	case "pods":
		if strAt(o, "status", "phase") == "" {
			put(o, "Pending", "status", "phase")
		}
		spec := mapAt(o, "spec")
		if spec != nil {
			if strAt(spec, "restartPolicy") == "" {
				spec["restartPolicy"] = "Always"
			}
			if _, ok := numAt(spec, "terminationGracePeriodSeconds"); !ok {
				spec["terminationGracePeriodSeconds"] = 30.0
			}
			for _, effect := range []string{"not-ready", "unreachable"} {
				spec["tolerations"] = append(listAt(spec, "tolerations"), obj{"key": "node.kubernetes.io/" + effect, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300.0})
			}
		}
	case "secrets":
		data := mapAt(o, "data")
		if data == nil {
			data = obj{}
		}
		for k, v := range mapAt(o, "stringData") {
			if s, ok := v.(string); ok {
				data[k] = base64Text([]byte(s))
			}
		}
		o["data"] = data
		delete(o, "stringData")
		if strAt(o, "type") == "" {
			o["type"] = "Opaque"
		}
	case "deployments", "replicasets", "statefulsets":
		if _, ok := numAt(o, "spec", "replicas"); !ok {
			put(o, 1.0, "spec", "replicas")
		}
	}
}

// update replaces an object, guarded by its resourceVersion where it names one.
// With statusOnly only the status counts, otherwise all but the status.
func (a *api) update(r *resource, ns, name string, o obj, statusOnly bool) (obj, error) {
	old, err := a.get(r, ns, name)
	if err != nil {
		return nil, err
	}
	version := strAt(o, "metadata", "resourceVersion")
	if version != "" && version != strAt(old, "metadata", "resourceVersion") {
		return nil, conflict(r, name)
	}
	next := r.stamp(deepCopy(o))
	if statusOnly {
		status := next["status"]
		next = deepCopy(old)
		next["status"] = status
	} else if r.status {
		if old["status"] != nil {
			next["status"] = old["status"]
		}
	}
	for _, f := range []string{"uid", "creationTimestamp", "name", "namespace", "deletionTimestamp", "generation"} {
		if v := at(old, "metadata", f); v != nil {
			put(next, v, "metadata", f)
		} else {
			drop(next, "metadata", f)
		}
	}
	if err := validate(r, next); err != nil {
		return nil, err
	}
	if r.plural == "secrets" && mapAt(next, "stringData") != nil {
		fillDefaults(r, next)
	}
	if !equal(next["spec"], old["spec"]) {
		g, _ := numAt(old, "metadata", "generation")
		put(next, g+1, "metadata", "generation")
	}
	expect, _ := strconv.ParseInt(strAt(old, "metadata", "resourceVersion"), 10, 64)
	// The last finalizer gone: the object goes too.
	if at(next, "metadata", "deletionTimestamp") != nil && len(listAt(next, "metadata", "finalizers")) == 0 && r.plural != "pods" && r.plural != "namespaces" {
		return next, a.remove(r, ns, name, expect)
	}
	cmp := deepCopy(next)
	put(cmp, at(old, "metadata", "resourceVersion"), "metadata", "resourceVersion")
	if equal(normal(cmp), normal(old)) {
		return old, nil // nothing changed: no new revision
	}
	return a.writeObject(r, next, expect)
}

func (a *api) remove(r *resource, ns, name string, expect int64) error {
	_, err := a.store.write(context.Background(), op{Key: r.key(ns, name), Expect: expect})
	switch {
	case errors.Is(err, errNoKey):
		return notFound(r, name)
	case errors.Is(err, errConflict):
		return conflict(r, name)
	case err != nil:
		return storeError(err)
	}
	return nil
}

// deleteOptions are what a client says with a DELETE.
type deleteOptions struct {
	grace      *float64
	uid        string
	background bool
	orphan     bool
}

// delete removes an object, or marks it where finalizers or a kubelet must act first.
func (a *api) delete(r *resource, ns, name string, opt deleteOptions) (obj, error) {
	for tries := 0; ; tries++ {
		o, err := a.get(r, ns, name)
		if err != nil {
			return nil, err
		}
		if opt.uid != "" && opt.uid != uidOf(o) {
			return nil, conflict(r, name)
		}
		expect, _ := strconv.ParseInt(strAt(o, "metadata", "resourceVersion"), 10, 64)
		graceful := r.plural == "pods" && strAt(o, "spec", "nodeName") != "" && !(opt.grace != nil && *opt.grace == 0)
		marked := at(o, "metadata", "deletionTimestamp") != nil
		if opt.orphan {
			if err := a.orphanDependents(o); err != nil {
				return nil, err
			}
		}
		switch {
		case graceful || len(listAt(o, "metadata", "finalizers")) > 0 || r.plural == "namespaces":
			if marked {
				return o, nil
			}
			grace := 30.0
			if g, ok := numAt(o, "spec", "terminationGracePeriodSeconds"); ok {
				grace = g
			}
			if opt.grace != nil {
				grace = *opt.grace
			}
			if graceful {
				put(o, grace, "metadata", "deletionGracePeriodSeconds")
				put(o, time.Now().Add(time.Duration(grace)*time.Second).UTC().Format(time.RFC3339), "metadata", "deletionTimestamp")
			} else {
				put(o, now(), "metadata", "deletionTimestamp")
			}
			if r.plural == "namespaces" {
				put(o, "Terminating", "status", "phase")
			}
			o, err = a.writeObject(r, o, expect)
		default:
			err = a.remove(r, ns, name, expect)
		}
		if isCode(err, 409) && tries < 5 {
			continue
		}
		return o, err
	}
}

// modify changes an object with a function, again if someone else was faster.
func (a *api) modify(r *resource, ns, name string, statusOnly bool, f func(obj) bool) error {
	for tries := 0; ; tries++ {
		o, err := a.get(r, ns, name)
		if err != nil {
			return err
		}
		if !f(o) {
			return nil
		}
		_, err = a.update(r, ns, name, o, statusOnly)
		if isCode(err, 409) && tries < 5 {
			continue
		}
		return err
	}
}
