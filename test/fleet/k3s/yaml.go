package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A YAML reader for what k3s users write: config.yaml, registries.yaml and
// manifests. It reads block and flow maps and lists, all scalar styles,
// comments and several documents. It knows no anchors, tags or merge keys, and
// says so rather than misreading them.

// pair is one key of a map, in the order of the file.
type pair struct {
	key   string
	value any
}

// yamlMap keeps the order of its keys; toPlain turns it into a Go map.
type yamlMap []pair

type yamlLine struct {
	indent int
	text   string // without indentation, comments kept
	raw    string
	num    int
}

type yamlReader struct {
	lines []yamlLine
	pos   int
}

type yamlError struct {
	line int
	msg  string
}

func (e yamlError) Error() string { return fmt.Sprintf("yaml: line %d: %s", e.line, e.msg) }

// parseYAML reads all documents of a text; empty documents are left out.
func parseYAML(text string) (docs []any, err error) {
	defer func() {
		if r := recover(); r != nil {
			ye, ok := r.(yamlError)
			if !ok {
				panic(r)
			}
			docs, err = nil, ye
		}
	}()
	var lines []yamlLine
	flush := func() {
		r := &yamlReader{lines: lines}
		r.skipBlank()
		if r.pos < len(r.lines) {
			v := r.block(r.lines[r.pos].indent)
			r.skipBlank()
			if r.pos < len(r.lines) {
				r.fail("did not find expected key")
			}
			docs = append(docs, v)
		}
		lines = nil
	}
	for i, raw := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if raw == "---" || strings.HasPrefix(raw, "--- ") {
			flush()
			raw = strings.TrimPrefix(raw[3:], " ")
		} else if raw == "..." {
			flush()
			continue
		}
		trimmed := strings.TrimLeft(raw, " ")
		lines = append(lines, yamlLine{indent: len(raw) - len(trimmed), text: strings.TrimRight(trimmed, " \t"), raw: raw, num: i + 1})
	}
	flush()
	return docs, nil
}

func (r *yamlReader) fail(format string, a ...any) {
	n := 0
	if r.pos < len(r.lines) {
		n = r.lines[r.pos].num
	} else if len(r.lines) > 0 {
		n = r.lines[len(r.lines)-1].num
	}
	panic(yamlError{n, fmt.Sprintf(format, a...)})
}

func (r *yamlReader) skipBlank() {
	for r.pos < len(r.lines) {
		t := r.lines[r.pos].text
		if t != "" && t[0] != '#' && !(r.pos == 0 && t[0] == '%') {
			return
		}
		r.pos++
	}
}

// block reads the value that starts at the current line and is indented by exactly indent.
func (r *yamlReader) block(indent int) any {
	line := r.lines[r.pos]
	if strings.HasPrefix(line.text, "\t") {
		r.fail("found character that cannot start any token")
	}
	if line.text == "-" || strings.HasPrefix(line.text, "- ") {
		return r.list(indent)
	}
	if key, _, ok := splitKey(line.text); ok {
		_ = key
		return r.mapping(indent)
	}
	return r.scalarLines(indent)
}

func (r *yamlReader) list(indent int) any {
	items := []any{}
	for r.skipBlank(); r.pos < len(r.lines); r.skipBlank() {
		line := &r.lines[r.pos]
		if line.indent < indent || line.indent == indent && !(line.text == "-" || strings.HasPrefix(line.text, "- ")) {
			break
		}
		if line.indent > indent {
			r.fail("did not find expected '-' indicator")
		}
		rest := strings.TrimLeft(line.text[1:], " ")
		if rest == "" || rest[0] == '#' {
			r.pos++
			r.skipBlank()
			if r.pos < len(r.lines) && r.lines[r.pos].indent > indent {
				items = append(items, r.block(r.lines[r.pos].indent))
			} else {
				items = append(items, nil)
			}
			continue
		}
		// "- key: v" opens a map whose indentation is the column of "key".
		if _, _, ok := splitKey(rest); ok || rest == "-" || strings.HasPrefix(rest, "- ") {
			line.indent += len(line.text) - len(rest)
			line.text = rest
			items = append(items, r.block(line.indent))
			continue
		}
		items = append(items, r.inline(rest, indent))
	}
	return items
}

