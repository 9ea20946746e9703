package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// snapshotFile is an etcd snapshot of the stand-in: the whole datastore, with a checksum.
type snapshotFile struct {
	Sum  string `json:"sum"`
	Data image  `json:"data"`
}

func (s snapshotFile) checksum() string {
	data, _ := json.Marshal(s.Data)
	return caHash(data)
}

// readSnapshot reads a snapshot file, compressed or not.
func readSnapshot(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil || len(data) < 2 || data[0] != 0x1f || data[1] != 0x8b {
		return data, err
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func (s *server) snapshotDir() string {
	if d := s.opt.str("etcd-snapshot-dir"); d != "" {
		return d
	}
	return filepath.Join(s.dir, "db", "snapshots")
}

// snapshotAsk is what "k3s etcd-snapshot" sends to the server that runs beside it.
type snapshotAsk struct {
	Operation string
	Name      string
	Names     []string
	Retention int
	Compress  bool
}

type snapshotEntry struct {
	Name, Location string
	Size           int64
	Created        time.Time
}

func (s *server) snapshotRequest(w http.ResponseWriter, r *http.Request) {
	var ask snapshotAsk
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		writeError(w, &apiError{400, "BadRequest", err.Error(), nil})
		return
	}
	if s.raft == nil {
		writeError(w, &apiError{500, "", "etcd datastore disabled", nil})
		return
	}
	out, err := s.snapshot(ask)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, 200, out)
}

// snapshot saves, lists, deletes or prunes; it answers with the files concerned.
func (s *server) snapshot(ask snapshotAsk) (out []snapshotEntry, err error) {
	dir := s.snapshotDir()
	switch ask.Operation {
	case "save":
		if err := s.api.awaitReady(3 * time.Second); err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%s-%s-%d", ask.Name, s.node, time.Now().Unix())
		snap := snapshotFile{Data: s.store.replica().image()}
		snap.Sum = snap.checksum()
		data, err := json.Marshal(snap)
		if err != nil {
			return nil, err
		}
		if ask.Compress {
			name += ".zip"
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write(data)
			z.Close()
			data = b.Bytes()
		}
		path := filepath.Join(dir, name)
		if err := writeFile(path, data, 0o600); err != nil {
			return nil, err
		}
		infof("Saving etcd snapshot to %s", path)
		s.api.create(builtin("etcdsnapshotfiles"), "", obj{"metadata": obj{"name": "local-" + strings.ToLower(name)},
			"spec": obj{"snapshotName": name, "nodeName": s.node, "location": "file://" + path}, "status": obj{"size": strconv.Itoa(len(data)), "creationTime": now(), "readyToUse": true}})
		return s.snapshots(func(n string) bool { return n == name }), nil
	case "list":
		return s.snapshots(func(string) bool { return true }), nil
	case "delete":
		for _, name := range ask.Names {
			found := s.snapshots(func(n string) bool { return n == name })
			if len(found) == 0 {
				return nil, &apiError{404, "NotFound", fmt.Sprintf("snapshot %s not found", name), nil}
			}
			out = append(out, found...)
		}
	case "prune":
		all := s.snapshots(func(n string) bool { return strings.HasPrefix(n, ask.Name+"-"+s.node) })
		for i := 0; i < len(all)-ask.Retention; i++ {
			out = append(out, all[i])
		}
	default:
		return nil, &apiError{400, "BadRequest", "unknown operation " + ask.Operation, nil}
	}
	for _, e := range out {
		if err := os.Remove(filepath.Join(dir, e.Name)); err != nil {
			return nil, err
		}
		s.api.delete(builtin("etcdsnapshotfiles"), "", "local-"+strings.ToLower(e.Name), deleteOptions{})
	}
	return out, nil
}

// snapshots lists files, oldest first.
func (s *server) snapshots(want func(string) bool) []snapshotEntry {
	out := []snapshotEntry{}
	entries, _ := os.ReadDir(s.snapshotDir())
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !e.IsDir() && want(e.Name()) && !strings.Contains(e.Name(), ".tmp") {
			out = append(out, snapshotEntry{e.Name(), "file://" + filepath.Join(s.snapshotDir(), e.Name()), info.Size(), info.ModTime().UTC()})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Created.Before(out[j].Created) })
	return out
}

// etcdSnapshotCommand is "k3s etcd-snapshot [save|ls|delete|prune]".
func etcdSnapshotCommand(args []string) int {
	operation := "save"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		operation, args = args[0], args[1:]
	}
	f := subcommandFlags{}
	rest, err := f.parse(args, map[string]string{"name": "on-demand", "dir": "", "etcd-snapshot-dir": "", "data-dir": "", "snapshot-compress": "bool", "etcd-snapshot-compress": "bool", "snapshot-retention": "5", "etcd-snapshot-retention": "5",
		"output": "table", "o": "", "etcd-server": "", "server": "", "etcd-token": "", "token": "", "node-name": "", "debug": "bool", "log": "", "s3": "bool", "etcd-s3": "bool"})
	if err != nil {
		fatalf("Error: %v", err)
	}
	if f["s3"] == "true" || f["etcd-s3"] == "true" {
		fatalf("Error: the stand-in has no S3")
	}
	retention := f["snapshot-retention"]
	if f["etcd-snapshot-retention"] != "5" {
		retention = f["etcd-snapshot-retention"]
	}
	keep, _ := strconv.Atoi(retention)
	ask := snapshotAsk{Name: f["name"], Names: rest, Retention: keep, Compress: f["snapshot-compress"] == "true" || f["etcd-snapshot-compress"] == "true"}
	switch operation {
	case "save", "delete", "prune":
		ask.Operation = operation
	case "ls", "list", "l":
		ask.Operation = "list"
	default:
		fatalf("Error: no such etcd-snapshot command: %s", operation)
	}
	if operation == "delete" && len(rest) == 0 {
		fatalf("Error: no snapshots given for removal")
	}
	var out []snapshotEntry
	if err := localServer(f["data-dir"]).ask("POST", "/db/snapshot", ask, &out); err != nil {
		fatalf("Error: failed to %s snapshot: %v", operation, err)
	}
	switch {
	case ask.Operation == "list" && (f["output"] == "json" || f["o"] == "json"):
		items := []any{}
		for _, e := range out {
			items = append(items, obj{"spec": obj{"snapshotName": e.Name, "location": e.Location}, "status": obj{"size": strconv.FormatInt(e.Size, 10), "creationTime": e.Created.Format(time.RFC3339), "readyToUse": true}})
		}
		json.NewEncoder(os.Stdout).Encode(obj{"apiVersion": "k3s.cattle.io/v1", "kind": "ETCDSnapshotFileList", "items": items})
	case ask.Operation == "list":
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
		fmt.Fprintln(w, "Name\tLocation\tSize\tCreated")
		for _, e := range out {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", e.Name, e.Location, e.Size, e.Created.Format(time.RFC3339))
		}
		w.Flush()
	case operation == "save":
		for _, e := range out {
			infof("Snapshot %s saved.", e.Name)
		}
	default:
		for _, e := range out {
			infof("Snapshot %s deleted.", e.Name)
		}
	}
	return 0
}
