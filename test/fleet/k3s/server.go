package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// server is one "k3s server".
type server struct {
	opt       *options
	dataDir   string // /var/lib/rancher/k3s
	dir       string // dataDir/server
	node      string
	ip        string
	port      int
	pki       *pki
	given     token  // the token as it was given, with its CA hash
	password  string // of servers
	agentPass string // of agents; often the same
	store     store
	raft      *raftNode // with embedded etcd only
	api       *api
	up        atomic.Bool // the datastore answers and the API serves
	trouble   atomic.Value
	wakeAddon chan struct{}
	kubelet   *kubelet
}

func serverCommand(args []string) int {
	o := mustOptions("server", args)
	time.Sleep(startDelay)
	s := &server{opt: o, node: nodeName(o), ip: nodeIP(o), port: o.int("https-listen-port", 6443), wakeAddon: make(chan struct{}, 1)}
	s.dataDir = dataDir(o)
	s.dir = filepath.Join(s.dataDir, "server")
	s.pki = &pki{dir: filepath.Join(s.dir, "tls")}
	if err := s.checkFlags(); err != nil {
		fatalf("Error: %v", err)
	}
	if o.bool("cluster-reset") {
		return s.clusterReset()
	}
	infof("Starting k3s %s (%s)", version, commit)
	if err := s.prepare(); err != nil {
		fatalf("Error: preparing server: %v", err)
	}
	if err := s.certificates(); err != nil {
		fatalf("Error: preparing server: %v", err)
	}
	s.listen()
	go s.run()
	s.waitForSignal()
	return 0
}

func dataDir(o *options) string {
	if d := o.str("data-dir"); d != "" {
		return d
	}
	return rooted("/var/lib/rancher/k3s")
}

// checkFlags refuses what k3s refuses before it does anything.
func (s *server) checkFlags() error {
	o := s.opt
	if len(o.str("flannel-backend")) > 0 {
		backend, _, _ := strings.Cut(o.str("flannel-backend"), "=")
		switch backend {
		case "none", "vxlan", "host-gw", "wireguard-native", "tailscale":
		default:
			return fmt.Errorf("flannel-backend %q is not known", backend)
		}
	}
	if u := o.str("server"); u != "" {
		if err := checkURL(u); err != nil {
			return err
		}
	}
	for _, name := range []string{"cluster-cidr", "service-cidr"} {
		for _, c := range o.list(name) {
			if _, _, err := net.ParseCIDR(c); err != nil {
				return fmt.Errorf("invalid %s %s: %v", name, c, err)
			}
		}
	}
	for _, ip := range append(o.list("node-ip"), o.list("node-external-ip")...) {
		if net.ParseIP(ip) == nil {
			return fmt.Errorf("invalid ip address %q", ip)
		}
	}
	for _, d := range o.list("disable") {
		switch d {
		case "coredns", "servicelb", "traefik", "local-storage", "metrics-server", "runtimes", "ccm", "rolebindings":
		default:
			warnf("unknown item %q given to --disable", d)
		}
	}
	if o.bool("disable-etcd") && o.str("datastore-endpoint") == "" {
		return errors.New("stand-in: --disable-etcd (a control plane without its own etcd) is not modelled")
	}
	if o.bool("cluster-init") && o.str("datastore-endpoint") != "" {
		return errors.New("invalid flag use; --cluster-init cannot be used with --datastore-endpoint")
	}
	if o.str("cluster-reset-restore-path") != "" && !o.bool("cluster-reset") {
		return errors.New("invalid flag use; --cluster-reset required with --cluster-reset-restore-path")
	}
	if o.bool("cluster-reset") && o.str("server") != "" {
		return errors.New("invalid flag use; --server and --cluster-reset cannot be used together")
	}
	if m := o.str("write-kubeconfig-mode"); m != "" {
		if _, err := strconv.ParseUint(m, 8, 32); err != nil {
			return fmt.Errorf("invalid value %q for write-kubeconfig-mode", m)
		}
	}
	return nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" {
		return fmt.Errorf("invalid server url, failed to parse: %s", text)
	}
	return nil
}

func (s *server) etcdDir() string { return filepath.Join(s.dir, "db", "etcd") }

func (s *server) hasEtcd() bool { return exists(filepath.Join(s.etcdDir(), "member", "snap", "db")) }

