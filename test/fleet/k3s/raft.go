package main

import (
	"context"
	"errors"
	"math/rand"
	"sync"
	"time"
)

// The embedded etcd of the stand-in: a small Raft of its own, so that quorum,
// learners, partitions and crashes behave truly. Entries are single writes or
// membership changes; a member that lags too far gets the whole state.

const (
	heartbeat    = 200 * time.Millisecond
	electionMin  = 1200 * time.Millisecond
	electionMax  = 2400 * time.Millisecond
	rpcTimeout   = 900 * time.Millisecond
	writeTimeout = 7 * time.Second
	keepEntries  = 300 // log entries kept for members that lag a little
)

var (
	errNoLeader    = errors.New("etcdserver: no leader")
	errTimeout     = errors.New("etcdserver: request timed out")
	errLeaderMoved = errors.New("etcdserver: leader changed")
	errRemoved     = errors.New("the member has been permanently removed from the cluster")
	errTooMany     = errors.New("etcdserver: too many learner members in cluster")
	errUnhealthy   = errors.New("etcdserver: re-configuration failed due to not enough started members")
)

type raftRole int

const (
	follower raftRole = iota
	candidate
	leader
)

// peerState is what a leader knows of another member.
type peerState struct {
	next, match int64
	lastAck     time.Time
	since       time.Time // when it first kept up without a break
	kick        chan struct{}
	stop        chan struct{}
}

type outcome struct {
	rev int64
	err error
}

type waiter struct {
	term int64
	ch   chan outcome
}

// raftNode is one member. It implements store.
type raftNode struct {
	mu      sync.Mutex
	self    member
	cluster string
	disk    *raftDisk
	wire    *raftWire
	data    *replica

	role        raftRole
	leaderID    string
	hard        hardState
	base        raftImage // members and index before log[0]; Data is not kept
	log         []entry
	applied     int64
	members     []member
	removed     []string
	lastContact time.Time // when a leader was last heard
	deadline    time.Time // when to stand for election
	peers       map[string]*peerState
	waiters     map[int64]waiter
	appliedWake chan struct{}
	draining    bool // handing leadership over: takes no writes
	gone        bool
	onRemoved   func()
	closed      chan struct{}
}

// newRaft starts a member from its disk, which must hold an image.
func newRaft(dir string, self member, wire *raftWire) (*raftNode, error) {
	n := &raftNode{self: self, disk: &raftDisk{dir: dir}, wire: wire, data: newReplica(), waiters: map[int64]waiter{},
		peers: map[string]*peerState{}, appliedWake: make(chan struct{}), closed: make(chan struct{})}
	img, hard, log, err := n.disk.load()
	if err != nil {
		return nil, err
	}
	n.cluster, n.hard, n.log = img.Cluster, hard, log
	n.data.load(img.Data)
	img.Data = image{}
	n.base, n.applied = img, img.Index
	n.recomputeMembers()
	if err := n.disk.replaceAll(raftImage{img.Cluster, img.Index, img.Term, img.Members, img.Removed, n.data.image()}, hard, log); err != nil {
		return nil, err
	}
	n.applyCommitted()
	n.resetDeadline()
	return n, nil
}

// start begins to speak with the others.
func (n *raftNode) start() {
	if me, ok := n.find(n.self.ID); ok && !me.Learner && len(n.voters()) == 1 {
		n.deadline = time.Now() // nobody to wait for
	}
	go n.ticker()
}

func (n *raftNode) replica() *replica { return n.data }
func (n *raftNode) name() string      { return "etcd" }

func (n *raftNode) lastIndex() int64 {
	if len(n.log) > 0 {
		return n.log[len(n.log)-1].Index
	}
	return n.base.Index
}

func (n *raftNode) termAt(i int64) (int64, bool) {
	if i == n.base.Index {
		return n.base.Term, true
	}
	if i < n.base.Index || i > n.lastIndex() {
		return 0, false
	}
	return n.log[i-n.base.Index-1].Term, true
}

// recomputeMembers: a membership counts from the moment it is in the log.
func (n *raftNode) recomputeMembers() {
	n.members, n.removed = n.base.Members, n.base.Removed
	for _, e := range n.log {
		if e.Conf != nil {
			n.members, n.removed = applyConf(n.members, n.removed, *e.Conf)
		}
	}
}

