package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
)

// member is one etcd member. Names are "<node>-<8 hex>", as k3s makes them.
type member struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Peer    string `json:"peer"`   // https://IP:2380
	Client  string `json:"client"` // https://IP:2379
	Learner bool   `json:"learner,omitempty"`
}

// confChange changes the membership, one member at a time.
type confChange struct {
	Add     *member `json:"add,omitempty"`
	Remove  string  `json:"remove,omitempty"`
	Promote string  `json:"promote,omitempty"`
}

// entry is one place of the replicated log. One with neither op nor conf is
// what a new leader writes to find out how far its term reaches.
type entry struct {
	Index int64       `json:"i"`
	Term  int64       `json:"t"`
	Op    *op         `json:"op,omitempty"`
	Conf  *confChange `json:"conf,omitempty"`
}

// raftImage is the state after all entries up to Index.
type raftImage struct {
	Cluster string   `json:"cluster"`
	Index   int64    `json:"index"`
	Term    int64    `json:"term"`
	Members []member `json:"members"`
	Removed []string `json:"removed,omitempty"`
	Data    image    `json:"data"`
}

// hardState is what a member may never forget.
type hardState struct {
	Term   int64  `json:"term"`
	Vote   string `json:"vote,omitempty"`
	Commit int64  `json:"commit"`
}

// walLine is one line of the write-ahead log on disk.
type walLine struct {
	Hard  *hardState `json:"h,omitempty"`
	Entry *entry     `json:"e,omitempty"` // replaces any entry at or after its index
}

// raftDisk keeps one member's state below server/db/etcd/member.
type raftDisk struct {
	dir   string
	wal   *os.File
	lines int
}

func (d *raftDisk) imagePath() string { return filepath.Join(d.dir, "member", "snap", "db") }
func (d *raftDisk) walPath() string   { return filepath.Join(d.dir, "member", "wal", "0.wal") }

// load reads the image and replays the log.
func (d *raftDisk) load() (img raftImage, hard hardState, log []entry, err error) {
	data, err := os.ReadFile(d.imagePath())
	if err != nil {
		return
	}
	if err = json.Unmarshal(data, &img); err != nil {
		return
	}
	hard.Term, hard.Commit = img.Term, img.Index
	wal, openErr := os.Open(d.walPath())
	if openErr != nil {
		return
	}
	defer wal.Close()
	for lines := bufio.NewReader(wal); ; {
		text, readErr := lines.ReadBytes('\n')
		var line walLine
		if readErr != nil || json.Unmarshal(text, &line) != nil {
			return // cut short by a crash: never acknowledged
		}
		if line.Hard != nil {
			hard = *line.Hard
		}
		if e := line.Entry; e != nil && e.Index > img.Index {
			for len(log) > 0 && log[len(log)-1].Index >= e.Index {
				log = log[:len(log)-1]
			}
			log = append(log, *e)
		}
	}
}

// replaceAll starts the files anew with an image and what follows it.
func (d *raftDisk) replaceAll(img raftImage, hard hardState, log []entry) error {
	data, err := json.Marshal(img)
	if err != nil {
		return err
	}
	if err := writeFile(d.imagePath(), data, 0o600); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(d.walPath()), 0o700); err != nil {
		return err
	}
	if d.wal != nil {
		d.wal.Close()
	}
	if d.wal, err = os.OpenFile(d.walPath()+".tmp", os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	d.lines = 0
	if err := d.append(hard, log); err != nil {
		return err
	}
	return os.Rename(d.walPath()+".tmp", d.walPath())
}

// append writes the hard state and new entries. It does not sync the disk: the
// tests kill processes and containers, not the machine.
func (d *raftDisk) append(hard hardState, entries []entry) error {
	var buf []byte
	for i := range entries {
		line, err := json.Marshal(walLine{Entry: &entries[i]})
		if err != nil {
			return err
		}
		buf = append(append(buf, line...), '\n')
	}
	line, _ := json.Marshal(walLine{Hard: &hard})
	buf = append(append(buf, line...), '\n')
	d.lines += len(entries) + 1
	_, err := d.wal.Write(buf)
	return err
}

// loadCommitted gives the state on a disk up to what is known to be committed:
// what k3s reads through a temporary etcd before it starts.
func loadCommitted(dir string) (raftImage, hardState, error) {
	d := &raftDisk{dir: dir}
	img, hard, log, err := d.load()
	if err != nil {
		return img, hard, err
	}
	r := newReplica()
	r.load(img.Data)
	for _, e := range log {
		if e.Index > hard.Commit {
			break
		}
		if e.Op != nil {
			r.apply(*e.Op)
		}
		if e.Conf != nil {
			img.Members, img.Removed = applyConf(img.Members, img.Removed, *e.Conf)
		}
		img.Index, img.Term = e.Index, e.Term
	}
	img.Data = r.image()
	return img, hard, nil
}

// applyConf gives the membership after a change.
func applyConf(members []member, removed []string, c confChange) ([]member, []string) {
	out := append([]member(nil), members...)
	switch {
	case c.Add != nil:
		for _, m := range out {
			if m.ID == c.Add.ID {
				return out, removed
			}
		}
		out = append(out, *c.Add)
	case c.Remove != "":
		kept := out[:0]
		for _, m := range out {
			if m.ID != c.Remove {
				kept = append(kept, m)
			}
		}
		return kept, append(append([]string(nil), removed...), c.Remove)
	case c.Promote != "":
		for i := range out {
			if out[i].ID == c.Promote {
				out[i].Learner = false
			}
		}
	}
	return out, removed
}