func (r *yamlReader) mapping(indent int) any {
	m := yamlMap{}
	for r.skipBlank(); r.pos < len(r.lines); r.skipBlank() {
		line := r.lines[r.pos]
		if line.indent < indent {
			break
		}
		if line.indent > indent {
			r.fail("mapping values are not allowed in this context")
		}
		key, rest, ok := splitKey(line.text)
		if !ok {
			if line.text == "-" || strings.HasPrefix(line.text, "- ") {
				break
			}
			r.fail("could not find expected ':'")
		}
		for _, p := range m {
			if p.key == key {
				r.fail("mapping key %q already defined", key)
			}
		}
		if rest == "" || rest[0] == '#' {
			r.pos++
			r.skipBlank()
			var v any
			if r.pos < len(r.lines) {
				next := r.lines[r.pos]
				isItem := next.text == "-" || strings.HasPrefix(next.text, "- ")
				if next.indent > indent || next.indent == indent && isItem {
					v = r.block(next.indent)
				}
			}
			m = append(m, pair{key, v})
			continue
		}
		m = append(m, pair{key, r.inline(rest, indent)})
	}
	return m
}

// inline reads a value that starts on the line of its key or dash, and leaves
// the reader behind it.
func (r *yamlReader) inline(rest string, indent int) any {
	switch rest[0] {
	case '|', '>':
		return r.blockScalar(rest, indent)
	case '&', '*', '!':
		r.fail("anchors, aliases and tags are not supported by the stand-in")
	case '@', '`', '%':
		r.fail("found character that cannot start any token")
	case '[', '{', '"', '\'':
		// These may go on over several lines: gather until complete.
		text := rest
		for {
			v, n, complete := r.flow(text, 0)
			if complete {
				tail := strings.TrimSpace(text[n:])
				if tail != "" && tail[0] != '#' {
					r.fail("did not find expected end of value")
				}
				r.pos++
				return v
			}
			if r.pos+1 >= len(r.lines) {
				r.fail("found unexpected end of stream")
			}
			r.pos++
			text += " " + r.lines[r.pos].text
		}
	}
	text := stripComment(rest)
	if strings.Contains(text, ": ") || strings.HasSuffix(text, ":") {
		r.fail("mapping values are not allowed in this context")
	}
	r.pos++
	// A plain scalar goes on over deeper-indented lines.
	for r.pos < len(r.lines) && r.lines[r.pos].text != "" && r.lines[r.pos].indent > indent && r.lines[r.pos].text[0] != '#' {
		next := stripComment(r.lines[r.pos].text)
		if _, _, ok := splitKey(next); ok {
			r.fail("mapping values are not allowed in this context")
		}
		text += " " + next
		r.pos++
	}
	return plainScalar(text)
}

func (r *yamlReader) scalarLines(indent int) any {
	return r.inline(r.lines[r.pos].text, indent-1)
}

func (r *yamlReader) blockScalar(header string, indent int) any {
	folded, chomp, explicit := header[0] == '>', "clip", 0
	for _, c := range stripComment(header)[1:] {
		switch {
		case c == '-':
			chomp = "strip"
		case c == '+':
			chomp = "keep"
		case c >= '1' && c <= '9':
			explicit = int(c - '0')
		default:
			r.fail("did not find expected comment or line break")
		}
	}
	r.pos++
	var body []string
	width := 0
	if explicit > 0 {
		width = max(indent, 0) + explicit
	}
	for r.pos < len(r.lines) {
		line := r.lines[r.pos]
		if line.text == "" {
			body = append(body, "")
			r.pos++
			continue
		}
		if width == 0 {
			if line.indent <= indent {
				break
			}
			width = line.indent
		}
		if line.indent < width {
			break
		}
		body = append(body, line.raw[width:])
		r.pos++
	}
	end := len(body)
	for end > 0 && body[end-1] == "" {
		end--
	}
	sep := "\n"
	var text string
	if folded {
		text = foldLines(body[:end])
	} else {
		text = strings.Join(body[:end], sep)
	}
	if chomp == "keep" {
		return text + strings.Repeat("\n", len(body)-end+1)
	}
	if chomp == "clip" && end > 0 {
		return text + "\n"
	}
	return text
}

func foldLines(lines []string) string {
	var b strings.Builder
	for i, l := range lines {
		switch {
		case l == "":
			b.WriteByte('\n')
		case i > 0 && lines[i-1] != "":
			b.WriteString(" " + l)
		default:
			b.WriteString(l)
		}
	}
	return b.String()
}