func (n *raftNode) find(id string) (member, bool) {
	for _, m := range n.members {
		if m.ID == id {
			return m, true
		}
	}
	return member{}, false
}

func (n *raftNode) voters() (out []member) {
	for _, m := range n.members {
		if !m.Learner {
			out = append(out, m)
		}
	}
	return
}

func (n *raftNode) quorum() int { return len(n.voters())/2 + 1 }

func (n *raftNode) resetDeadline() {
	n.deadline = time.Now().Add(electionMin + time.Duration(rand.Int63n(int64(electionMax-electionMin))))
}

func (n *raftNode) ticker() {
	for {
		select {
		case <-n.closed:
			return
		case <-time.After(75 * time.Millisecond):
		}
		n.mu.Lock()
		switch {
		case n.gone:
			n.mu.Unlock()
			return
		case n.role == leader:
			n.checkQuorum()
			n.promoteReady()
		case time.Now().After(n.deadline):
			me, ok := n.find(n.self.ID)
			n.resetDeadline()
			if ok && !me.Learner {
				go n.campaign(false)
			} else {
				go n.askIfRemoved()
			}
		}
		n.mu.Unlock()
	}
}

// checkQuorum makes a leader step down when it no longer hears a majority.
func (n *raftNode) checkQuorum() {
	heard := 0
	for _, m := range n.voters() {
		if m.ID == n.self.ID {
			heard++
		} else if p := n.peers[m.ID]; p != nil && time.Since(p.lastAck) < electionMin {
			heard++
		}
	}
	if heard < n.quorum() {
		n.stepDown(n.hard.Term, "")
		n.lastContact = time.Time{}
	}
}

// promoteReady turns a learner that has kept up long enough into a voter.
func (n *raftNode) promoteReady() {
	for _, m := range n.members {
		p := n.peers[m.ID]
		if !m.Learner || p == nil || p.since.IsZero() || n.confPending() {
			continue
		}
		if p.match >= n.hard.Commit-5 && time.Since(p.since) > promoteAfter {
			infof("Promoting etcd member %s from learner to voter", m.Name)
			n.appendLocal(entry{Conf: &confChange{Promote: m.ID}})
		}
	}
}

func (n *raftNode) confPending() bool {
	for _, e := range n.log {
		if e.Conf != nil && e.Index > n.hard.Commit {
			return true
		}
	}
	return false
}

// stepDown becomes a follower, in a newer term or the same.
func (n *raftNode) stepDown(term int64, newLeader string) {
	was := n.role
	n.role, n.leaderID, n.draining = follower, newLeader, false
	if term > n.hard.Term {
		n.hard.Term, n.hard.Vote = term, ""
		n.persist(nil)
	}
	if was == leader {
		for id, p := range n.peers {
			close(p.stop)
			delete(n.peers, id)
		}
		n.failWaiters(errLeaderMoved)
	}
	n.resetDeadline()
}

func (n *raftNode) failWaiters(err error) {
	for i, w := range n.waiters {
		w.ch <- outcome{0, err}
		delete(n.waiters, i)
	}
}

func (n *raftNode) persist(entries []entry) {
	if err := n.disk.append(n.hard, entries); err != nil {
		etcdLog("fatal", "failed to save Raft hard state and entries", err.Error())
		fatalf("etcd: %v", err)
	}
}

// campaign asks for votes: first whether an election could be won at all, so
// that a member coming back from a partition does not unseat a good leader.
func (n *raftNode) campaign(forced bool) {
	for _, pre := range []bool{true, false} {
		if pre && forced {
			continue
		}
		n.mu.Lock()
		if n.role == leader || n.gone {
			n.mu.Unlock()
			return
		}
		req := voteRequest{Cluster: n.cluster, Term: n.hard.Term + 1, From: n.self.ID, LastIndex: n.lastIndex(), Pre: pre, Forced: forced}
		req.LastTerm, _ = n.termAt(req.LastIndex)
		if !pre {
			n.role, n.leaderID = candidate, ""
			n.hard.Term, n.hard.Vote = req.Term, n.self.ID
			n.persist(nil)
			n.resetDeadline()
		}
		voters, need := n.voters(), n.quorum()
		n.mu.Unlock()
		if !n.collect(req, voters, need) {
			return
		}
	}
}