// prepare finds or makes the cluster's secrets and opens the datastore.
func (s *server) prepare() error {
	if err := s.readTokens(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	o := s.opt
	sqlite := filepath.Join(s.dir, "db", "state.db")
	switch endpoint := o.str("datastore-endpoint"); {
	case endpoint != "":
		return s.openExternal(endpoint, o)
	case s.hasEtcd():
		return s.resumeEtcd()
	case o.str("server") != "":
		return s.joinEtcd()
	case o.bool("cluster-init"):
		return s.initEtcd(sqlite)
	}
	st, err := openSQLite(sqlite)
	if err != nil {
		return err
	}
	s.store = st
	return s.reconcileBootstrap()
}

// readTokens settles which passwords this server accepts.
func (s *server) readTokens() error {
	text, err := readTokenOption(s.opt, "token")
	if err != nil {
		return err
	}
	if text == "" {
		text = readTrim(filepath.Join(s.dir, "token"))
	}
	if text == "" {
		if s.opt.str("server") != "" && !s.hasEtcd() {
			return errors.New("token is required to join a cluster: set --token or K3S_TOKEN")
		}
		text = randomHex(16)
	}
	if s.given, err = parseToken(text, "server"); err != nil {
		return fmt.Errorf("failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>: %v", err)
	}
	if s.given.bearer != "" {
		return errors.New("failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>")
	}
	s.password = s.given.password
	agent, err := readTokenOption(s.opt, "agent-token")
	if err != nil {
		return err
	}
	s.agentPass = s.password
	if agent != "" {
		t, err := parseToken(agent, "node")
		if err != nil {
			return err
		}
		s.agentPass = t.password
	}
	return nil
}

// reconcileBootstrap takes the cluster's authorities out of a datastore that is
// open, or makes the first ones and puts them there.
func (s *server) reconcileBootstrap() error {
	infof("Reconciling bootstrap data between datastore and disk")
	for {
		keys, _ := s.store.replica().list(bootstrapPrefix)
		files, found, err := findBootstrap(keys, s.password)
		if err != nil {
			return fmt.Errorf("failed to bootstrap cluster data: %w", err)
		}
		if found {
			if err := s.pki.writeBootstrapFiles(files); err != nil {
				return err
			}
			return s.pki.ensureCAs()
		}
		if err := s.pki.ensureCAs(); err != nil {
			return err
		}
		if s.opt.bool("secrets-encryption") {
			writeEncryptionState(s.dir, "start")
		}
		sealed, err := s.pki.seal(s.password)
		if err != nil {
			return err
		}
		_, err = s.store.write(context.Background(), op{bootstrapKey(s.password), sealed, 0})
		if err == nil {
			return nil
		}
		if !errors.Is(err, errConflict) {
			return fmt.Errorf("failed to save bootstrap data: %w", err)
		}
		// Another server was first: throw ours away and take that one's.
		os.RemoveAll(s.pki.dir)
		time.Sleep(300 * time.Millisecond)
	}
}

// certificates makes this server's own certificates and writes tokens and kubeconfig.
func (s *server) certificates() error {
	host, _ := os.Hostname()
	sans := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", "::1",
		s.serviceIP(), s.ip, s.node, host, s.opt.str("advertise-address")}
	sans = append(sans, s.opt.list("node-external-ip")...)
	sans = append(sans, s.opt.list("tls-san")...)
	leaves := []struct {
		name, ca, cn string
		orgs, sans   []string
	}{
		{"serving-kube-apiserver", "server-ca", "kube-apiserver", nil, sans},
		{"client-admin", "client-ca", "system:admin", []string{"system:masters"}, nil},
		{"client-supervisor", "client-ca", "system:k3s-supervisor", []string{"system:masters"}, nil},
		{"client-controller", "client-ca", "system:kube-controller-manager", nil, nil},
		{"client-scheduler", "client-ca", "system:kube-scheduler", nil, nil},
		{"client-kube-apiserver", "client-ca", "system:apiserver", []string{"system:masters"}, nil},
		{"client-kube-proxy", "client-ca", "system:kube-proxy", nil, nil},
		{"etcd/server-client", "etcd/server-ca", "etcd-server", []string{"etcd-server"}, []string{"localhost", "127.0.0.1", "::1", s.ip, host}},
		{"etcd/client", "etcd/server-ca", "etcd-client", []string{"etcd-client"}, nil},
		{"etcd/peer-server-client", "etcd/peer-ca", "etcd-peer", []string{"etcd-peer"}, []string{"localhost", "127.0.0.1", "::1", s.ip, host}},
	}
	for _, l := range leaves {
		if strings.HasPrefix(l.name, "etcd/") && s.raft == nil && !s.usesEtcd() {
			continue
		}
		if _, err := s.pki.ensureLeaf(l.name, l.ca, l.cn, l.orgs, l.sans); err != nil {
			return err
		}
	}
	hash := caHash(s.pki.cas["server-ca"].certPEM)
	files := map[string]string{
		"token":       formatToken(hash, "server", s.password),
		"cred/passwd": fmt.Sprintf("%s,node,node,k3s:agent\n%s,server,server,k3s:server\n", s.agentPass, s.password),
	}
	for name, text := range files {
		if err := writeIfOther(filepath.Join(s.dir, name), text, 0o600); err != nil {
			return err
		}
	}
	link(filepath.Join(s.dir, "token"), filepath.Join(s.dir, "node-token"))
	if s.agentPass == s.password {
		link(filepath.Join(s.dir, "token"), filepath.Join(s.dir, "agent-token"))
	} else {
		os.Remove(filepath.Join(s.dir, "agent-token"))
		if err := writeFile(filepath.Join(s.dir, "agent-token"), []byte(formatToken(hash, "node", s.agentPass)), 0o600); err != nil {
			return err
		}
	}
	return s.writeKubeconfig()
}

