package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// etcdInfo is what a joining server asks for first.
type etcdInfo struct {
	Cluster string
	Members []member
}

func (s *server) usesEtcd() bool {
	return s.opt.str("datastore-endpoint") == "" && (s.hasEtcd() || s.opt.bool("cluster-init") || s.opt.str("server") != "")
}

func (s *server) nameFile() string { return filepath.Join(s.etcdDir(), "name") }

// selfMember is this server as an etcd member. Its name outlives restarts; a
// join that was cut short goes on under the same one.
func (s *server) selfMember(cluster string) (member, error) {
	name := readTrim(s.nameFile())
	if name == "" {
		name = s.node + "-" + randomHex(4)
		if err := writeFile(s.nameFile(), []byte(name), 0o600); err != nil {
			return member{}, err
		}
	}
	sum := sha256.Sum256([]byte(cluster + name))
	return member{ID: hex.EncodeToString(sum[:8]), Name: name, Peer: "https://" + net.JoinHostPort(s.ip, "2380"), Client: "https://" + net.JoinHostPort(s.ip, "2379")}, nil
}

// openRaft starts the member whose state is on disk.
func (s *server) openRaft(cluster string) error {
	self, err := s.selfMember(cluster)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	peer, err := s.pki.ensureLeaf("etcd/peer-server-client", "etcd/peer-ca", "etcd-peer", []string{"etcd-peer"}, []string{"localhost", "127.0.0.1", "::1", s.ip, host})
	if err != nil {
		return err
	}
	n, err := newRaft(s.etcdDir(), self, newRaftWire(peer.tls(), s.pki.cas["etcd/peer-ca"]))
	if err != nil {
		return err
	}
	s.raft, s.store = n, n
	return nil
}

// initEtcd makes a new cluster of one member, from the SQLite data if there is any.
func (s *server) initEtcd(sqlite string) error {
	data := image{Rev: 1}
	migrate := exists(sqlite)
	if migrate {
		var err error
		if data, err = readSQLite(sqlite); err != nil {
			return err
		}
		infof("Migrating content from sqlite to etcd")
	}
	files, found, err := findBootstrap(data.Keys, s.password)
	if err != nil {
		return fmt.Errorf("failed to bootstrap cluster data: %w", err)
	}
	if found {
		err = s.pki.writeBootstrapFiles(files)
	}
	if err == nil {
		err = s.pki.ensureCAs()
	}
	if err != nil {
		return err
	}
	if !found {
		if s.opt.bool("secrets-encryption") {
			writeEncryptionState(s.dir, "start")
		}
		sealed, err := s.pki.seal(s.password)
		if err != nil {
			return err
		}
		data.Rev++
		data.Keys = append(data.Keys, record{bootstrapKey(s.password), sealed, data.Rev, data.Rev})
	}
	cluster := randomHex(8)
	self, err := s.selfMember(cluster)
	if err != nil {
		return err
	}
	disk := &raftDisk{dir: s.etcdDir()}
	if err := disk.replaceAll(raftImage{Cluster: cluster, Index: 1, Term: 1, Members: []member{self}, Data: data}, hardState{Term: 1, Commit: 1}, nil); err != nil {
		return err
	}
	infof("Starting etcd for new cluster, cluster-reset=false")
	if err := s.openRaft(cluster); err != nil {
		return err
	}
	if migrate {
		os.Remove(sqlite + "-wal")
		return os.Rename(sqlite, sqlite+".migrated")
	}
	return nil
}

// resumeEtcd starts from what is on disk, if the token fits it.
func (s *server) resumeEtcd() error {
	os.Remove(filepath.Join(s.dir, "db", "reset-flag"))
	infof("Managed etcd cluster bootstrap already complete and initialized")
	infof("Reconciling bootstrap data between datastore and disk")
	img, _, err := loadCommitted(s.etcdDir())
	if err != nil {
		return err
	}
	files, found, err := findBootstrap(img.Data.Keys, s.password)
	if err != nil {
		return fmt.Errorf("failed to bootstrap cluster data: failed to reconcile with temporary etcd: %w", err)
	}
	if found {
		if err := s.pki.writeBootstrapFiles(files); err != nil {
			return err
		}
	}
	if err := s.pki.ensureCAs(); err != nil {
		return err
	}
	return s.openRaft(img.Cluster)
}

