package main

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

//go:embed manifests/*.yaml
var bundled embed.FS

// checkVersionStep refuses steps between versions that Kubernetes does not
// support: more than one minor up, any minor down, and servers of one cluster
// more than a minor apart. k3s itself would start and may break things later;
// the stand-in breaks at once, so that a test sees it.
func (s *server) checkVersionStep() error {
	mine := minor(version)
	api := &api{store: s.store}
	nodes, _ := api.list(builtin("nodes"), "")
	for _, n := range nodes {
		theirs := strAt(n, "status", "nodeInfo", "kubeletVersion")
		m := minor(theirs)
		if m < 0 || strAt(n, "metadata", "labels", "node-role.kubernetes.io/control-plane") != "true" {
			continue
		}
		switch {
		case nameOf(n) == s.node && mine > m+1:
			return fmt.Errorf("stand-in: upgrade from %s to %s skips a minor version", theirs, version)
		case nameOf(n) == s.node && mine < m:
			return fmt.Errorf("stand-in: downgrade from %s to %s is not supported: restore a snapshot", theirs, version)
		case mine > m+1 || mine < m-1:
			return fmt.Errorf("stand-in: server %s runs %s, which is more than a minor version away from %s", nameOf(n), theirs, version)
		}
	}
	return nil
}

// seed makes what every cluster has from the start.
func (s *server) seed() error {
	for _, ns := range []string{"kube-system", "default", "kube-public", "kube-node-lease"} {
		if _, err := s.api.create(builtin("namespaces"), "", obj{"metadata": obj{"name": ns}}); err != nil && !isCode(err, 409) {
			return err
		}
	}
	things := []struct {
		plural, ns string
		o          obj
	}{
		{"services", "default", obj{"metadata": obj{"name": "kubernetes"}, "spec": obj{"type": "ClusterIP", "clusterIP": s.serviceIP(), "ports": []any{obj{"name": "https", "port": 443.0, "protocol": "TCP"}}}}},
		{"serviceaccounts", "default", obj{"metadata": obj{"name": "default"}}},
		{"serviceaccounts", "kube-system", obj{"metadata": obj{"name": "default"}}},
		{"configmaps", "kube-system", obj{"metadata": obj{"name": "cluster-dns"}, "data": obj{"clusterDNS": s.sharedConfig()["cluster-dns"], "clusterDomain": s.sharedConfig()["cluster-domain"]}}},
	}
	for _, t := range things {
		r := builtin(t.plural)
		if _, ok := s.store.replica().get(r.key(t.ns, nameOf(t.o))); ok {
			continue
		}
		if _, err := s.api.create(r, t.ns, t.o); err != nil && !isCode(err, 409) {
			return err
		}
	}
	return nil
}

// disabled are the packaged components that --disable names.
func (s *server) disabled() map[string]bool {
	out := map[string]bool{}
	for _, d := range s.opt.list("disable") {
		out[d] = true
	}
	// No ingress controller, nothing to balance.
	if out["traefik"] {
		out["servicelb"] = true
	}
	return out
}

func (s *server) manifestDir() string { return filepath.Join(s.dir, "manifests") }

// stageManifests writes the packaged components, and removes disabled ones
// together with what they deployed.
func (s *server) stageManifests() {
	off := s.disabled()
	entries, _ := fs.ReadDir(bundled, "manifests")
	for _, e := range entries {
		path := filepath.Join(s.manifestDir(), e.Name())
		text, _ := bundled.ReadFile("manifests/" + e.Name())
		name := strings.TrimSuffix(e.Name(), ".yaml")
		if exists(path + ".skip") {
			continue
		}
		if !off[name] {
			writeIfOther(path, string(text), 0o600)
			continue
		}
		os.Remove(path)
		for _, o := range manifestObjects(string(text)) {
			if r := s.api.findKind(strAt(o, "apiVersion"), strAt(o, "kind")); r != nil {
				s.api.delete(r, nsOf(o), nameOf(o), deleteOptions{})
			}
		}
		s.api.delete(builtin("addons"), "kube-system", name, deleteOptions{})
	}
	os.MkdirAll(filepath.Join(s.dir, "static"), 0o700)
}

