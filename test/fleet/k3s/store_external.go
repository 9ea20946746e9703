package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// rowStore keeps the datastore in a SQL database the way kine does: a table
// that only grows, one row per change, read by everyone in the order of its ids.
// A unique index over (name, prev_revision) lets only one of two writers win.
type rowStore struct {
	kind string
	open func() (sqlConn, error)
	mu   sync.Mutex // guards conn: one statement at a time
	conn sqlConn
	data *replica
	seen atomic.Int64 // the last id that was read
	okAt atomic.Int64 // when the database last answered, in unix milliseconds
	done chan struct{}
	poke chan struct{}
}

// sqlConn is the little that is needed of a database connection.
type sqlConn interface {
	// query runs one statement and gives its rows as text.
	query(sql string) ([][]string, error)
	// quote makes a literal of a text.
	quote(s string) string
	schema() []string
	// insert adds one row and gives its id. Ids must become visible in their
	// order: a reader that has seen one never looks back.
	insert(sql string) (int64, error)
	close()
}

// errDuplicateRow is what a database says when the unique index refuses a row.
var errDuplicateRow = errors.New("duplicate row")

// sqlError is an error the database itself reported; the connection is still good.
type sqlError struct{ code, message string }

func (e *sqlError) Error() string { return e.message }

func openRows(kind string, open func() (sqlConn, error)) (*rowStore, error) {
	s := &rowStore{kind: kind, open: open, data: newReplica(), done: make(chan struct{})}
	conn, err := open()
	if err != nil {
		return nil, err
	}
	s.conn = conn
	infof("Configuring database table schema and indexes, this may take a moment...")
	for _, sql := range conn.schema() {
		// Two servers may do this at the same moment.
		if _, err := conn.query(sql); err != nil && !errors.Is(err, errDuplicateRow) && !strings.Contains(strings.ToLower(err.Error()), "exist") && !strings.Contains(err.Error(), "Duplicate key name") {
			return nil, err
		}
	}
	infof("Database tables and indexes are up to date")
	if err := s.poll(); err != nil {
		return nil, err
	}
	infof("Kine available at unix://kine.sock")
	go s.poller()
	return s, nil
}

func (s *rowStore) replica() *replica { return s.data }
func (s *rowStore) name() string      { return s.kind }

// query runs a statement, on a new connection when the old one broke.
func (s *rowStore) query(sql string) (rows [][]string, err error) {
	err = s.with(func(c sqlConn) error {
		rows, err = c.query(sql)
		return err
	})
	return rows, err
}

func (s *rowStore) with(f func(sqlConn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		conn, err := s.open()
		if err != nil {
			return err
		}
		s.conn = conn
	}
	err := f(s.conn)
	var reported *sqlError
	if err != nil && !errors.As(err, &reported) && !errors.Is(err, errDuplicateRow) {
		s.conn.close()
		s.conn = nil
		return err
	}
	s.okAt.Store(time.Now().UnixMilli())
	return err
}

// poll reads the rows that are new.
func (s *rowStore) poll() error {
	for {
		rows, err := s.query(fmt.Sprintf("SELECT id, name, created, deleted, value FROM kine WHERE id > %d ORDER BY id ASC LIMIT 500", s.seen.Load()))
		if err != nil {
			return err
		}
		for _, row := range rows {
			var id int64
			fmt.Sscan(row[0], &id)
			if id <= s.seen.Load() {
				continue
			}
			var value json.RawMessage
			if row[3] != "1" && row[3] != "t" {
				value = json.RawMessage(row[4])
			}
			s.data.set(row[1], value, id)
			s.seen.Store(id)
		}
		if len(rows) < 500 {
			return nil
		}
	}
}

func (s *rowStore) sync(context.Context) error { return s.poll() }

