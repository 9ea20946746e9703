package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"
)

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}

func writeError(w http.ResponseWriter, err error) {
	e, ok := err.(*apiError)
	if !ok {
		e = storeError(err)
	}
	writeJSON(w, e.code, e.status())
}

// request is one parsed API request below /api or /apis.
type request struct {
	res          *resource
	ns, name     string
	sub          string
	watch, table bool
	wholeObject  bool // tables with whole objects in them
	query        url.Values
}

// ServeHTTP answers an authenticated request.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/readyz" || r.URL.Path == "/livez" || r.URL.Path == "/healthz" || strings.HasPrefix(r.URL.Path, "/readyz/") || strings.HasPrefix(r.URL.Path, "/livez/"):
		a.health(w, r)
		return
	case r.URL.Path == "/version" || r.URL.Path == "/version/":
		writeJSON(w, 200, versionInfo())
		return
	case r.URL.Path == "/metrics":
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		a.metrics(w)
		return
	case r.URL.Path == "/openapi/v2":
		a.openAPI(w, r)
		return
	case r.URL.Path == "/":
		writeJSON(w, 200, obj{"paths": []any{"/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/version"}})
		return
	}
	path := strings.TrimSuffix(r.URL.Path, "/")
	if r.Method == "GET" {
		if d := a.discovery(path); d != nil {
			writeJSON(w, 200, d)
			return
		}
	}
	req, err := a.parse(path, r)
	if err != nil {
		writeError(w, err)
		return
	}
	a.askedFor(req.res, req.sub)
	if err := a.awaitReady(3 * time.Second); err != nil {
		writeError(w, &apiError{500, "", errTimeout.Error(), nil})
		return
	}
	if s, ok := a.store.(syncer); ok && r.Method == "GET" {
		if err := s.sync(r.Context()); err != nil {
			writeError(w, &apiError{500, "", errTimeout.Error(), nil})
			return
		}
	}
	switch r.Method {
	case "GET", "HEAD":
		a.handleGet(w, r, req)
	case "POST":
		a.handlePost(w, r, req)
	case "PUT":
		a.handlePut(w, r, req)
	case "PATCH":
		a.handlePatch(w, r, req)
	case "DELETE":
		a.handleDelete(w, r, req)
	default:
		writeError(w, &apiError{405, "MethodNotAllowed", "the server does not allow this method on the requested resource", nil})
	}
}

func (a *api) parse(path string, r *http.Request) (*request, error) {
	missing := &apiError{404, "NotFound", "the server could not find the requested resource", obj{}}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	group := ""
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		parts = parts[1:]
	case len(parts) >= 4 && parts[0] == "apis":
		group, parts = parts[1], parts[2:]
	default:
		return nil, missing
	}
	v := parts[0]
	parts = parts[1:]
	req := &request{query: r.URL.Query()}
	if parts[0] == "watch" && len(parts) > 1 {
		req.watch, parts = true, parts[1:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		req.ns, parts = parts[1], parts[2:]
	}
	if req.res = a.findResource(group, v, parts[0]); req.res == nil {
		if group == "authorization.k8s.io" || group == "authentication.k8s.io" {
			return nil, &apiError{404, "NotFound", "the stand-in has no " + group, obj{}}
		}
		return nil, missing
	}
	if len(parts) > 1 {
		req.name = parts[1]
	}
	if len(parts) > 2 {
		req.sub = strings.Join(parts[2:], "/")
	}
	if !req.res.namespaced {
		req.ns = ""
	}
	if t := req.query.Get("watch"); t == "1" || t == "true" {
		req.watch = true
	}
	accept := r.Header.Get("Accept")
	req.table = strings.Contains(accept, "as=Table")
	req.wholeObject = req.query.Get("includeObject") == "Object"
	return req, nil
}

func (a *api) handleGet(w http.ResponseWriter, r *http.Request, q *request) {
	if q.watch {
		a.handleWatch(w, r, q)
		return
	}
	if q.name != "" {
		if q.sub == "log" {
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintln(w, "the stand-in runs no containers: there is no log")
			return
		}
		o, err := a.get(q.res, q.ns, q.name)
		if err != nil {
			writeError(w, err)
			return
		}
		if q.sub == "scale" {
			writeJSON(w, 200, scaleOf(o))
			return
		}
		if q.table {
			writeJSON(w, 200, table(q.res, []obj{o}, strAt(o, "metadata", "resourceVersion"), q.wholeObject))
			return
		}
		writeJSON(w, 200, o)
		return
	}
	sel, err := parseSelectors(q.query.Get("labelSelector"), q.query.Get("fieldSelector"))
	if err != nil {
		writeError(w, err)
		return
	}
	all, rev := a.list(q.res, q.ns)
	items := []obj{}
	for _, o := range all {
		if sel.match(o) {
			items = append(items, o)
		}
	}
	revText := strconv.FormatInt(rev, 10)
	if q.table {
		writeJSON(w, 200, table(q.res, items, revText, q.wholeObject))
		return
	}
	for _, o := range items {
		delete(o, "kind") // lists carry the kind once
		delete(o, "apiVersion")
	}
	writeJSON(w, 200, obj{"kind": q.res.kind + "List", "apiVersion": q.res.apiVersion(), "metadata": obj{"resourceVersion": revText}, "items": items})
}