// collect sends a vote request to all voters and waits for a majority.
func (n *raftNode) collect(req voteRequest, voters []member, need int) bool {
	yes, answers := 1, make(chan voteReply, len(voters))
	asked := 0
	for _, m := range voters {
		if m.ID != n.self.ID {
			asked++
			go func(m member) { answers <- n.wire.vote(m, req) }(m)
		}
	}
	for i := 0; i < asked && yes < need; i++ {
		a := <-answers
		if a.Removed {
			n.markRemoved()
			return false
		}
		n.mu.Lock()
		if a.Term > n.hard.Term && !req.Pre {
			n.stepDown(a.Term, "")
			n.mu.Unlock()
			return false
		}
		n.mu.Unlock()
		if a.Granted {
			yes++
		}
	}
	if yes < need {
		return false
	}
	if !req.Pre {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.role != candidate || n.hard.Term != req.Term {
			return false
		}
		n.becomeLeader()
	}
	return true
}

func (n *raftNode) becomeLeader() {
	n.role, n.leaderID, n.draining = leader, n.self.ID, false
	n.syncPeers()
	n.appendLocal(entry{})
}

// syncPeers has one goroutine replicate to each other member.
func (n *raftNode) syncPeers() {
	for id, p := range n.peers {
		if _, ok := n.find(id); !ok {
			// Leave it a moment to learn that it was removed.
			close(p.stop)
			delete(n.peers, id)
		}
	}
	for _, m := range n.members {
		if m.ID == n.self.ID || n.peers[m.ID] != nil {
			continue
		}
		p := &peerState{next: n.lastIndex() + 1, lastAck: time.Now(), kick: make(chan struct{}, 1), stop: make(chan struct{})}
		n.peers[m.ID] = p
		go n.replicate(m, p, n.hard.Term)
	}
}

// appendLocal adds an entry at the leader and sends it out.
func (n *raftNode) appendLocal(e entry) int64 {
	e.Index, e.Term = n.lastIndex()+1, n.hard.Term
	n.log = append(n.log, e)
	if e.Conf != nil {
		n.recomputeMembers()
		n.syncPeers()
	}
	n.persist([]entry{e})
	for _, p := range n.peers {
		select {
		case p.kick <- struct{}{}:
		default:
		}
	}
	n.advanceCommit()
	return e.Index
}

func (n *raftNode) replicate(m member, p *peerState, term int64) {
	for {
		n.mu.Lock()
		if n.role != leader || n.hard.Term != term {
			n.mu.Unlock()
			return
		}
		req := n.appendRequestFor(p)
		n.mu.Unlock()
		reply, err := n.wire.append(m, req)
		n.mu.Lock()
		if n.role != leader || n.hard.Term != term {
			n.mu.Unlock()
			return
		}
		more := false
		switch {
		case err != nil || reply.Refused:
			p.since = time.Time{}
		case reply.Term > n.hard.Term:
			n.stepDown(reply.Term, "")
			n.mu.Unlock()
			return
		case reply.OK:
			p.lastAck = time.Now()
			if p.since.IsZero() {
				p.since = p.lastAck
			}
			p.match = reply.Last
			p.next = reply.Last + 1
			n.advanceCommit()
			more = p.next <= n.lastIndex()
		default:
			p.lastAck = time.Now()
			p.next = reply.Last + 1
			if p.next > n.lastIndex()+1 {
				p.next = n.lastIndex() + 1
			}
			more = true
		}
		n.mu.Unlock()
		if more {
			continue
		}
		select {
		case <-p.stop:
			return
		case <-p.kick:
		case <-time.After(heartbeat):
		}
	}
}

func (n *raftNode) appendRequestFor(p *peerState) appendRequest {
	req := appendRequest{Cluster: n.cluster, Term: n.hard.Term, Leader: n.self.ID, Commit: n.hard.Commit, Prev: p.next - 1}
	term, ok := n.termAt(req.Prev)
	if !ok {
		// Too far behind for the log: send everything that is applied.
		img := n.imageLocked()
		req.Image, req.Prev, req.PrevTerm = &img, img.Index, img.Term
		return req
	}
	req.PrevTerm = term
	for i := req.Prev - n.base.Index; i < int64(len(n.log)) && len(req.Entries) < 100; i++ {
		req.Entries = append(req.Entries, n.log[i])
	}
	return req
}

