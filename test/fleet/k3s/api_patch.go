package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// The three patch forms of Kubernetes, and server-side apply taken as a merge.

// mergeKeys are the lists that a strategic merge patch merges by a key.
var mergeKeys = map[string]string{
	"conditions": "type", "addresses": "type", "containers": "name", "initContainers": "name", "ephemeralContainers": "name",
	"env": "name", "volumes": "name", "volumeMounts": "mountPath", "ports": "containerPort", "imagePullSecrets": "name",
	"ownerReferences": "uid", "secrets": "name", "hostAliases": "ip", "topologySpreadConstraints": "topologyKey",
}

// mergeSets are lists of plain values that a strategic merge patch unites.
var mergeSets = map[string]bool{"finalizers": true}

// applyPatch gives the object after a patch of a content type.
func applyPatch(o obj, contentType string, body []byte) (obj, error) {
	o = deepCopy(o)
	switch strings.TrimSpace(strings.Split(contentType, ";")[0]) {
	case "application/json-patch+json":
		return jsonPatch(o, body)
	case "application/merge-patch+json":
		var p obj
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, &apiError{400, "BadRequest", "error decoding patch: " + err.Error(), nil}
		}
		return mergePatch(o, p), nil
	case "application/strategic-merge-patch+json":
		var p obj
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, &apiError{400, "BadRequest", "error decoding patch: " + err.Error(), nil}
		}
		return strategicMerge(o, p), nil
	case "application/apply-patch+yaml":
		docs, err := parseYAML(string(body))
		if err != nil || len(docs) != 1 {
			return nil, &apiError{400, "BadRequest", fmt.Sprintf("error decoding YAML: %v", err), nil}
		}
		p, ok := toPlain(docs[0]).(obj)
		if !ok {
			return nil, &apiError{400, "BadRequest", "error decoding YAML: not an object", nil}
		}
		return strategicMerge(o, p), nil
	}
	return nil, &apiError{415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml", nil}
}

func mergePatch(target obj, patch obj) obj {
	if target == nil {
		target = obj{}
	}
	for k, v := range patch {
		switch t := v.(type) {
		case nil:
			delete(target, k)
		case obj:
			old, _ := target[k].(obj)
			target[k] = mergePatch(old, t)
		default:
			target[k] = v
		}
	}
	return target
}

func strategicMerge(target obj, patch obj) obj {
	if target == nil {
		target = obj{}
	}
	if patch["$patch"] == "replace" {
		out := deepCopy(patch)
		delete(out, "$patch")
		return out
	}
	if retain, ok := patch["$retainKeys"].([]any); ok {
		keep := map[any]bool{}
		for _, k := range retain {
			keep[k] = true
		}
		for k := range target {
			if !keep[k] {
				delete(target, k)
			}
		}
	}
	for k, v := range patch {
		if name := strings.TrimPrefix(k, "$deleteFromPrimitiveList/"); name != k {
			gone, _ := v.([]any)
			list, _ := target[name].([]any)
			for _, g := range gone {
				list = without(list, g)
			}
			if len(list) == 0 {
				delete(target, name)
			} else {
				target[name] = list
			}
		}
	}
	for k, v := range patch {
		if strings.HasPrefix(k, "$") {
			continue
		}
		switch t := v.(type) {
		case nil:
			delete(target, k)
		case obj:
			if t["$patch"] == "delete" {
				delete(target, k)
				continue
			}
			old, _ := target[k].(obj)
			target[k] = strategicMerge(old, t)
		case []any:
			old, _ := target[k].([]any)
			target[k] = mergeList(k, old, t)
		default:
			target[k] = v
		}
	}
	return target
}

