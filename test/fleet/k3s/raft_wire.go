package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"
)

// How members talk: JSON over HTTPS on port 2380, with certificates of the
// cluster's own peer CA on both sides.

type voteRequest struct {
	Cluster             string
	Term                int64
	From                string
	LastIndex, LastTerm int64
	Pre, Forced         bool
}

type voteReply struct {
	Term             int64
	Granted, Removed bool
}

type appendRequest struct {
	Cluster        string
	Term           int64
	Leader         string
	Prev, PrevTerm int64
	Entries        []entry
	Commit         int64
	Image          *raftImage
}

type appendReply struct {
	Term int64
	OK   bool
	Last int64 // the last index that matches, or where to try next
	// Refused: another cluster's member, or one that has ended.
	Refused bool
}

type proposeReply struct {
	Rev, Index int64
	Err        string
}

type raftWire struct {
	client *http.Client
}

func newRaftWire(cert tls.Certificate, ca *keyPair) *raftWire {
	return &raftWire{client: &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: ca.pool()},
		DialContext:         (&net.Dialer{Timeout: rpcTimeout}).DialContext,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     30 * time.Second,
	}}}
}

func (w *raftWire) call(ctx context.Context, to member, path string, in, out any, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", to.Peer+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (w *raftWire) vote(to member, req voteRequest) (reply voteReply) {
	w.call(context.Background(), to, "/raft/vote", req, &reply, rpcTimeout)
	return
}

func (w *raftWire) append(to member, req appendRequest) (reply appendReply, err error) {
	err = w.call(context.Background(), to, "/raft/append", req, &reply, rpcTimeout+time.Duration(len(req.Entries))*time.Millisecond)
	return
}

func (w *raftWire) timeoutNow(to member, cluster string) {
	w.call(context.Background(), to, "/raft/timeout-now", cluster, &struct{}{}, rpcTimeout)
}

// readIndex asks the leader how far the log is committed.
func (w *raftWire) readIndex(ctx context.Context, to member) (int64, error) {
	var reply proposeReply
	if err := w.call(ctx, to, "/raft/read-index", struct{}{}, &reply, rpcTimeout); err != nil {
		return 0, errNoLeader
	}
	return reply.Index, errorFromText(reply.Err)
}

func (w *raftWire) propose(ctx context.Context, to member, e entry) (int64, int64, error) {
	var reply proposeReply
	if err := w.call(ctx, to, "/raft/propose", e, &reply, writeTimeout); err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return 0, 0, errNoLeader // it was never sent
		}
		if ctx.Err() != nil {
			return 0, 0, errTimeout
		}
		return 0, 0, errLeaderMoved
	}
	return reply.Rev, reply.Index, errorFromText(reply.Err)
}

// errorFromText gives a known error back its identity after the wire.
func errorFromText(s string) error {
	if s == "" {
		return nil
	}
	for _, e := range []error{errConflict, errNoKey, errNoLeader, errTimeout, errLeaderMoved, errRemoved, errTooMany, errUnhealthy} {
		if e.Error() == s {
			return e
		}
	}
	return errors.New(s)
}

// handler serves the peer port.
func (n *raftNode) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/raft/vote", serveJSON(func(_ context.Context, req voteRequest) any { return n.onVote(req) }))
	mux.HandleFunc("/raft/append", serveJSON(func(_ context.Context, req appendRequest) any { return n.onAppend(req) }))
	mux.HandleFunc("/raft/timeout-now", serveJSON(func(_ context.Context, cluster string) any {
		if cluster == n.cluster {
			go n.campaign(true)
		}
		return struct{}{}
	}))
	mux.HandleFunc("/raft/read-index", serveJSON(func(_ context.Context, _ struct{}) any {
		n.mu.Lock()
		lead, reply := n.role == leader, proposeReply{Index: n.hard.Commit}
		n.mu.Unlock()
		if !lead || n.ready() != nil {
			reply.Err = errNoLeader.Error()
		}
		return reply
	}))
	mux.HandleFunc("/raft/propose", serveJSON(func(ctx context.Context, e entry) any {
		n.mu.Lock()
		isLeader := n.role == leader
		n.mu.Unlock()
		if !isLeader {
			return proposeReply{Err: errNoLeader.Error()}
		}
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		rev, index, err := n.propose(ctx, e)
		reply := proposeReply{Rev: rev, Index: index}
		if err != nil {
			reply.Err = err.Error()
		}
		return reply
	}))
	return mux
}