// joinEtcd becomes a learner of the cluster that --server names.
func (s *server) joinEtcd() error {
	infof("Managed etcd cluster not yet initialized")
	url := strings.TrimSuffix(s.opt.str("server"), "/")
	sup := &supervisorClient{base: url, token: s.given}
	if err := sup.trust(); err != nil {
		return fmt.Errorf("failed to bootstrap cluster data: failed to check if bootstrap data has been initialized: failed to validate token: %w", err)
	}
	var files map[string]string
	if err := sup.getJSON("/v1-k3s/server-bootstrap", &files); err != nil {
		return fmt.Errorf("failed to bootstrap cluster data: %w", err)
	}
	var theirs map[string]string
	if err := sup.getJSON("/v1-k3s/config", &theirs); err != nil {
		return err
	}
	if different := s.compareConfig(theirs); len(different) > 0 {
		for _, d := range different {
			warnf("critical configuration mismatched: %s", d)
		}
		return errors.New("failed to bootstrap cluster data: failed to validate server configuration: critical configuration value mismatch between servers")
	}
	if err := s.pki.writeBootstrapFiles(files); err != nil {
		return err
	}
	if err := s.pki.ensureCAs(); err != nil {
		return err
	}
	var info etcdInfo
	if err := sup.getJSON("/db/info", &info); err != nil {
		return err
	}
	self, err := s.selfMember(info.Cluster)
	if err != nil {
		return err
	}
	self.Learner = true
	img, err := s.askToJoin(info, self)
	if err != nil {
		return err
	}
	disk := &raftDisk{dir: s.etcdDir()}
	if err := disk.replaceAll(img, hardState{Term: img.Term, Commit: img.Index}, nil); err != nil {
		return err
	}
	var names []string
	for _, m := range img.Members {
		names = append(names, m.Name+"="+m.Peer)
	}
	infof("Starting etcd to join cluster with members %v", names)
	return s.openRaft(info.Cluster)
}

// askToJoin asks the members one by one, over the etcd client port, until one takes us in.
func (s *server) askToJoin(info etcdInfo, self member) (raftImage, error) {
	k, err := s.pki.ensureLeaf("etcd/client", "etcd/server-ca", "etcd-client", []string{"etcd-client"}, nil)
	if err != nil {
		return raftImage{}, err
	}
	client := &http.Client{Timeout: writeTimeout + time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{k.tls()}, RootCAs: s.pki.cas["etcd/server-ca"].pool()}}}
	for deadline := time.Now().Add(5 * time.Minute); ; {
		var last error
		for _, m := range info.Members {
			body, _ := json.Marshal(self)
			infof("Adding member %s=%s to etcd cluster %v", self.Name, self.Peer, memberNames(info.Members))
			resp, err := client.Post(m.Client+"/stand-in/member/add", "application/json", bytes.NewReader(body))
			if err != nil {
				last = err
				continue
			}
			var reply joinReply
			err = json.NewDecoder(resp.Body).Decode(&reply)
			resp.Body.Close()
			if err == nil && reply.Err == "" {
				return reply.Image, nil
			}
			if last = err; err == nil {
				last = errorFromText(reply.Err)
			}
			break
		}
		switch {
		case errors.Is(last, errTooMany):
			infof("Waiting for other members to finish joining etcd cluster: %v", errTooMany)
		case last != nil && last.Error() == errDuplicate.Error():
			os.Remove(s.nameFile())
			fatalf("ETCD join failed: %v", last)
		case time.Now().After(deadline):
			fatalf("ETCD join failed: %v", last)
		default:
			errorf("Failed to add member to etcd cluster, will retry: %v", last)
		}
		time.Sleep(time.Second)
	}
}

var errDuplicate = errors.New("duplicate node name found, please use a unique name for this node")

type joinReply struct {
	Err   string
	Image raftImage
}

func memberNames(members []member) (out []string) {
	for _, m := range members {
		out = append(out, m.Name+"="+m.Peer)
	}
	return
}

