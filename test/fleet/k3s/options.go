package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// options are the settings of one "k3s server" or "k3s agent", merged from
// flags, environment and config files.
type options struct {
	command string
	specs   map[string]flagSpec
	values  map[string][]string
}

func (o *options) str(name string) string {
	if v := o.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func (o *options) bool(name string) bool {
	v, _ := strconv.ParseBool(o.str(name))
	return v
}

func (o *options) int(name string, def int) int {
	if n, err := strconv.Atoi(o.str(name)); err == nil {
		return n
	}
	return def
}

// list also splits at commas, as k3s does for its repeatable flags.
func (o *options) list(name string) []string {
	var out []string
	for _, v := range o.values[name] {
		for _, part := range strings.Split(v, ",") {
			if part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// rawList does not split: a kubelet-arg may hold commas.
func (o *options) rawList(name string) []string { return o.values[name] }

// loadOptions merges flags, environment and config. Flags win over environment
// variables, those win over the config file; lists given by flag add to the
// config file's.
func loadOptions(command string, args []string) (*options, error) {
	o := &options{command: command, specs: flagsFor(command), values: map[string][]string{}}
	fromFlags, err := o.parseArgs(args)
	if err != nil {
		return nil, err
	}
	fromConfig, err := o.parseConfig(fromFlags)
	if err != nil {
		return nil, err
	}
	for name, v := range fromConfig {
		o.values[name] = v
	}
	for _, spec := range o.specs {
		if v := os.Getenv(spec.env); spec.env != "" && v != "" {
			if err := check(spec, v); err != nil {
				return nil, fmt.Errorf("could not parse %q as %s value for flag %s", v, kindName(spec.kind), spec.name)
			}
			o.values[spec.name] = []string{v}
		}
	}
	for name, v := range fromFlags {
		if o.specs[name].kind == 'l' {
			v = append(append([]string{}, fromConfig[name]...), v...)
		}
		o.values[name] = v
	}
	debugLog = o.bool("debug")
	return o, nil
}

func kindName(kind byte) string {
	return map[byte]string{'b': "bool", 'i': "int", 's': "string", 'l': "string"}[kind]
}

func check(spec flagSpec, value string) error {
	switch spec.kind {
	case 'b':
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("invalid boolean value %q for -%s: parse error", value, spec.name)
		}
	case 'i':
		if _, err := strconv.Atoi(value); err != nil {
			return fmt.Errorf("invalid value %q for flag -%s: parse error", value, spec.name)
		}
	}
	return nil
}

// parseArgs reads flags the way Go's flag package does, which k3s builds on:
// one dash or two, "=value" or the next argument; the first word that is no
// flag ends the flags.
func (o *options) parseArgs(args []string) (map[string][]string, error) {
	out := map[string][]string{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if len(arg) < 2 || arg[0] != '-' || arg == "--" {
			break
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		if name == "" || name[0] == '-' {
			return nil, fmt.Errorf("bad flag syntax: %s", arg)
		}
		if name == "help" || name == "h" {
			return nil, errHelp
		}
		spec, ok := o.specs[name]
		if !ok {
			return nil, fmt.Errorf("flag provided but not defined: -%s", name)
		}
		if !hasValue {
			if spec.kind == 'b' {
				value = "true"
			} else if i++; i < len(args) {
				value = args[i]
			} else {
				return nil, fmt.Errorf("flag needs an argument: -%s", name)
			}
		}
		if err := check(spec, value); err != nil {
			return nil, err
		}
		out[spec.name] = append(out[spec.name], value)
	}
	return out, nil
}

var errHelp = errors.New("help requested")

// parseConfig reads config.yaml and config.yaml.d in order. A server skips keys
// it does not know and says so; an agent takes them as unknown flags and ends.
func (o *options) parseConfig(fromFlags map[string][]string) (map[string][]string, error) {
	path := os.Getenv("K3S_CONFIG_FILE")
	if path == "" {
		if v := fromFlags["config"]; len(v) > 0 {
			path = v[len(v)-1]
		} else {
			path = rooted("/etc/rancher/k3s/config.yaml")
		}
	}
	var files []string
	if exists(path) {
		files = append(files, path)
	}
	entries, _ := os.ReadDir(path + ".d")
	sort.Slice(entries, func(a, b int) bool { return entries[a].Name() < entries[b].Name() })
	for _, e := range entries {
		if ext := strings.ToLower(filepath.Ext(e.Name())); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			files = append(files, filepath.Join(path+".d", e.Name()))
		}
	}
	merged := map[string][]string{}
	for _, file := range files {
		if err := o.readConfig(file, merged); err != nil {
			return nil, err
		}
	}
	out := map[string][]string{}
	for key, values := range merged {
		spec, ok := o.specs[key]
		if !ok {
			dashes := "--"
			if len(key) == 1 {
				dashes = "-"
			}
			if o.command == "server" {
				warnf("Unknown flag %s%s found in config.yaml, skipping\n", dashes, key)
				continue
			}
			return nil, fmt.Errorf("flag provided but not defined: -%s", key)
		}
		for _, v := range values {
			if err := check(spec, v); err != nil {
				return nil, err
			}
		}
		out[spec.name] = append(out[spec.name], values...)
	}
	return out, nil
}

func (o *options) readConfig(file string, merged map[string][]string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	docs, err := parseYAML(string(text))
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		return nil
	}
	top, ok := docs[0].(yamlMap)
	if !ok {
		return fmt.Errorf("yaml: unmarshal errors:\n  line 1: cannot unmarshal %q into yaml.MapSlice", firstLine(string(text)))
	}
	for _, p := range top {
		key, add := strings.TrimSuffix(p.key, "+"), strings.HasSuffix(p.key, "+")
		var values []string
		if items, ok := p.value.([]any); ok {
			for _, item := range items {
				values = append(values, scalarText(toPlain(item)))
			}
		} else {
			values = []string{scalarText(toPlain(p.value))}
		}
		if add {
			values = append(merged[key], values...)
		}
		merged[key] = values
	}
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// mustOptions loads the options or ends the process as k3s would.
func mustOptions(command string, args []string) *options {
	o, err := loadOptions(command, args)
	switch {
	case err == errHelp:
		fmt.Printf("NAME:\n   k3s %s\n\nUSAGE:\n   k3s %s [OPTIONS]\n\nOPTIONS:\n", command, command)
		names := []string{}
		for _, line := range strings.Split(strings.TrimSpace(flagTable), "\n") {
			if f := strings.Fields(line); strings.Contains(f[3], command[:1]) {
				names = append(names, "   --"+strings.Replace(f[0], ",", ", -", 1))
			}
		}
		fmt.Println(strings.Join(names, "\n"))
		os.Exit(0)
	case err != nil && strings.HasPrefix(err.Error(), "yaml:"):
		fatalf("%v", err)
	case err != nil:
		fmt.Printf("Incorrect Usage: %v\n\nNAME:\n   k3s %s\n\nUSAGE:\n   k3s %s [OPTIONS]\n", err, command, command)
		fatalf("Error: %v", err)
	}
	return o
}
