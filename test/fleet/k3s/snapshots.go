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
	S3        *s3Config // where the snapshots are too, as the command's own config has it
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
	var bucket *s3Config
	if ask.S3 != nil {
		found, err := ask.S3.resolved(s)
		if err != nil {
			return nil, &apiError{500, "", "failed to initialize S3 client: " + err.Error(), nil}
		}
		bucket = &found
		defer s.recordStored(found)
	}
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
		out = s.snapshots(func(n string) bool { return n == name })
		if bucket == nil {
			return out, nil
		}
		infof("Saving etcd snapshot %s to S3", name)
		if err := bucket.upload(name, data); err != nil {
			errorf("%v", err)
			return nil, &apiError{500, "", err.Error(), nil}
		}
		return append(out, snapshotEntry{name, bucket.location(name), int64(len(data)), time.Now().UTC()}), nil
	case "list":
		out = s.snapshots(func(string) bool { return true })
		if bucket == nil {
			return out, nil
		}
		stored, err := bucket.list()
		if err != nil {
			return nil, &apiError{500, "", err.Error(), nil}
		}
		return append(stored, out...), nil
	case "delete":
		for _, name := range ask.Names {
			found := s.snapshots(func(n string) bool { return n == name })
			if bucket != nil {
				stored, err := bucket.list()
				if err != nil {
					return nil, &apiError{500, "", err.Error(), nil}
				}
				for _, e := range stored {
					if e.Name == name {
						found = append(found, e)
					}
				}
			}
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
		if strings.HasPrefix(e.Location, "s3://") {
			if _, err := bucket.do("DELETE", bucket.key(e.Name), nil, nil); err != nil {
				return nil, &apiError{500, "", err.Error(), nil}
			}
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name)); err != nil {
			return nil, err
		}
		s.api.delete(builtin("etcdsnapshotfiles"), "", "local-"+strings.ToLower(e.Name), deleteOptions{})
	}
	return out, nil
}

// recordStored makes the ETCDSnapshotFiles of a bucket what is in it.
func (s *server) recordStored(bucket s3Config) {
	stored, err := bucket.list()
	if err != nil {
		return
	}
	kept := map[string]bool{}
	for _, e := range stored {
		name := "s3-" + strings.ToLower(e.Name)
		kept[name] = true
		s.api.create(builtin("etcdsnapshotfiles"), "", obj{"metadata": obj{"name": name},
			"spec":   obj{"snapshotName": e.Name, "nodeName": "s3", "location": e.Location, "s3": obj{"endpoint": bucket.Endpoint, "bucket": bucket.Bucket, "region": bucket.Region, "prefix": bucket.Folder}},
			"status": obj{"size": strconv.FormatInt(e.Size, 10), "creationTime": e.Created.Format(time.RFC3339), "readyToUse": true}})
	}
	all, _ := s.api.list(builtin("etcdsnapshotfiles"), "")
	for _, o := range all {
		if strings.HasPrefix(strAt(o, "spec", "location"), "s3://") && !kept[nameOf(o)] {
			s.api.delete(builtin("etcdsnapshotfiles"), "", nameOf(o), deleteOptions{})
		}
	}
}

// reconcileStored records what is in the bucket once the API is there: the
// record came with a restored snapshot, or is older than the bucket.
func (s *server) reconcileStored() {
	config := s3From(s.opt.str)
	if config == nil || s.raft == nil {
		return
	}
	for s.api.awaitReady(3*time.Second) != nil {
		time.Sleep(time.Second)
	}
	if found, err := config.resolved(s); err == nil {
		s.recordStored(found)
	} else {
		warnf("Unable to initialize S3 client: %v", err)
	}
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
	known := map[string]string{"name": "on-demand", "dir": "", "etcd-snapshot-dir": "", "data-dir": "", "snapshot-compress": "bool", "etcd-snapshot-compress": "bool", "snapshot-retention": "5", "etcd-snapshot-retention": "5",
		"output": "table", "o": "", "etcd-server": "", "server": "", "etcd-token": "", "token": "", "node-name": "", "debug": "bool", "log": "", "s3": "bool", "etcd-s3": "bool"}
	for _, name := range s3Settings {
		kind := ""
		if name == "insecure" || name == "skip-ssl-verify" {
			kind = "bool"
		}
		known["s3-"+name], known["etcd-s3-"+name] = kind, kind
	}
	f := subcommandFlags{}
	rest, err := f.parse(args, known)
	if err != nil {
		fatalf("Error: %v", err)
	}
	// Its own flags, else config.yaml; what the service was started with it does not see.
	config, err := loadOptions("server", nil)
	if err != nil {
		fatalf("Error: %v", err)
	}
	bucket := s3From(func(name string) string {
		for _, flag := range []string{name, strings.TrimPrefix(name, "etcd-")} {
			if f[flag] != "" {
				return f[flag]
			}
		}
		return config.str(name)
	})
	retention := f["snapshot-retention"]
	if f["etcd-snapshot-retention"] != "5" {
		retention = f["etcd-snapshot-retention"]
	}
	keep, _ := strconv.Atoi(retention)
	ask := snapshotAsk{Name: f["name"], Names: rest, Retention: keep, Compress: f["snapshot-compress"] == "true" || f["etcd-snapshot-compress"] == "true", S3: bucket}
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