// addMember takes a learner in and gives it a state to start from.
func (s *server) addMember(ctx context.Context, m member) joinReply {
	n := s.raft
	n.mu.Lock()
	for _, old := range n.members {
		if i := strings.LastIndex(old.Name, "-"); i > 0 && old.Name[:i] == m.Name[:strings.LastIndex(m.Name, "-")] && old.ID != m.ID {
			n.mu.Unlock()
			return joinReply{Err: errDuplicate.Error()}
		}
	}
	_, resumed := n.find(m.ID)
	n.mu.Unlock()
	if !resumed {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		_, index, err := n.propose(ctx, entry{Conf: &confChange{Add: &m}})
		if err != nil {
			return joinReply{Err: err.Error()}
		}
		n.waitApplied(ctx, index)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return joinReply{Image: n.imageLocked()}
}

// serveEtcd opens the ports of etcd.
func (s *server) serveEtcd() {
	peer, err1 := s.pki.read("etcd/peer-server-client")
	cert, err2 := s.pki.read("etcd/server-client")
	if err1 != nil || err2 != nil {
		fatalf("Error: starting etcd: %v %v", err1, err2)
	}
	hosts := []string{s.ip}
	if s.ip != "127.0.0.1" {
		hosts = append(hosts, "127.0.0.1")
	}
	serveTLS(hosts, "2380", peer, s.pki.cas["etcd/peer-ca"], s.raft.handler())
	join := http.NewServeMux()
	join.HandleFunc("/stand-in/member/add", serveJSON(func(ctx context.Context, m member) any { return s.addMember(ctx, m) }))
	serveTLS(hosts, "2379", cert, s.pki.cas["etcd/server-ca"], join)
	// The JSON gateway: on loopback only, as k3s has it.
	serveTLS([]string{"127.0.0.1"}, "2382", cert, s.pki.cas["etcd/server-ca"], s.gateway())
	metrics := "127.0.0.1:2381"
	if s.opt.bool("etcd-expose-metrics") {
		metrics = ":2381"
	}
	if ln, err := net.Listen("tcp", metrics); err == nil {
		go http.Serve(ln, s.gateway())
	}
}

func serveTLS(hosts []string, port string, cert, ca *keyPair, h http.Handler) {
	cfg := &tls.Config{Certificates: []tls.Certificate{cert.tls()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(), NextProtos: []string{"http/1.1"}}
	for _, host := range hosts {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			fatalf("Error: starting etcd: %v", err)
		}
		srv := &http.Server{Handler: h, ErrorLog: quietLog}
		go srv.Serve(tls.NewListener(ln, cfg))
	}
}

// gateway is the little of etcd's JSON API that tells its health and members.
func (s *server) gateway() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		if err := s.raft.ready(); err != nil {
			writeJSON(w, 503, obj{"health": "false", "reason": err.Error()})
			return
		}
		writeJSON(w, 200, obj{"health": "true", "reason": ""})
	})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
		has := 1
		if s.raft.ready() != nil {
			has = 0
		}
		fmt.Fprintf(w, "# TYPE etcd_server_has_leader gauge\netcd_server_has_leader %d\n", has)
	})
	mux.HandleFunc("/v3/cluster/member/list", func(w http.ResponseWriter, r *http.Request) {
		s.raft.mu.Lock()
		members := []any{}
		for _, m := range s.raft.members {
			entry := obj{"ID": decimalID(m.ID), "name": m.Name, "peerURLs": []any{m.Peer}, "clientURLs": []any{m.Client}}
			if m.Learner {
				entry["isLearner"] = true
			}
			members = append(members, entry)
		}
		header := obj{"cluster_id": decimalID(s.raft.cluster), "member_id": decimalID(s.raft.self.ID), "raft_term": fmt.Sprint(s.raft.hard.Term)}
		s.raft.mu.Unlock()
		writeJSON(w, 200, obj{"header": header, "members": members})
	})
	mux.HandleFunc("/v3/maintenance/status", func(w http.ResponseWriter, r *http.Request) {
		s.raft.mu.Lock()
		self, _ := s.raft.find(s.raft.self.ID)
		out := obj{"version": "3.6.4", "leader": decimalID(s.raft.leaderID), "raftIndex": fmt.Sprint(s.raft.lastIndex()), "raftTerm": fmt.Sprint(s.raft.hard.Term), "raftAppliedIndex": fmt.Sprint(s.raft.applied)}
		if self.Learner {
			out["isLearner"] = true
		}
		s.raft.mu.Unlock()
		writeJSON(w, 200, out)
	})
	return mux
}

func decimalID(hexID string) string {
	b, _ := hex.DecodeString(hexID)
	var n uint64
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	return fmt.Sprint(n)
}

// onRemoved ends a server whose member was removed, and puts its data aside.
func (s *server) onRemoved() {
	infof("this node has been removed from the cluster please restart k3s to rejoin the cluster")
	etcdLog("warn", "server error", errRemoved.Error())
	etcdLog("warn", "data-dir used by this member must be removed", "")
	old := fmt.Sprintf("%s-old-%d", s.etcdDir(), time.Now().Unix())
	if err := os.Rename(s.etcdDir(), old); err != nil {
		errorf("failed to move %s: %v", s.etcdDir(), err)
	}
	os.Exit(1)
}