func (s *rowStore) poller() {
	for last := time.Now(); ; {
		select {
		case <-s.done:
			return
		case <-time.After(250 * time.Millisecond):
		}
		if err := s.poll(); err != nil {
			debugf("kine: %v", err)
		}
		// Rows of the past are dropped now and then, as kine compacts.
		if time.Since(last) > 2*time.Minute {
			last = time.Now()
			s.query(fmt.Sprintf("DELETE FROM kine WHERE id < %d AND id NOT IN (SELECT * FROM (SELECT MAX(id) FROM kine GROUP BY name) AS latest)", s.seen.Load()-historyLength))
		}
	}
}

func (s *rowStore) ready() error {
	if time.Since(time.UnixMilli(s.okAt.Load())) > 3*time.Second {
		return errTimeout
	}
	return nil
}

func (s *rowStore) write(ctx context.Context, o op) (int64, error) {
	for {
		if err := s.poll(); err != nil {
			return 0, errTimeout
		}
		old, ok := s.data.get(o.Key)
		switch {
		case o.Expect == 0 && ok, o.Expect > 0 && (!ok || old.Mod != o.Expect):
			return 0, errConflict
		case o.Value == nil && !ok:
			return 0, errNoKey
		}
		id, err := s.insert(o, old, ok)
		if errors.Is(err, errDuplicateRow) {
			if o.Expect == -1 && ctx.Err() == nil {
				continue
			}
			return 0, errConflict
		}
		if err != nil {
			return 0, errTimeout
		}
		// Seen by this server once its replica has it.
		for s.seen.Load() < id {
			if err := s.poll(); err != nil {
				return 0, errTimeout
			}
		}
		return id, nil
	}
}

func (s *rowStore) insert(o op, old record, existed bool) (id int64, err error) {
	value := string(o.Value)
	deleted, created := 0, 0
	if o.Value == nil {
		deleted, value = 1, string(old.Value)
	}
	if !existed {
		created = 1
	}
	err = s.with(func(c sqlConn) error {
		// A new key follows its own last deletion, so that two creators collide.
		prev := fmt.Sprint(old.Mod)
		if !existed {
			prev = fmt.Sprintf("(SELECT COALESCE(MAX(k.id), 0) FROM (SELECT id, name FROM kine) AS k WHERE k.name = %s)", c.quote(o.Key))
		}
		id, err = c.insert(fmt.Sprintf("INSERT INTO kine(name, created, deleted, create_revision, prev_revision, lease, value, old_value) VALUES(%s, %d, %d, %d, %s, 0, %s, '')",
			c.quote(o.Key), created, deleted, old.Create, prev, c.quote(value)))
		return err
	})
	return id, err
}

func (s *rowStore) close() { close(s.done) }

// openExternal opens the datastore that --datastore-endpoint names.
func (s *server) openExternal(endpoint string, o *options) error {
	scheme, _, ok := strings.Cut(endpoint, "://")
	if !ok {
		if strings.HasPrefix(endpoint, "/") {
			scheme = "sqlite"
		} else {
			return fmt.Errorf("creating storage endpoint: unknown storage endpoint %q", scheme)
		}
	}
	var st store
	var err error
	tls := databaseTLS{o.str("datastore-cafile"), o.str("datastore-certfile"), o.str("datastore-keyfile")}
	switch scheme {
	case "etcd", "http", "https":
		st, err = openEtcd(endpoint, tls)
	case "postgres", "postgresql":
		st, err = openRows("postgres", func() (sqlConn, error) { return dialPostgres(endpoint, tls) })
	case "mysql":
		st, err = openRows("mysql", func() (sqlConn, error) { return dialMySQL(endpoint, tls) })
	case "sqlite":
		st, err = openSQLite(strings.TrimPrefix(endpoint, "sqlite://"))
	default:
		return fmt.Errorf("creating storage endpoint: the stand-in has no %s", scheme)
	}
	if err != nil {
		return fmt.Errorf("creating storage endpoint: building kine: %w", err)
	}
	s.store = st
	return s.reconcileBootstrap()
}