// handleWatch streams changes as JSON lines until the client goes away.
func (a *api) handleWatch(w http.ResponseWriter, r *http.Request, q *request) {
	fields := q.query.Get("fieldSelector")
	if q.name != "" {
		fields = "metadata.name=" + q.name
	}
	sel, err := parseSelectors(q.query.Get("labelSelector"), fields)
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	flusher, _ := w.(http.Flusher)
	send := func(kind string, o obj) {
		var out any = q.res.stamp(o)
		if q.table {
			out = table(q.res, []obj{o}, strAt(o, "metadata", "resourceVersion"), q.wholeObject)
		}
		json.NewEncoder(w).Encode(obj{"type": kind, "object": out})
	}
	prefix := q.res.prefix(q.ns)
	rev, _ := strconv.ParseInt(q.query.Get("resourceVersion"), 10, 64)
	if rev == 0 {
		recs, at := a.store.replica().list(prefix)
		rev = at
		for _, rec := range recs {
			if o := decode(rec); sel.match(o) {
				send("ADDED", o)
			}
		}
	}
	w.WriteHeader(200)
	if flusher != nil {
		flusher.Flush()
	}
	limit := 30 * time.Minute
	if s, err := strconv.Atoi(q.query.Get("timeoutSeconds")); err == nil && s > 0 {
		limit = time.Duration(s) * time.Second
	}
	end := time.After(limit)
	bookmarks := time.NewTicker(10 * time.Second)
	defer bookmarks.Stop()
	for {
		changes, wake, err := a.store.replica().since(rev)
		if err != nil {
			json.NewEncoder(w).Encode(obj{"type": "ERROR", "object": (&apiError{410, "Expired", fmt.Sprintf("too old resource version: %d", rev), nil}).status()})
			return
		}
		sent := false
		for _, c := range changes {
			rev = c.Mod
			if !strings.HasPrefix(c.Key, prefix) {
				continue
			}
			o := decode(c.record)
			matches := sel.match(o)
			before := false
			if c.Prev != nil {
				before = sel.match(decode(record{Value: c.Prev}))
			}
			switch {
			case c.Deleted && before, !matches && before:
				send("DELETED", o)
			case matches && !c.Deleted && !before:
				send("ADDED", o)
			case matches && !c.Deleted:
				send("MODIFIED", o)
			default:
				continue
			}
			sent = true
		}
		if sent && flusher != nil {
			flusher.Flush()
		}
		select {
		case <-r.Context().Done():
			return
		case <-end:
			return
		case <-wake:
		case <-bookmarks.C:
			if a.store.ready() != nil {
				return // a server without a quorum ends its watches
			}
			if q.query.Get("allowWatchBookmarks") == "true" && !q.table {
				json.NewEncoder(w).Encode(obj{"type": "BOOKMARK", "object": obj{"kind": q.res.kind, "apiVersion": q.res.apiVersion(), "metadata": obj{"resourceVersion": strconv.FormatInt(rev, 10), "creationTimestamp": nil}}})
				if flusher != nil {
					flusher.Flush()
				}
			}
		}
	}
}

func readObject(r *http.Request) (obj, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 3<<20))
	if err != nil {
		return nil, &apiError{413, "RequestEntityTooLarge", err.Error(), nil}
	}
	if ct := r.Header.Get("Content-Type"); strings.Contains(ct, "protobuf") {
		return nil, &apiError{415, "UnsupportedMediaType", "the stand-in speaks JSON only", nil}
	} else if strings.Contains(ct, "yaml") {
		docs, err := parseYAML(string(body))
		if err != nil || len(docs) == 0 {
			return nil, &apiError{400, "BadRequest", fmt.Sprint(err), nil}
		}
		if o, ok := toPlain(docs[0]).(obj); ok {
			return o, nil
		}
	}
	var o obj
	if len(strings.TrimSpace(string(body))) == 0 {
		return obj{}, nil
	}
	if err := json.Unmarshal(body, &o); err != nil || o == nil {
		return nil, &apiError{400, "BadRequest", fmt.Sprintf("the object provided is unrecognized: %v", err), nil}
	}
	return o, nil
}