func mergeList(field string, old, patch []any) []any {
	if mergeSets[field] {
		for _, p := range patch {
			old = append(without(old, p), p)
		}
		return old
	}
	key, ok := mergeKeys[field]
	if field == "ports" && len(patch) > 0 && at(patch[0], "containerPort") == nil {
		key = "port"
	}
	for _, p := range patch {
		if _, isMap := p.(obj); !isMap || at(p, key) == nil && at(p, "$patch") == nil {
			ok = false
		}
	}
	if !ok {
		return copyAny(patch).([]any)
	}
	out := append([]any{}, old...)
	for _, p := range patch {
		pm := p.(obj)
		if pm["$patch"] == "replace" {
			out = []any{}
			continue
		}
		found := -1
		for i := range out {
			if at(out[i], key) == pm[key] {
				found = i
			}
		}
		switch {
		case pm["$patch"] == "delete":
			if found >= 0 {
				out = append(out[:found], out[found+1:]...)
			}
		case found >= 0:
			m, _ := out[found].(obj)
			out[found] = strategicMerge(deepCopy(m), pm)
		default:
			out = append(out, strategicMerge(obj{}, pm))
		}
	}
	return out
}

func jsonPatch(o obj, body []byte) (obj, error) {
	var steps []struct {
		Op, Path, From string
		Value          any
	}
	if err := json.Unmarshal(body, &steps); err != nil {
		return nil, &apiError{400, "BadRequest", "error decoding patch: " + err.Error(), nil}
	}
	var doc any = o
	for _, s := range steps {
		var err error
		switch s.Op {
		case "test":
			v, ok := pointerGet(doc, s.Path)
			if !ok || !equal(v, s.Value) {
				err = fmt.Errorf("testing value %s failed", s.Path)
			}
		case "remove":
			doc, err = pointerEdit(doc, split(s.Path), nil, "remove")
		case "add", "replace":
			doc, err = pointerEdit(doc, split(s.Path), s.Value, s.Op)
		case "move", "copy":
			v, ok := pointerGet(doc, s.From)
			if !ok {
				err = fmt.Errorf("from path %s does not exist", s.From)
				break
			}
			v = copyAny(v)
			if s.Op == "move" {
				doc, err = pointerEdit(doc, split(s.From), nil, "remove")
			}
			if err == nil {
				doc, err = pointerEdit(doc, split(s.Path), v, "add")
			}
		default:
			err = fmt.Errorf("unexpected kind: %s", s.Op)
		}
		if err != nil {
			return nil, &apiError{422, "Invalid", "the server rejected our request due to an error in our request: " + err.Error(), nil}
		}
	}
	out, ok := doc.(obj)
	if !ok {
		return nil, &apiError{422, "Invalid", "the patch does not leave an object", nil}
	}
	return out, nil
}

func split(pointer string) []string {
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	return parts
}

func pointerGet(v any, pointer string) (any, bool) {
	for _, p := range split(pointer) {
		switch t := v.(type) {
		case obj:
			next, ok := t[p]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i < 0 || i >= len(t) {
				return nil, false
			}
			v = t[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func pointerEdit(v any, path []string, value any, how string) (any, error) {
	p, last := path[0], len(path) == 1
	switch t := v.(type) {
	case obj:
		child, ok := t[p]
		switch {
		case last && how == "remove":
			if !ok {
				return nil, fmt.Errorf("unable to remove nonexistent key: %s", p)
			}
			delete(t, p)
		case last && how == "replace" && !ok:
			return nil, fmt.Errorf("replace operation does not apply: doc is missing key: %s", p)
		case last:
			t[p] = value
		case !ok:
			return nil, fmt.Errorf("doc is missing path: %s", p)
		default:
			edited, err := pointerEdit(child, path[1:], value, how)
			if err != nil {
				return nil, err
			}
			t[p] = edited
		}
		return t, nil
	case []any:
		if last && how == "add" && p == "-" {
			return append(t, value), nil
		}
		i, err := strconv.Atoi(p)
		if err != nil || i < 0 || i > len(t) || i == len(t) && how != "add" {
			return nil, fmt.Errorf("unable to access invalid index: %s", p)
		}
		if !last {
			edited, err := pointerEdit(t[i], path[1:], value, how)
			if err != nil {
				return nil, err
			}
			t[i] = edited
			return t, nil
		}
		switch how {
		case "remove":
			return append(t[:i:i], t[i+1:]...), nil
		case "replace":
			t[i] = value
			return t, nil
		}
		out := append(t[:i:i], value)
		return append(out, t[i:]...), nil
	}
	return nil, fmt.Errorf("doc is missing path: %s", p)
}
