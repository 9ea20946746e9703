package main

import (
	"context"
	"encoding/json"
	"errors"
	"sort"
	"strings"
	"sync"
)

// record is one key of the datastore.
type record struct {
	Key    string          `json:"k"`
	Value  json.RawMessage `json:"v"`
	Create int64           `json:"c"`
	Mod    int64           `json:"m"`
}

// change is what a watcher sees.
type change struct {
	record
	Prev    json.RawMessage // the value before, nil for a new key
	Deleted bool
}

// op is one write. Expect guards it: the revision the key must have, 0 when it
// must not exist, -1 for any.
type op struct {
	Key    string          `json:"k"`
	Value  json.RawMessage `json:"v,omitempty"` // nil deletes
	Expect int64           `json:"e"`
}

var (
	errConflict = errors.New("the key was changed meanwhile")
	errNoKey    = errors.New("no such key")
	errCompact  = errors.New("mvcc: required revision has been compacted")
)

// store is a datastore: the local file that stands for SQLite, the embedded
// etcd, or an external database. Reads go to its local replica.
type store interface {
	replica() *replica
	write(ctx context.Context, o op) (int64, error)
	// ready says why the datastore cannot be used now, or nil.
	ready() error
	name() string
	close()
}

// syncer is a store whose replica may lag behind what another server wrote:
// before a read it is brought up to date, so that reads are linearizable.
type syncer interface {
	sync(ctx context.Context) error
}

// replica is the state of the datastore held in memory, with its recent history.
type replica struct {
	mu      sync.RWMutex
	rev     int64
	floor   int64 // history before this revision is gone
	keys    map[string]record
	history []change
	wake    chan struct{} // closed at every change
	// busy counts changes other than heartbeats and events: what controllers care about.
	busy int64
}

const historyLength = 1000

func newReplica() *replica {
	return &replica{keys: map[string]record{}, wake: make(chan struct{}), rev: 1, floor: 1}
}

// apply makes a write real, or says why it may not be; deterministic, so that
// every member of a cluster decides alike.
func (r *replica) apply(o op) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, ok := r.keys[o.Key]
	switch {
	case o.Expect == 0 && ok, o.Expect > 0 && (!ok || old.Mod != o.Expect):
		return 0, errConflict
	case o.Value == nil && !ok:
		return 0, errNoKey
	}
	r.rev++
	r.setLocked(o.Key, o.Value, r.rev)
	return r.rev, nil
}

// set takes over a write that an external database has already accepted.
func (r *replica) set(key string, value json.RawMessage, rev int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rev > r.rev {
		r.rev = rev
	}
	r.setLocked(key, value, rev)
}

func (r *replica) setLocked(key string, value json.RawMessage, rev int64) {
	old, ok := r.keys[key]
	if !ok && value == nil {
		return
	}
	c := change{record: record{Key: key, Value: value, Create: old.Create, Mod: rev}, Prev: old.Value, Deleted: value == nil}
	if !ok {
		c.Create = rev
	}
	if value == nil {
		delete(r.keys, key)
		c.Value = old.Value
	} else {
		r.keys[key] = c.record
	}
	if !strings.HasPrefix(key, "/registry/coordination.k8s.io/leases/") && !strings.HasPrefix(key, "/registry/events/") {
		r.busy++
	}
	r.history = append(r.history, c)
	if len(r.history) > historyLength {
		drop := len(r.history) - historyLength/2
		r.floor = r.history[drop-1].Mod
		r.history = append([]change(nil), r.history[drop:]...)
	}
	close(r.wake)
	r.wake = make(chan struct{})
}

func (r *replica) get(key string) (record, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	rec, ok := r.keys[key]
	return rec, ok
}

// list gives all keys with a prefix, sorted, and the revision they were read at.
func (r *replica) list(prefix string) ([]record, int64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []record
	for k, rec := range r.keys {
		if strings.HasPrefix(k, prefix) {
			out = append(out, rec)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out, r.rev
}

func (r *replica) activity() int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.busy
}

// since gives the changes after a revision, and a channel that is closed at the next one.
func (r *replica) since(rev int64) ([]change, chan struct{}, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if rev < r.floor {
		return nil, nil, errCompact
	}
	i := sort.Search(len(r.history), func(i int) bool { return r.history[i].Mod > rev })
	return append([]change(nil), r.history[i:]...), r.wake, nil
}

// image is a whole datastore, for disks, snapshots and members that lag.
type image struct {
	Rev  int64    `json:"rev"`
	Keys []record `json:"keys"`
}

func (r *replica) image() image {
	keys, rev := r.list("")
	return image{rev, keys}
}

// load replaces everything; watchers must start over.
func (r *replica) load(img image) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = map[string]record{}
	for _, rec := range img.Keys {
		r.keys[rec.Key] = rec
	}
	r.rev, r.floor, r.history = img.Rev, img.Rev, nil
	r.busy++
	close(r.wake)
	r.wake = make(chan struct{})
}
