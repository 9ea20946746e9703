package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// databaseTLS names the files that --datastore-cafile and its like give.
type databaseTLS struct{ ca, cert, key string }

// config is nil when no file is named.
func (d databaseTLS) config() (*tls.Config, error) {
	if d.ca == "" && d.cert == "" {
		return nil, nil
	}
	cfg := &tls.Config{}
	if d.ca != "" {
		pem, err := os.ReadFile(d.ca)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		cfg.RootCAs.AppendCertsFromPEM(pem)
	}
	if d.cert != "" {
		pair, err := tls.LoadX509KeyPair(d.cert, d.key)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// etcdStore uses a real etcd through its JSON gateway: transactions guarded by
// mod_revision, and one watch that keeps the replica up to date.
type etcdStore struct {
	urls   []string
	client *http.Client
	data   *replica
	okAt   atomic.Int64
	done   chan struct{}
}

const etcdRoot = "/k3s-stand-in"

func openEtcd(endpoint string, files databaseTLS) (*etcdStore, error) {
	cfg, err := files.config()
	if err != nil {
		return nil, err
	}
	s := &etcdStore{client: &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, MaxIdleConnsPerHost: 4}}, data: newReplica(), done: make(chan struct{})}
	for _, u := range strings.Split(endpoint, ",") {
		s.urls = append(s.urls, strings.TrimSuffix(strings.Replace(u, "etcd://", "http://", 1), "/"))
	}
	rev, err := s.loadAll()
	if err != nil {
		return nil, err
	}
	go s.follow(rev)
	go s.probe()
	return s, nil
}

func (s *etcdStore) replica() *replica { return s.data }
func (s *etcdStore) name() string      { return "etcd" }
func (s *etcdStore) close()            { close(s.done) }

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func unb64(s string) string {
	b, _ := base64.StdEncoding.DecodeString(s)
	return string(b)
}

// etcdNum reads the gateway's numbers, which are strings.
type etcdNum int64

func (n *etcdNum) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	*n = etcdNum(v)
	return err
}

type etcdKV struct {
	Key, Value     string
	CreateRevision etcdNum `json:"create_revision"`
	ModRevision    etcdNum `json:"mod_revision"`
}

type etcdHeader struct{ Revision etcdNum }

func (s *etcdStore) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	err = errors.New("no endpoint")
	for _, u := range s.urls {
		var req *http.Request
		if req, err = http.NewRequestWithContext(ctx, "POST", u+path, bytes.NewReader(body)); err != nil {
			return err
		}
		var resp *http.Response
		if resp, err = s.client.Do(req); err != nil {
			continue
		}
		if resp.StatusCode != 200 {
			resp.Body.Close()
			err = fmt.Errorf("etcd: %s", resp.Status)
			continue
		}
		err = json.NewDecoder(resp.Body).Decode(out)
		resp.Body.Close()
		if err == nil {
			s.okAt.Store(time.Now().UnixMilli())
			return nil
		}
	}
	return err
}

// loadAll reads everything once.
func (s *etcdStore) loadAll() (int64, error) {
	ctx, cancel := contextTimeout(5 * time.Second)
	defer cancel()
	var out struct {
		Header etcdHeader
		Kvs    []etcdKV
	}
	if err := s.call(ctx, "/v3/kv/range", obj{"key": b64(etcdRoot + "/"), "range_end": b64(etcdRoot + "0")}, &out); err != nil {
		return 0, err
	}
	img := image{Rev: int64(out.Header.Revision)}
	for _, kv := range out.Kvs {
		img.Keys = append(img.Keys, record{strings.TrimPrefix(unb64(kv.Key), etcdRoot), json.RawMessage(unb64(kv.Value)), int64(kv.CreateRevision), int64(kv.ModRevision)})
	}
	s.data.load(img)
	return img.Rev, nil
}

// follow watches for ever; where a watch breaks it goes on from what it has seen.
func (s *etcdStore) follow(rev int64) {
	for i := 0; ; i++ {
		select {
		case <-s.done:
			return
		default:
		}
		rev = s.watch(s.urls[i%len(s.urls)], rev)
		time.Sleep(200 * time.Millisecond)
	}
}

func (s *etcdStore) watch(url string, rev int64) int64 {
	body, _ := json.Marshal(obj{"create_request": obj{"key": b64(etcdRoot + "/"), "range_end": b64(etcdRoot + "0"), "start_revision": strconv.FormatInt(rev+1, 10)}})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", url+"/v3/watch", bytes.NewReader(body))
	if err != nil {
		return rev
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return rev
	}
	defer resp.Body.Close()
	for d := json.NewDecoder(resp.Body); ; {
		var m struct {
			Result struct {
				Canceled bool
				Events   []struct {
					Type string
					Kv   etcdKV
				}
			}
		}
		if d.Decode(&m) != nil || m.Result.Canceled {
			return rev
		}
		for _, e := range m.Result.Events {
			var value json.RawMessage
			if e.Type != "DELETE" {
				value = json.RawMessage(unb64(e.Kv.Value))
			}
			rev = int64(e.Kv.ModRevision)
			s.data.set(strings.TrimPrefix(unb64(e.Kv.Key), etcdRoot), value, rev)
		}
	}
}

// probe keeps track of whether etcd has a quorum: a linearizable read needs one.
func (s *etcdStore) probe() {
	for {
		ctx, cancel := contextTimeout(2 * time.Second)
		s.call(ctx, "/v3/kv/range", obj{"key": b64(etcdRoot), "count_only": true}, &obj{})
		cancel()
		select {
		case <-s.done:
			return
		case <-time.After(time.Second):
		}
	}
}

func (s *etcdStore) ready() error {
	if time.Since(time.UnixMilli(s.okAt.Load())) > 4*time.Second {
		return errTimeout
	}
	return nil
}

func (s *etcdStore) write(ctx context.Context, o op) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	key := b64(etcdRoot + o.Key)
	var then obj
	if o.Value == nil {
		if _, ok := s.data.get(o.Key); !ok && o.Expect <= 0 {
			return 0, errNoKey
		}
		then = obj{"request_delete_range": obj{"key": key}}
	} else {
		then = obj{"request_put": obj{"key": key, "value": base64.StdEncoding.EncodeToString(o.Value)}}
	}
	txn := obj{"success": []any{then}}
	if o.Expect >= 0 {
		txn["compare"] = []any{obj{"key": key, "target": "MOD", "result": "EQUAL", "mod_revision": strconv.FormatInt(o.Expect, 10)}}
	}
	var out struct {
		Header    etcdHeader
		Succeeded bool
	}
	if err := s.call(ctx, "/v3/kv/txn", txn, &out); err != nil {
		return 0, errTimeout
	}
	if !out.Succeeded {
		return 0, errConflict
	}
	// Wait for the watch to bring it here.
	rev := int64(out.Header.Revision)
	for {
		s.data.mu.RLock()
		have, wake := s.data.rev >= rev, s.data.wake
		s.data.mu.RUnlock()
		if have {
			return rev, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return rev, nil
		}
	}
}
