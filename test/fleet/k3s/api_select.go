package main

import (
	"fmt"
	"strings"
)

// selectors choose objects by labels and fields.
type selectors struct {
	labels []func(obj) bool
	fields []func(obj) bool
}

func (s selectors) match(o obj) bool {
	labels := mapAt(o, "metadata", "labels")
	for _, f := range s.labels {
		if !f(labels) {
			return false
		}
	}
	for _, f := range s.fields {
		if !f(o) {
			return false
		}
	}
	return true
}

func parseSelectors(labelText, fieldText string) (selectors, error) {
	var s selectors
	for _, term := range splitTerms(labelText) {
		f, err := labelTerm(term)
		if err != nil {
			return s, err
		}
		s.labels = append(s.labels, f)
	}
	for _, term := range splitTerms(fieldText) {
		path, want, not := "", "", false
		if i := strings.Index(term, "!="); i >= 0 {
			path, want, not = term[:i], term[i+2:], true
		} else if i := strings.Index(term, "="); i >= 0 {
			path, want = term[:i], strings.TrimPrefix(term[i+1:], "=")
		} else {
			return s, &apiError{400, "BadRequest", fmt.Sprintf("invalid field selector %q", term), nil}
		}
		keys := strings.Split(path, ".")
		s.fields = append(s.fields, func(o obj) bool {
			v := at(o, keys...)
			text := ""
			if v != nil {
				text = scalarText(v)
			} else if path == "spec.unschedulable" {
				text = "false"
			}
			return (text == want) != not
		})
	}
	return s, nil
}

// splitTerms splits at commas outside parentheses.
func splitTerms(text string) []string {
	var out []string
	depth, start := 0, 0
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			out = append(out, text[start:i])
			start = i + 1
		}
	}
	out = append(out, text[start:])
	terms := out[:0]
	for _, t := range out {
		if t = strings.TrimSpace(t); t != "" {
			terms = append(terms, t)
		}
	}
	return terms
}

func labelTerm(term string) (func(obj) bool, error) {
	value := func(labels obj, key string) (string, bool) {
		v, ok := labels[key].(string)
		return v, ok
	}
	if i := strings.IndexByte(term, '('); i > 0 && strings.HasSuffix(term, ")") {
		words := strings.Fields(term[:i])
		if len(words) != 2 || words[1] != "in" && words[1] != "notin" {
			return nil, &apiError{400, "BadRequest", fmt.Sprintf("unable to parse requirement: %q", term), nil}
		}
		set := map[string]bool{}
		for _, v := range strings.Split(term[i+1:len(term)-1], ",") {
			set[strings.TrimSpace(v)] = true
		}
		return func(l obj) bool {
			v, ok := value(l, words[0])
			return (ok && set[v]) == (words[1] == "in")
		}, nil
	}
	if i := strings.Index(term, "!="); i > 0 {
		key, want := strings.TrimSpace(term[:i]), strings.TrimSpace(term[i+2:])
		return func(l obj) bool { v, ok := value(l, key); return !ok || v != want }, nil
	}
	if i := strings.IndexByte(term, '='); i > 0 {
		key, want := strings.TrimSpace(term[:i]), strings.TrimSpace(strings.TrimPrefix(term[i+1:], "="))
		return func(l obj) bool { v, ok := value(l, key); return ok && v == want }, nil
	}
	if term[0] == '!' {
		key := strings.TrimSpace(term[1:])
		return func(l obj) bool { _, ok := value(l, key); return !ok }, nil
	}
	return func(l obj) bool { _, ok := value(l, term); return ok }, nil
}

// matchSelector checks a LabelSelector (matchLabels, matchExpressions); nil matches nothing.
func matchSelector(selector, labels obj) bool {
	if selector == nil {
		return false
	}
	for k, v := range mapAt(selector, "matchLabels") {
		if labels[k] != v {
			return false
		}
	}
	for _, e := range listAt(selector, "matchExpressions") {
		v, ok := labels[strAt(e, "key")]
		in := false
		for _, want := range listAt(e, "values") {
			in = in || ok && want == v
		}
		switch strAt(e, "operator") {
		case "In":
			ok = in
		case "NotIn":
			ok = !in
		case "DoesNotExist":
			ok = !ok
		}
		if !ok {
			return false
		}
	}
	return true
}