func (n *raftNode) imageLocked() raftImage {
	img := raftImage{Cluster: n.cluster, Index: n.applied, Data: n.data.image()}
	img.Term, _ = n.termAt(n.applied)
	img.Members, img.Removed = n.base.Members, n.base.Removed
	for _, e := range n.log {
		if e.Conf != nil && e.Index <= n.applied {
			img.Members, img.Removed = applyConf(img.Members, img.Removed, *e.Conf)
		}
	}
	return img
}

// advanceCommit commits what a majority of voters holds.
func (n *raftNode) advanceCommit() {
	for i := n.lastIndex(); i > n.hard.Commit; i-- {
		if t, _ := n.termAt(i); t != n.hard.Term {
			break
		}
		have := 0
		for _, m := range n.voters() {
			if m.ID == n.self.ID {
				have++
			} else if p := n.peers[m.ID]; p != nil && p.match >= i {
				have++
			}
		}
		if have >= n.quorum() {
			n.hard.Commit = i
			n.persist(nil)
			n.applyCommitted()
			for _, p := range n.peers {
				select {
				case p.kick <- struct{}{}:
				default:
				}
			}
			break
		}
	}
}

// applyCommitted makes committed entries real and answers those who wait.
func (n *raftNode) applyCommitted() {
	for n.applied < n.hard.Commit && n.applied < n.lastIndex() {
		e := n.log[n.applied-n.base.Index]
		n.applied = e.Index
		var res outcome
		if e.Op != nil {
			res.rev, res.err = n.data.apply(*e.Op)
		}
		if w, ok := n.waiters[e.Index]; ok {
			if w.term != e.Term {
				res = outcome{0, errLeaderMoved}
			}
			w.ch <- res
			delete(n.waiters, e.Index)
		}
		if e.Conf != nil && e.Conf.Remove == n.self.ID {
			go n.markRemoved()
		}
	}
	close(n.appliedWake)
	n.appliedWake = make(chan struct{})
	if n.disk.lines > 3*keepEntries {
		n.compact()
	}
}

// compact folds old entries into the image on disk.
func (n *raftNode) compact() {
	img := n.imageLocked()
	cut := n.applied - keepEntries
	if cut > n.base.Index {
		base := raftImage{Cluster: n.cluster, Index: cut, Members: n.base.Members, Removed: n.base.Removed}
		base.Term, _ = n.termAt(cut)
		for _, e := range n.log[:cut-n.base.Index] {
			if e.Conf != nil {
				base.Members, base.Removed = applyConf(base.Members, base.Removed, *e.Conf)
			}
		}
		n.log = append([]entry(nil), n.log[cut-n.base.Index:]...)
		n.base = base
	}
	var tail []entry
	for _, e := range n.log {
		if e.Index > img.Index {
			tail = append(tail, e)
		}
	}
	if err := n.disk.replaceAll(img, n.hard, tail); err != nil {
		fatalf("etcd: %v", err)
	}
}

// ready says whether this member can serve: it knows a leader with a quorum,
// has heard of it just now, and has caught up with it.
func (n *raftNode) ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.gone:
		return errRemoved
	case n.role == leader:
		if t, _ := n.termAt(n.hard.Commit); t != n.hard.Term {
			return errNoLeader
		}
		return nil
	case n.leaderID == "" || time.Since(n.lastContact) > electionMin:
		return errNoLeader
	}
	if _, ok := n.find(n.self.ID); !ok {
		return errNoLeader
	}
	return nil
}