func writeIfOther(path, text string, mode os.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	return writeFile(path, []byte(text), mode)
}

func link(target, path string) {
	if t, err := os.Readlink(path); err == nil && t == target {
		return
	}
	os.Remove(path)
	os.Symlink(target, path)
}

func (s *server) serviceIP() string {
	cidr := "10.43.0.0/16"
	if l := s.opt.list("service-cidr"); len(l) > 0 {
		cidr = l[0]
	}
	ip, _, err := net.ParseCIDR(cidr)
	if err != nil {
		return "10.43.0.1"
	}
	ip[len(ip)-1]++
	return ip.String()
}

func (s *server) writeKubeconfig() error {
	admin, err := s.pki.read("client-admin")
	if err != nil {
		return err
	}
	text := kubeconfig(fmt.Sprintf("https://127.0.0.1:%d", s.port), s.pki.cas["server-ca"].certPEM, admin)
	if err := writeFile(filepath.Join(s.dir, "cred", "admin.kubeconfig"), []byte(text), 0o600); err != nil {
		return err
	}
	path := s.opt.str("write-kubeconfig")
	if path == "" {
		path = rooted("/etc/rancher/k3s/k3s.yaml")
	}
	mode := os.FileMode(0o600)
	if m, err := strconv.ParseUint(s.opt.str("write-kubeconfig-mode"), 8, 32); err == nil && m > 0 {
		mode = os.FileMode(m)
	}
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := writeIfOther(path, text, mode); err != nil {
		return err
	}
	infof("Wrote kubeconfig %s", path)
	return os.Chmod(path, mode)
}

func kubeconfig(url string, ca []byte, user *keyPair) string {
	return fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: %s
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: %s
    client-key-data: %s
`, base64Text(ca), url, base64Text(user.certPEM), base64Text(user.keyPEM))
}

// listen opens 6443. /ping and /cacerts answer at once, the rest when it is ready.
func (s *server) listen() {
	cert, err := s.pki.read("serving-kube-apiserver")
	if err != nil {
		fatalf("Error: %v", err)
	}
	bind := s.opt.str("bind-address")
	ln, err := net.Listen("tcp", net.JoinHostPort(bind, strconv.Itoa(s.port)))
	if err != nil {
		fatalf("Error: failed to listen: %v", err)
	}
	// The CA goes with the certificate, as k3s sends it.
	chain := cert.tls()
	if len(chain.Certificate) == 1 {
		chain.Certificate = append(chain.Certificate, s.pki.cas["server-ca"].cert.Raw)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{chain}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: s.pki.cas["client-ca"].pool(), NextProtos: []string{"http/1.1"}}
	srv := &http.Server{Handler: http.HandlerFunc(s.serveHTTP), ErrorLog: quietLog}
	go srv.Serve(tls.NewListener(ln, cfg))
}

// run brings the server up, then keeps watch over its datastore.
func (s *server) run() {
	if s.raft != nil {
		s.raft.onRemoved = s.onRemoved
		s.serveEtcd()
		s.raft.start()
	}
	for n := 0; ; n++ {
		err := s.store.ready()
		if err == nil {
			break
		}
		if n%10 == 0 {
			infof("Waiting for etcd server to become available")
			if n > 0 {
				errorf("Failed to test etcd connection: %v", err)
			}
		}
		time.Sleep(300 * time.Millisecond)
	}
	advertise := s.opt.str("advertise-address")
	if advertise == "" {
		advertise = s.ip
	}
	s.api = &api{store: s.store, advertise: net.JoinHostPort(advertise, strconv.Itoa(s.port))}
	if err := s.checkVersionStep(); err != nil {
		fatalf("Error: starting kubernetes: %v", err)
	}
	if err := s.seed(); err != nil {
		fatalf("Error: starting kubernetes: %v", err)
	}
	infof("%s data store connection OK", s.store.name())
	s.up.Store(true)
	infof("Kube API server is now running")
	infof("k3s is up and running")
	if !s.opt.bool("disable-apiserver") {
		go newControllers(s).run()
		go s.deployManifests()
		go s.reconcileStored()
	}
	go s.watchDatastore()
	if s.raft != nil {
		go s.reportVoter()
	}
	if s.opt.bool("disable-agent") {
		notifyReady()
		return
	}
	s.runKubelet()
}

// watchDatastore ends a server whose datastore stays away: systemd starts it anew.
func (s *server) watchDatastore() {
	var since time.Time
	for range time.Tick(500 * time.Millisecond) {
		if err := s.store.ready(); err == nil {
			since = time.Time{}
		} else if since.IsZero() {
			since = time.Now()
		} else if time.Since(since) > quorumGrace {
			errorf("error retrieving resource lock kube-system/kube-controller-manager: %v", err)
			fatalf("leaderelection lost for kube-controller-manager")
		}
	}
}

func (s *server) waitForSignal() {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT)
	<-ch
	infof("Shutting down k3s")
	if s.store != nil {
		s.store.close()
	}
}