func serveJSON[T any](f func(context.Context, T) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		json.NewEncoder(w).Encode(f(r.Context(), in))
	}
}

func (n *raftNode) onVote(req voteRequest) voteReply {
	n.mu.Lock()
	defer n.mu.Unlock()
	reply := voteReply{Term: n.hard.Term}
	if req.Cluster != n.cluster {
		return reply
	}
	for _, id := range n.removed {
		if id == req.From {
			reply.Removed = true
			return reply
		}
	}
	if req.Term < n.hard.Term || n.gone {
		return reply
	}
	// Stick to a leader that is alive, unless it sent the candidate itself.
	heard := n.role == leader || n.leaderID != "" && time.Since(n.lastContact) < electionMin
	if heard && !req.Forced {
		return reply
	}
	last := n.lastIndex()
	lastTerm, _ := n.termAt(last)
	current := req.LastTerm > lastTerm || req.LastTerm == lastTerm && req.LastIndex >= last
	if req.Pre {
		reply.Granted = current && req.Term > n.hard.Term
		return reply
	}
	if req.Term > n.hard.Term {
		n.stepDown(req.Term, "")
	}
	if current && (n.hard.Vote == "" || n.hard.Vote == req.From) {
		n.hard.Vote = req.From
		n.persist(nil)
		n.resetDeadline()
		reply.Granted = true
	}
	reply.Term = n.hard.Term
	return reply
}

func (n *raftNode) onAppend(req appendRequest) appendReply {
	n.mu.Lock()
	defer n.mu.Unlock()
	if req.Cluster != n.cluster || n.gone {
		return appendReply{Refused: true}
	}
	if req.Term < n.hard.Term {
		return appendReply{Term: n.hard.Term}
	}
	if req.Term > n.hard.Term || n.role != follower || n.leaderID != req.Leader {
		n.stepDown(req.Term, req.Leader)
	}
	n.lastContact = time.Now()
	n.resetDeadline()
	if req.Image != nil && req.Image.Index > n.hard.Commit {
		n.install(*req.Image)
	}
	if term, ok := n.termAt(req.Prev); !ok || term != req.PrevTerm {
		// Below the base everything is committed and thus equal.
		if req.Prev < n.base.Index {
			return appendReply{Term: n.hard.Term, Last: n.base.Index}
		}
		back := req.Prev - 1
		if back > n.lastIndex() {
			back = n.lastIndex()
		}
		if back < n.hard.Commit {
			back = n.hard.Commit
		}
		return appendReply{Term: n.hard.Term, Last: back}
	}
	var fresh []entry
	for i, e := range req.Entries {
		if t, ok := n.termAt(e.Index); ok && t == e.Term {
			continue
		}
		if e.Index <= n.lastIndex() {
			n.log = n.log[:e.Index-n.base.Index-1]
		}
		fresh = req.Entries[i:]
		n.log = append(n.log, fresh...)
		n.recomputeMembers()
		break
	}
	last := req.Prev + int64(len(req.Entries))
	commit := req.Commit
	if commit > last {
		commit = last
	}
	moved := commit > n.hard.Commit
	if moved {
		n.hard.Commit = commit
	}
	if len(fresh) > 0 || moved {
		n.persist(fresh)
		n.applyCommitted()
	}
	return appendReply{Term: n.hard.Term, OK: true, Last: last}
}

// install takes over the whole state of the leader.
func (n *raftNode) install(img raftImage) {
	n.data.load(img.Data)
	base := img
	base.Data = image{}
	n.base, n.log, n.applied = base, nil, img.Index
	n.hard.Commit = img.Index
	n.recomputeMembers()
	if err := n.disk.replaceAll(img, n.hard, nil); err != nil {
		fatalf("etcd: %v", err)
	}
	close(n.appliedWake)
	n.appliedWake = make(chan struct{})
}
