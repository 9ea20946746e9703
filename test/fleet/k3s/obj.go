package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// obj is a Kubernetes object as JSON gives it.
type obj = map[string]any

// at walks into nested maps; nil where there is nothing.
func at(v any, path ...string) any {
	for _, p := range path {
		m, ok := v.(obj)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func strAt(v any, path ...string) string {
	s, _ := at(v, path...).(string)
	return s
}

func mapAt(v any, path ...string) obj {
	m, _ := at(v, path...).(obj)
	return m
}

func listAt(v any, path ...string) []any {
	l, _ := at(v, path...).([]any)
	return l
}

func numAt(v any, path ...string) (float64, bool) {
	n, ok := at(v, path...).(float64)
	return n, ok
}

// put sets a nested value, making the maps on the way.
func put(o obj, value any, path ...string) {
	for _, p := range path[:len(path)-1] {
		next, ok := o[p].(obj)
		if !ok {
			next = obj{}
			o[p] = next
		}
		o = next
	}
	o[path[len(path)-1]] = value
}

func drop(o obj, path ...string) {
	if m, ok := at(o, path[:len(path)-1]...).(obj); ok {
		delete(m, path[len(path)-1])
	}
}

func nameOf(o obj) string { return strAt(o, "metadata", "name") }
func nsOf(o obj) string   { return strAt(o, "metadata", "namespace") }
func uidOf(o obj) string  { return strAt(o, "metadata", "uid") }

func deepCopy(o obj) obj { return copyAny(o).(obj) }

func copyAny(v any) any {
	switch t := v.(type) {
	case obj:
		m := make(obj, len(t))
		for k, x := range t {
			m[k] = copyAny(x)
		}
		return m
	case []any:
		l := make([]any, len(t))
		for i := range t {
			l[i] = copyAny(t[i])
		}
		return l
	}
	return v
}

// normal gives Go values the shape JSON would give them.
func normal(o obj) obj {
	data, _ := json.Marshal(o)
	var out obj
	json.Unmarshal(data, &out)
	return out
}

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

func now() string      { return time.Now().UTC().Format(time.RFC3339) }
func nowMicro() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000000Z") }

func newUID() string {
	h := randomHex(16)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// condition finds one of status.conditions by its type.
func condition(o obj, kind string) obj {
	for _, c := range listAt(o, "status", "conditions") {
		if m, ok := c.(obj); ok && m["type"] == kind {
			return m
		}
	}
	return nil
}

// setCondition writes a condition and tells whether its status changed.
func setCondition(o obj, kind, status, reason, message string) bool {
	c := condition(o, kind)
	changed := c == nil || c["status"] != status
	if c == nil {
		c = obj{"type": kind}
		put(o, append(listAt(o, "status", "conditions"), c), "status", "conditions")
	}
	if changed {
		c["lastTransitionTime"] = now()
	}
	c["status"], c["reason"], c["message"] = status, reason, message
	return changed
}

func hasFinalizer(o obj, name string) bool {
	for _, f := range listAt(o, "metadata", "finalizers") {
		if f == name {
			return true
		}
	}
	return false
}

func without(list []any, item any) []any {
	out := []any{}
	for _, x := range list {
		if x != item {
			out = append(out, x)
		}
	}
	return out
}