// flow reads a flow value from text[i:]; complete is false when the text ends too early.
func (r *yamlReader) flow(text string, i int) (v any, next int, complete bool) {
	i = skipSpace(text, i)
	if i >= len(text) {
		return nil, i, false
	}
	switch text[i] {
	case '"':
		return r.doubleQuoted(text, i)
	case '\'':
		var b strings.Builder
		for j := i + 1; j < len(text); j++ {
			if text[j] == '\'' {
				if j+1 < len(text) && text[j+1] == '\'' {
					j++
				} else {
					return b.String(), j + 1, true
				}
			}
			b.WriteByte(text[j])
		}
		return nil, i, false
	case '[':
		items := []any{}
		for i = skipSpace(text, i+1); i < len(text); {
			if text[i] == ']' {
				return items, i + 1, true
			}
			item, n, ok := r.flow(text, i)
			if !ok {
				return nil, n, false
			}
			items = append(items, item)
			if i = skipSpace(text, n); i < len(text) && text[i] == ',' {
				i = skipSpace(text, i+1)
			} else if i < len(text) && text[i] != ']' {
				r.fail("did not find expected ',' or ']'")
			}
		}
		return nil, i, false
	case '{':
		m := yamlMap{}
		for i = skipSpace(text, i+1); i < len(text); {
			if text[i] == '}' {
				return m, i + 1, true
			}
			key, n, ok := r.flow(text, i)
			if !ok {
				return nil, n, false
			}
			var value any
			if n = skipSpace(text, n); n < len(text) && text[n] == ':' {
				if value, n, ok = r.flow(text, n+1); !ok {
					return nil, n, false
				}
			}
			m = append(m, pair{fmt.Sprint(key), value})
			if i = skipSpace(text, n); i < len(text) && text[i] == ',' {
				i = skipSpace(text, i+1)
			} else if i < len(text) && text[i] != '}' {
				r.fail("did not find expected ',' or '}'")
			}
		}
		return nil, i, false
	}
	j := i
	for j < len(text) && !strings.ContainsRune(",]}", rune(text[j])) {
		if text[j] == ':' && (j+1 == len(text) || text[j+1] == ' ') {
			break
		}
		j++
	}
	return plainScalar(strings.TrimSpace(text[i:j])), j, true
}

func (r *yamlReader) doubleQuoted(text string, i int) (any, int, bool) {
	var b strings.Builder
	for j := i + 1; j < len(text); j++ {
		switch c := text[j]; c {
		case '"':
			return b.String(), j + 1, true
		case '\\':
			if j++; j >= len(text) {
				return nil, j, false
			}
			if size := map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[j]]; size > 0 && j+size < len(text) {
				n, err := strconv.ParseUint(text[j+1:j+1+size], 16, 32)
				if err != nil {
					r.fail("did not find expected hexdecimal number")
				}
				b.WriteRune(rune(n))
				j += size
				continue
			}
			plain := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '0': 0, '"': '"', '\\': '\\', '/': '/', ' ': ' ', 'e': 27, 'b': 8}
			ch, ok := plain[text[j]]
			if !ok {
				r.fail("found unknown escape character")
			}
			b.WriteByte(ch)
		default:
			b.WriteByte(c)
		}
	}
	return nil, len(text), false
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	return i
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}

// splitKey splits "key: rest" at the first colon that ends a key.
func splitKey(text string) (key, rest string, ok bool) {
	if text == "" || strings.ContainsRune("[{#", rune(text[0])) {
		return "", "", false
	}
	if text[0] == '"' || text[0] == '\'' {
		end := strings.IndexByte(text[1:], text[0])
		if end < 0 || !strings.HasPrefix(strings.TrimLeft(text[end+2:], " "), ":") {
			return "", "", false
		}
		rest = strings.TrimLeft(text[end+2:], " ")[1:]
		return text[1 : end+1], strings.TrimLeft(rest, " "), rest == "" || rest[0] == ' '
	}
	for i := 0; i < len(text); i++ {
		if text[i] == '#' && i > 0 && text[i-1] == ' ' {
			return "", "", false
		}
		if text[i] == ':' && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t') {
			return strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:]), true
		}
	}
	return "", "", false
}

func stripComment(s string) string {
	if i := strings.Index(s, " #"); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSpace(s)
}

// plainScalar gives an unquoted scalar its type, by YAML 1.1's common rules.
func plainScalar(s string) any {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE", "yes", "Yes", "on", "On":
		return true
	case "false", "False", "FALSE", "no", "No", "off", "Off":
		return false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && (s == "0" || s[0] != '0') {
		return float64(n)
	}
	if len(s) > 1 && s[0] == '0' && strings.Trim(s, "01234567") == "" {
		if n, err := strconv.ParseInt(s, 8, 64); err == nil {
			return float64(n)
		}
	}
	if strings.Trim(s, "0123456789.-+eE") == "" && strings.ContainsAny(s, "0123456789") {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return f
		}
	}
	return s
}

// toPlain turns ordered maps into Go maps, as JSON would give them.
func toPlain(v any) any {
	switch t := v.(type) {
	case yamlMap:
		m := map[string]any{}
		for _, p := range t {
			m[p.key] = toPlain(p.value)
		}
		return m
	case []any:
		out := make([]any, len(t))
		for i := range t {
			out[i] = toPlain(t[i])
		}
		return out
	}
	return v
}

// scalarText is how a scalar reads as a flag's value.
func scalarText(v any) string {
	switch t := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(t, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