func manifestObjects(text string) (out []obj) {
	docs, err := parseYAML(text)
	if err != nil {
		return nil
	}
	for _, d := range docs {
		o, ok := toPlain(d).(obj)
		if !ok {
			continue
		}
		if strings.HasSuffix(strAt(o, "kind"), "List") && o["items"] != nil {
			for _, item := range listAt(o, "items") {
				if m, ok := item.(obj); ok {
					out = append(out, m)
				}
			}
			continue
		}
		out = append(out, o)
	}
	return
}

// deployManifests applies server/manifests as its files change. As in k3s,
// removing a file removes nothing from the cluster.
func (s *server) deployManifests() {
	s.stageManifests()
	done := map[string]string{} // path → checksum that was applied or failed
	for ; ; time.Sleep(time.Second) {
		var files []string
		filepath.WalkDir(s.manifestDir(), func(path string, d fs.DirEntry, err error) error {
			ext := filepath.Ext(path)
			if err == nil && !d.IsDir() && (ext == ".yaml" || ext == ".yml" || ext == ".json") && !exists(path+".skip") {
				files = append(files, path)
			}
			return nil
		})
		sort.Strings(files)
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			sum := sha256.Sum256(text)
			hash := hex.EncodeToString(sum[:])
			if done[path] == hash || s.store.ready() != nil {
				continue
			}
			if err := s.applyManifest(path, string(text), hash); err != nil {
				if done[path] != "failed "+hash {
					errorf("Failed to process config: failed to process %s: %v", path, err)
				}
				done[path] = "failed " + hash
				continue
			}
			done[path] = hash
		}
	}
}

func (s *server) applyManifest(path, text, hash string) error {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	addons := builtin("addons")
	old, err := s.api.get(addons, "kube-system", name)
	if err == nil && strAt(old, "spec", "checksum") == hash {
		return nil
	}
	docs, err := parseYAML(text)
	if err != nil {
		return err
	}
	if len(docs) > 0 && len(manifestObjects(text)) == 0 {
		return fmt.Errorf("no objects in the manifest")
	}
	for _, o := range manifestObjects(text) {
		if err := s.applyObject(o); err != nil {
			return err
		}
	}
	spec := obj{"source": path, "checksum": hash}
	if old == nil {
		_, err = s.api.create(addons, "kube-system", obj{"metadata": obj{"name": name}, "spec": spec})
	} else {
		err = s.api.modify(addons, "kube-system", name, false, func(o obj) bool { o["spec"] = spec; return true })
	}
	if isCode(err, 409) {
		return nil // another server was at it at the same moment
	}
	if err == nil {
		s.event("kube-system", "Addon", name, "Normal", "AppliedManifest", fmt.Sprintf("Applied manifest at %q", path))
	}
	return err
}

// applyObject creates an object or merges it into the one that is there.
func (s *server) applyObject(o obj) error {
	r := s.api.findKind(strAt(o, "apiVersion"), strAt(o, "kind"))
	if r == nil {
		return fmt.Errorf("no matches for kind %q in version %q", strAt(o, "kind"), strAt(o, "apiVersion"))
	}
	ns := ""
	if r.namespaced {
		if ns = nsOf(o); ns == "" {
			ns = "default"
		}
	}
	_, err := s.api.create(r, ns, o)
	if isCode(err, 409) {
		if r.plural == "secrets" {
			o = deepCopy(o)
			fillDefaults(r, o)
		}
		err = s.api.modify(r, ns, nameOf(o), false, func(old obj) bool { mergePatch(old, normal(o)); return true })
	}
	return err
}

// event records something for "kubectl get events" and "describe".
func (s *server) event(ns, kind, name, eventType, reason, message string) {
	if ns == "" {
		ns = "default"
	}
	s.api.create(builtin("events"), ns, obj{
		"metadata": obj{"name": fmt.Sprintf("%s.%x", name, time.Now().UnixNano())}, "type": eventType, "reason": reason, "message": message,
		"involvedObject": obj{"kind": kind, "name": name, "namespace": ns}, "source": obj{"component": "k3s"}, "reportingComponent": "k3s",
		"firstTimestamp": now(), "lastTimestamp": now(), "count": 1.0,
	})
}