// reportVoter keeps the Node of this server up to date with its etcd member.
func (s *server) reportVoter() {
	for range time.Tick(500 * time.Millisecond) {
		s.raft.mu.Lock()
		self, ok := s.raft.find(s.raft.self.ID)
		s.raft.mu.Unlock()
		if !ok || s.store.ready() != nil {
			continue
		}
		status, reason, message := "True", "MemberIsVoter", "Node is a voting member of the etcd cluster"
		if self.Learner {
			status, reason, message = "False", "MemberIsLearner", "Node has not been promoted to voting member of the etcd cluster"
		}
		nodes := builtin("nodes")
		node, err := s.api.get(nodes, "", s.node)
		if err != nil {
			continue
		}
		if c := condition(node, "EtcdIsVoter"); c == nil || c["status"] != status {
			s.api.modify(nodes, "", s.node, true, func(o obj) bool { return setCondition(o, "EtcdIsVoter", status, reason, message) })
		}
		if !hasFinalizer(node, etcdFinalizer) && at(node, "metadata", "deletionTimestamp") == nil || strAt(node, "metadata", "annotations", "etcd.k3s.cattle.io/node-name") != self.Name {
			s.api.modify(nodes, "", s.node, false, func(o obj) bool {
				if at(o, "metadata", "deletionTimestamp") == nil && !hasFinalizer(o, etcdFinalizer) {
					put(o, append(listAt(o, "metadata", "finalizers"), etcdFinalizer), "metadata", "finalizers")
				}
				put(o, self.Name, "metadata", "annotations", "etcd.k3s.cattle.io/node-name")
				put(o, s.ip, "metadata", "annotations", "etcd.k3s.cattle.io/node-address")
				put(o, "true", "metadata", "labels", "node-role.kubernetes.io/etcd")
				return true
			})
		}
	}
}

// etcdFinalizer holds a server's Node until its etcd member is gone.
const etcdFinalizer = "wrangler.cattle.io/managed-etcd-controller"

// clusterReset makes this server the only member, from its own data or a snapshot.
func (s *server) clusterReset() int {
	flag := filepath.Join(s.dir, "db", "reset-flag")
	if exists(flag) {
		fatalf("Error: Managed etcd cluster membership was previously reset, please remove the cluster-reset flag and start k3s normally. If you need to perform another cluster reset, you must first manually delete the file at %s", flag)
	}
	infof("Starting k3s %s (%s)", version, commit)
	if err := s.readTokens(); err != nil {
		fatalf("Error: preparing server: %v", err)
	}
	var img raftImage
	var err error
	if path := s.opt.str("cluster-reset-restore-path"); path != "" {
		if bucket := s3From(s.opt.str); bucket != nil {
			found, err := bucket.resolved(s)
			if err == nil {
				path, err = found.fetch(path, s.snapshotDir())
			}
			if err != nil {
				fatalf("Error: starting kubernetes: %v", err)
			}
		}
		var snap snapshotFile
		data, readErr := readSnapshot(path)
		if readErr != nil {
			fatalf("Error: etcd: snapshot path does not exist: %s", path)
		}
		if err = json.Unmarshal(data, &snap); err == nil && snap.Sum != snap.checksum() {
			err = errors.New("snapshot file is corrupt: checksum mismatch")
		}
		img.Data = snap.Data
		img.Index, img.Term = 1, 1
	} else {
		if !s.hasEtcd() {
			fatalf("Error: invalid flag use; --cluster-reset needs an etcd datastore on this server")
		}
		img, _, err = loadCommitted(s.etcdDir())
	}
	if err != nil {
		fatalf("Error: starting cluster-reset: %v", err)
	}
	files, found, err := findBootstrap(img.Data.Keys, s.password)
	if err != nil {
		fatalf("Error: preparing server: failed to bootstrap cluster data: %v", err)
	}
	if found {
		if err := s.pki.writeBootstrapFiles(files); err != nil {
			fatalf("Error: %v", err)
		}
	}
	if s.hasEtcd() && s.opt.str("cluster-reset-restore-path") != "" {
		old := fmt.Sprintf("%s-old-%d", s.etcdDir(), time.Now().Unix())
		name := readTrim(s.nameFile())
		if err := os.Rename(s.etcdDir(), old); err != nil {
			fatalf("Error: %v", err)
		}
		infof("Moved the etcd data directory %s to %s", s.etcdDir(), old)
		if name != "" {
			writeFile(s.nameFile(), []byte(name), 0o600)
		}
	}
	img.Cluster = randomHex(8) // a new cluster: old members must not speak to it
	self, err := s.selfMember(img.Cluster)
	if err != nil {
		fatalf("Error: %v", err)
	}
	img.Members, img.Removed = []member{self}, nil
	disk := &raftDisk{dir: s.etcdDir()}
	if err := disk.replaceAll(img, hardState{Term: img.Term + 1, Commit: img.Index}, nil); err != nil {
		fatalf("Error: %v", err)
	}
	if err := writeFile(flag, nil, 0o600); err != nil {
		fatalf("Error: %v", err)
	}
	if exists(filepath.Join(s.dir, "tls", "server-ca.crt")) {
		s.pki.ensureCAs()
		writeIfOther(filepath.Join(s.dir, "token"), formatToken(caHash(s.pki.cas["server-ca"].certPEM), "server", s.password), 0o600)
	}
	infof("Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes")
	return 0
}