// sync waits until this member has applied what was committed when it was asked.
func (n *raftNode) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for {
		n.mu.Lock()
		lead, index := n.role == leader, n.hard.Commit
		to, ok := n.find(n.leaderID)
		n.mu.Unlock()
		err := errNoLeader
		if lead {
			err = n.ready()
		} else if ok {
			index, err = n.wire.readIndex(ctx, to)
		}
		if err == nil {
			n.waitApplied(ctx, index)
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return errTimeout
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// write sends an op through the leader and waits until it is applied here.
func (n *raftNode) write(ctx context.Context, o op) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for {
		rev, index, err := n.propose(ctx, entry{Op: &o})
		if err == nil {
			n.waitApplied(ctx, index)
			return rev, nil
		}
		// Nothing was written in these cases: it is safe to try again.
		if errors.Is(err, errNoLeader) && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		if ctx.Err() != nil {
			return 0, errTimeout
		}
		return 0, err
	}
}

// propose gives an entry to the leader, wherever it is.
func (n *raftNode) propose(ctx context.Context, e entry) (rev, index int64, err error) {
	n.mu.Lock()
	if n.role != leader {
		to, ok := n.find(n.leaderID)
		n.mu.Unlock()
		if !ok || to.ID == n.self.ID {
			return 0, 0, errNoLeader
		}
		return n.wire.propose(ctx, to, e)
	}
	if n.draining {
		n.mu.Unlock()
		return 0, 0, errNoLeader
	}
	if err := n.checkConf(e.Conf); err != nil {
		n.mu.Unlock()
		return 0, 0, err
	}
	ch := make(chan outcome, 1)
	index = n.lastIndex() + 1
	n.waiters[index] = waiter{n.hard.Term, ch}
	n.appendLocal(e)
	n.mu.Unlock()
	select {
	case res := <-ch:
		return res.rev, index, res.err
	case <-ctx.Done():
		n.mu.Lock()
		delete(n.waiters, index)
		n.mu.Unlock()
		return 0, 0, errTimeout
	}
}

// checkConf refuses the membership changes that etcd refuses.
func (n *raftNode) checkConf(c *confChange) error {
	if c == nil {
		return nil
	}
	if n.confPending() {
		return errTooMany
	}
	if c.Add != nil {
		for _, m := range n.members {
			if m.Learner {
				return errTooMany
			}
		}
	}
	if target, ok := n.find(c.Remove); ok && !target.Learner {
		alive := 0
		for _, m := range n.voters() {
			p := n.peers[m.ID]
			if m.ID != c.Remove && (m.ID == n.self.ID || p != nil && time.Since(p.lastAck) < electionMin) {
				alive++
			}
		}
		if left := len(n.voters()) - 1; left == 0 || alive < left/2+1 {
			return errUnhealthy
		}
	}
	return nil
}

func (n *raftNode) waitApplied(ctx context.Context, index int64) {
	for {
		n.mu.Lock()
		done, wake := n.applied >= index, n.appliedWake
		n.mu.Unlock()
		if done {
			return
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return
		}
	}
}

// markRemoved ends this member for good.
func (n *raftNode) markRemoved() {
	n.mu.Lock()
	if n.gone {
		n.mu.Unlock()
		return
	}
	if n.role == leader {
		// Let the others hear of the commit first.
		n.mu.Unlock()
		time.Sleep(2 * heartbeat)
		n.mu.Lock()
		n.stepDown(n.hard.Term, "")
	}
	n.gone = true
	n.failWaiters(errRemoved)
	n.mu.Unlock()
	if n.onRemoved != nil {
		n.onRemoved()
	}
}

// askIfRemoved lets a member that hears nothing find out whether it still belongs.
func (n *raftNode) askIfRemoved() {
	n.mu.Lock()
	members := n.members
	req := voteRequest{Cluster: n.cluster, From: n.self.ID, Pre: true}
	n.mu.Unlock()
	for _, m := range members {
		if m.ID != n.self.ID && n.wire.vote(m, req).Removed {
			n.markRemoved()
			return
		}
	}
}

// close hands leadership over, so that a restart of one server is not an outage.
func (n *raftNode) close() {
	n.mu.Lock()
	if n.role == leader && !n.gone {
		n.draining = true
		var best member
		var bestMatch int64 = -1
		for _, m := range n.voters() {
			if p := n.peers[m.ID]; p != nil && p.match > bestMatch && time.Since(p.lastAck) < electionMin {
				best, bestMatch = m, p.match
			}
		}
		if bestMatch >= 0 {
			for i := 0; i < 20 && n.peers[best.ID] != nil && n.peers[best.ID].match < n.lastIndex(); i++ {
				n.mu.Unlock()
				time.Sleep(25 * time.Millisecond)
				n.mu.Lock()
			}
			n.mu.Unlock()
			n.wire.timeoutNow(best, n.cluster)
			time.Sleep(2 * heartbeat)
			n.mu.Lock()
		}
	}
	n.compact()
	n.gone = true
	n.mu.Unlock()
	close(n.closed)
}