func (q *request) dryRun() bool { return q.query.Get("dryRun") == "All" }

func (a *api) handlePost(w http.ResponseWriter, r *http.Request, q *request) {
	o, err := readObject(r)
	if err != nil {
		writeError(w, err)
		return
	}
	switch {
	case q.name != "" && q.sub == "eviction":
		if err := a.evict(q.ns, q.name, o, q.dryRun()); err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, 201, obj{"kind": "Status", "apiVersion": "v1", "metadata": obj{}, "status": "Success", "code": 201})
		return
	case q.name != "" && q.sub == "binding":
		err := a.modify(q.res, q.ns, q.name, false, func(p obj) bool { put(p, strAt(o, "target", "name"), "spec", "nodeName"); return true })
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, 201, obj{"kind": "Status", "apiVersion": "v1", "metadata": obj{}, "status": "Success", "code": 201})
		return
	case q.name != "":
		writeError(w, &apiError{405, "MethodNotAllowed", "the server does not allow this method on the requested resource", nil})
		return
	}
	if kind := strAt(o, "kind"); kind != "" && kind != q.res.kind {
		writeError(w, &apiError{400, "BadRequest", fmt.Sprintf("%s in version %q cannot be handled as a %s", kind, q.res.version, q.res.kind), nil})
		return
	}
	if q.dryRun() {
		writeJSON(w, 201, q.res.stamp(o))
		return
	}
	created, err := a.create(q.res, q.ns, o)
	if err != nil {
		writeError(w, err)
		return
	}
	if q.table {
		writeJSON(w, 201, table(q.res, []obj{created}, "", false))
		return
	}
	writeJSON(w, 201, created)
}

func (a *api) handlePut(w http.ResponseWriter, r *http.Request, q *request) {
	o, err := readObject(r)
	if err == nil && q.sub == "finalize" {
		err = a.remove(q.res, "", q.name, -1)
	} else if err == nil && q.sub == "scale" {
		o, err = a.scale(q, o)
	} else if err == nil {
		if nameOf(o) != q.name {
			err = &apiError{400, "BadRequest", "the name of the object does not match the name on the URL", nil}
		} else if !q.dryRun() {
			o, err = a.update(q.res, q.ns, q.name, o, q.sub == "status")
		}
	}
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, 200, o)
}

func (a *api) handlePatch(w http.ResponseWriter, r *http.Request, q *request) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 3<<20))
	if err != nil {
		writeError(w, &apiError{413, "RequestEntityTooLarge", err.Error(), nil})
		return
	}
	contentType := r.Header.Get("Content-Type")
	for tries := 0; ; tries++ {
		old, err := a.get(q.res, q.ns, q.name)
		if isCode(err, 404) && strings.HasPrefix(contentType, "application/apply-patch") {
			o, err := applyPatch(obj{}, contentType, body)
			if err == nil && !q.dryRun() {
				o, err = a.create(q.res, q.ns, o)
			}
			if err != nil {
				writeError(w, err)
				return
			}
			writeJSON(w, 201, o)
			return
		}
		if err != nil {
			writeError(w, err)
			return
		}
		given := old
		if q.sub == "scale" {
			given = scaleOf(old)
		}
		next, err := applyPatch(given, contentType, body)
		if err == nil && !q.dryRun() {
			// A patch that names no resourceVersion is tried again on a conflict.
			named := strings.Contains(string(body), "resourceVersion")
			if q.sub == "scale" {
				next, err = a.scale(q, next)
			} else {
				next, err = a.update(q.res, q.ns, q.name, next, q.sub == "status")
			}
			if isCode(err, 409) && !named && tries < 5 {
				continue
			}
		}
		if err != nil {
			writeError(w, err)
			return
		}
		if q.table {
			writeJSON(w, 200, table(q.res, []obj{next}, "", false))
			return
		}
		writeJSON(w, 200, next)
		return
	}
}

