package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"sync"
)

// sqliteStore stands for kine on SQLite: one server, one file and its
// write-ahead log. Names and places are SQLite's; the content is JSON.
type sqliteStore struct {
	mu    sync.Mutex
	path  string
	data  *replica
	wal   *os.File
	lines int
}

// walLines is how long a write-ahead log may grow before it is folded into its file.
const walLines = 500

func openSQLite(path string) (*sqliteStore, error) {
	s := &sqliteStore{path: path, data: newReplica()}
	img, err := readSQLite(path)
	if err == nil {
		s.data.load(img)
	} else if !os.IsNotExist(err) {
		return nil, err
	}
	return s, s.fold()
}

// readSQLite reads a file and the log beside it.
func readSQLite(path string) (image, error) {
	var img image
	data, err := os.ReadFile(path)
	if err != nil {
		return img, err
	}
	if err := json.Unmarshal(data, &img); err != nil {
		return img, err
	}
	wal, err := os.Open(path + "-wal")
	if err != nil {
		return img, nil
	}
	defer wal.Close()
	r := newReplica()
	r.load(img)
	for lines := bufio.NewReader(wal); ; {
		line, err := lines.ReadBytes('\n')
		var o op
		// A last line cut short by a crash was never acknowledged.
		if err != nil || json.Unmarshal(line, &o) != nil {
			return r.image(), nil
		}
		o.Expect = -1
		r.apply(o)
	}
}

func (s *sqliteStore) replica() *replica { return s.data }
func (s *sqliteStore) ready() error      { return nil }
func (s *sqliteStore) name() string      { return "sqlite" }

func (s *sqliteStore) write(_ context.Context, o op) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rev, err := s.data.apply(o)
	if err != nil {
		return 0, err
	}
	line, _ := json.Marshal(o)
	if _, err := s.wal.Write(append(line, '\n')); err != nil {
		return 0, err
	}
	if s.lines++; s.lines > walLines {
		return rev, s.fold()
	}
	return rev, nil
}

// fold writes the file whole and starts an empty log.
func (s *sqliteStore) fold() error {
	data, err := json.Marshal(s.data.image())
	if err != nil {
		return err
	}
	if err := writeFile(s.path, data, 0o600); err != nil {
		return err
	}
	if s.wal != nil {
		s.wal.Close()
	}
	s.lines = 0
	s.wal, err = os.OpenFile(s.path+"-wal", os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	return err
}

func (s *sqliteStore) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fold()
}