func (a *api) handleDelete(w http.ResponseWriter, r *http.Request, q *request) {
	body, err := readObject(r)
	if err != nil {
		writeError(w, err)
		return
	}
	opt := deleteOptions{uid: strAt(body, "preconditions", "uid"), orphan: strAt(body, "propagationPolicy") == "Orphan" || q.query.Get("propagationPolicy") == "Orphan"}
	if g, ok := numAt(body, "gracePeriodSeconds"); ok {
		opt.grace = &g
	} else if g, err := strconv.ParseFloat(q.query.Get("gracePeriodSeconds"), 64); err == nil {
		opt.grace = &g
	}
	if q.name != "" {
		o, err := a.get(q.res, q.ns, q.name)
		if err == nil && !q.dryRun() {
			o, err = a.delete(q.res, q.ns, q.name, opt)
		}
		switch {
		case err != nil:
			writeError(w, err)
		case at(o, "metadata", "deletionTimestamp") != nil:
			writeJSON(w, 200, o)
		default:
			d := q.res.details(q.name)
			d["uid"] = uidOf(o)
			writeJSON(w, 200, obj{"kind": "Status", "apiVersion": "v1", "metadata": obj{}, "status": "Success", "details": d})
		}
		return
	}
	sel, err := parseSelectors(q.query.Get("labelSelector"), q.query.Get("fieldSelector"))
	if err != nil {
		writeError(w, err)
		return
	}
	all, rev := a.list(q.res, q.ns)
	items := []obj{}
	for _, o := range all {
		if sel.match(o) {
			if _, err := a.delete(q.res, nsOf(o), nameOf(o), opt); err == nil {
				items = append(items, o)
			}
		}
	}
	writeJSON(w, 200, obj{"kind": q.res.kind + "List", "apiVersion": q.res.apiVersion(), "metadata": obj{"resourceVersion": strconv.FormatInt(rev, 10)}, "items": items})
}

func scaleOf(o obj) obj {
	n, _ := numAt(o, "spec", "replicas")
	return obj{"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": obj{"name": nameOf(o), "namespace": nsOf(o), "uid": uidOf(o), "resourceVersion": at(o, "metadata", "resourceVersion")},
		"spec": obj{"replicas": n}, "status": obj{"replicas": n}}
}

func (a *api) scale(q *request, s obj) (obj, error) {
	n, _ := numAt(s, "spec", "replicas")
	err := a.modify(q.res, q.ns, q.name, false, func(o obj) bool { put(o, n, "spec", "replicas"); return true })
	if err != nil {
		return nil, err
	}
	o, err := a.get(q.res, q.ns, q.name)
	if err != nil {
		return nil, err
	}
	return scaleOf(o), nil
}

func versionInfo() obj {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return obj{"major": parts[0], "minor": parts[1], "gitVersion": version, "gitCommit": commit + strings.Repeat("0", 32), "gitTreeState": "clean",
		"buildDate": "2025-09-01T00:00:00Z", "goVersion": runtime.Version(), "compiler": "gc", "platform": "linux/" + runtime.GOARCH}
}

// health answers /readyz, /livez and their single checks. A server without a
// usable datastore is not ready; it is alive.
func (a *api) health(w http.ResponseWriter, r *http.Request) {
	live := strings.HasPrefix(r.URL.Path, "/livez")
	checks := []string{"ping", "log", "etcd", "etcd-readiness", "informer-sync", "poststarthook/start-apiserver-admission-initializer", "poststarthook/rbac/bootstrap-roles", "shutdown"}
	if live {
		checks = []string{"ping", "log", "etcd", "poststarthook/start-apiserver-admission-initializer", "poststarthook/rbac/bootstrap-roles"}
	}
	only := ""
	if p := strings.SplitN(strings.Trim(r.URL.Path, "/"), "/", 2); len(p) == 2 {
		only = p[1]
	}
	err := a.awaitReady(1500 * time.Millisecond)
	name := strings.Split(strings.Trim(r.URL.Path, "/"), "/")[0]
	var lines []string
	failed := false
	for _, c := range checks {
		if only != "" && c != only {
			continue
		}
		if err != nil && strings.HasPrefix(c, "etcd") {
			failed = true
			lines = append(lines, fmt.Sprintf("[-]%s failed: reason withheld", c))
		} else {
			lines = append(lines, fmt.Sprintf("[+]%s ok", c))
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, verbose := r.URL.Query()["verbose"]
	switch {
	case failed:
		w.WriteHeader(500)
		fmt.Fprintf(w, "%s\n%s check failed\n", strings.Join(lines, "\n"), name)
	case verbose:
		fmt.Fprintf(w, "%s\n%s check passed\n", strings.Join(lines, "\n"), name)
	default:
		fmt.Fprint(w, "ok")
	}
}

// openAPI serves a schema without definitions: kubectl then skips its own
// validation of what it sends. Older kubectl wants it as protobuf.
func (a *api) openAPI(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.Header.Get("Accept"), "protobuf") {
		writeJSON(w, 200, obj{"swagger": "2.0", "info": obj{"title": "Kubernetes", "version": version}, "paths": obj{}, "definitions": obj{}})
		return
	}
	field := func(n byte, s string) string { return string([]byte{n<<3 | 2, byte(len(s))}) + s }
	info := field(1, "Kubernetes") + field(2, version)
	w.Header().Set("Content-Type", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
	io.WriteString(w, field(1, "2.0")+field(2, info)+field(8, "")+field(9, ""))
}

func sortedKeys(m obj) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
