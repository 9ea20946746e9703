package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// quietLog drops what net/http says of broken handshakes: k3s says it elsewhere.
var quietLog = log.New(io.Discard, "", 0)

// serveHTTP is port 6443: the supervisor (/v1-k3s, /cacerts, /ping, /db) and,
// behind a client certificate, the Kubernetes API.
func (s *server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/ping":
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "pong")
	case r.URL.Path == "/cacerts":
		w.Header().Set("Content-Type", "text/plain")
		w.Write(s.pki.cas["server-ca"].certPEM)
	case strings.HasPrefix(r.URL.Path, "/v1-k3s/") || strings.HasPrefix(r.URL.Path, "/db/"):
		s.serveSupervisor(w, r)
	default:
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			writeError(w, &apiError{401, "Unauthorized", "Unauthorized", nil})
			return
		}
		if !s.up.Load() || s.opt.bool("disable-apiserver") && !s.ownKubelet(r) {
			writeError(w, &apiError{503, "ServiceUnavailable", "apiserver not ready", nil})
			return
		}
		s.api.ServeHTTP(w, r)
	}
}

// ownKubelet: a server without an API server still lets its own kubelet reach
// the cluster, once another server has an API. (k3s goes through that one.)
func (s *server) ownKubelet(r *http.Request) bool {
	if r.TLS.PeerCertificates[0].Subject.CommonName != "system:node:"+s.node {
		return false
	}
	nodes, _ := s.api.list(builtin("nodes"), "")
	for _, n := range nodes {
		if strAt(n, "metadata", "labels", "node-role.kubernetes.io/control-plane") == "true" {
			return true
		}
	}
	return false
}

// role says who asks at the supervisor: "server", "agent" or nobody.
func (s *server) role(r *http.Request) string {
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		orgs := r.TLS.PeerCertificates[0].Subject.Organization
		for _, o := range orgs {
			if o == "system:masters" {
				return "server"
			}
			if o == "system:nodes" {
				return "agent"
			}
		}
	}
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	if user, password, ok := r.BasicAuth(); ok {
		switch {
		case user == "server" && same(password, s.password):
			return "server"
		case user == "node" && same(password, s.agentPass):
			return "agent"
		}
	}
	if bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); bootstrapToken.MatchString(bearer) && s.up.Load() {
		id, secret, _ := strings.Cut(bearer, ".")
		o, err := s.api.get(builtin("secrets"), "kube-system", "bootstrap-token-"+id)
		if err == nil && same(secretText(o, "token-secret"), secret) && !bootstrapExpired(o) {
			return "agent"
		}
	}
	return ""
}

func secretText(o obj, key string) string {
	b, _ := base64.StdEncoding.DecodeString(strAt(o, "data", key))
	return string(b)
}

func (s *server) serveSupervisor(w http.ResponseWriter, r *http.Request) {
	role := s.role(r)
	if role == "" {
		writeError(w, &apiError{401, "Unauthorized", "Unauthorized", nil})
		return
	}
	serverOnly := func() bool {
		if role != "server" {
			writeError(w, &apiError{403, "Forbidden", "forbidden: only servers may ask for " + r.URL.Path, nil})
			return false
		}
		return true
	}
	switch r.URL.Path {
	case "/v1-k3s/server-ca.crt":
		w.Write(s.pki.cas["server-ca"].certPEM)
	case "/v1-k3s/client-ca.crt":
		w.Write(s.pki.cas["client-ca"].certPEM)
	case "/v1-k3s/config":
		writeJSON(w, 200, s.sharedConfig())
	case "/v1-k3s/server-bootstrap":
		if !serverOnly() {
			return
		}
		if s.raft == nil {
			writeError(w, &apiError{400, "BadRequest", "etcd disabled", nil})
			return
		}
		writeJSON(w, 200, s.pki.bootstrapFiles())
	case "/db/info":
		if !serverOnly() {
			return
		}
		if s.raft == nil {
			http.NotFound(w, r)
			return
		}
		s.raft.mu.Lock()
		info := etcdInfo{Cluster: s.raft.cluster, Members: s.raft.members}
		s.raft.mu.Unlock()
		writeJSON(w, 200, info)
	case "/v1-k3s/readyz":
		if !s.up.Load() {
			writeError(w, &apiError{503, "ServiceUnavailable", "runtime core not ready", nil})
			return
		}
		io.WriteString(w, "ok")
	case "/v1-k3s/apiservers":
		writeJSON(w, 200, s.apiServers())
	case "/v1-k3s/client-kubelet.crt":
		s.issueKubelet(w, r)
	case "/v1-k3s/cert/cacerts":
		if serverOnly() {
			s.rotateCA(w, r)
		}
	case "/v1-k3s/token":
		if serverOnly() {
			s.rotateToken(w, r)
		}
	case "/v1-k3s/encrypt/config", "/v1-k3s/encrypt/status":
		if serverOnly() {
			s.encryption(w, r)
		}
	case "/db/snapshot":
		if serverOnly() {
			s.snapshotRequest(w, r)
		}
	default:
		http.NotFound(w, r)
	}
}

// sharedConfig holds the settings that all servers must agree on.
func (s *server) sharedConfig() map[string]string {
	o := s.opt
	or := func(v, def string) string {
		if v == "" {
			return def
		}
		return v
	}
	disabled := map[string]bool{}
	for _, d := range o.list("disable") {
		disabled[d] = true
	}
	return map[string]string{
		"cluster-cidr":                or(strings.Join(o.list("cluster-cidr"), ","), "10.42.0.0/16"),
		"service-cidr":                or(strings.Join(o.list("service-cidr"), ","), "10.43.0.0/16"),
		"cluster-dns":                 or(strings.Join(o.list("cluster-dns"), ","), "10.43.0.10"),
		"cluster-domain":              or(o.str("cluster-domain"), "cluster.local"),
		"flannel-backend":             or(o.str("flannel-backend"), "vxlan"),
		"flannel-external-ip":         strconv.FormatBool(o.bool("flannel-external-ip")),
		"flannel-ipv6-masq":           strconv.FormatBool(o.bool("flannel-ipv6-masq")),
		"egress-selector-mode":        or(o.str("egress-selector-mode"), "agent"),
		"disable-cloud-controller":    strconv.FormatBool(o.bool("disable-cloud-controller")),
		"disable-helm-controller":     strconv.FormatBool(o.bool("disable-helm-controller")),
		"disable-network-policy":      strconv.FormatBool(o.bool("disable-network-policy")),
		"disable-servicelb":           strconv.FormatBool(disabled["servicelb"]),
		"embedded-registry":           strconv.FormatBool(o.bool("embedded-registry")),
		"secrets-encryption":          strconv.FormatBool(o.bool("secrets-encryption")),
		"secrets-encryption-provider": or(o.str("secrets-encryption-provider"), "aescbc"),
	}
}

// compareConfig gives the settings on which another server disagrees.
func (s *server) compareConfig(theirs map[string]string) (different []string) {
	for name, mine := range s.sharedConfig() {
		if theirs[name] != mine {
			different = append(different, name)
		}
	}
	sort.Strings(different)
	return
}

// apiServers lists where agents find servers, this one included.
func (s *server) apiServers() []string {
	out := []string{fmt.Sprintf("%s:%d", s.ip, s.port)}
	if !s.up.Load() {
		return out
	}
	nodes, _ := s.api.list(builtin("nodes"), "")
	for _, n := range nodes {
		if strAt(n, "metadata", "labels", "node-role.kubernetes.io/control-plane") == "true" {
			if ip := nodeAddress(n, "InternalIP"); ip != "<none>" && ip != s.ip {
				out = append(out, fmt.Sprintf("%s:%d", ip, s.port))
			}
		}
	}
	return out
}

const nodePasswordRejected = "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag"

// issueKubelet gives a kubelet its certificate, if its node password is right.
func (s *server) issueKubelet(w http.ResponseWriter, r *http.Request) {
	name, password := r.Header.Get("k3s-Node-Name"), r.Header.Get("k3s-Node-Password")
	if name == "" || password == "" {
		writeError(w, &apiError{400, "BadRequest", "node name and password not set", nil})
		return
	}
	if !s.up.Load() {
		writeError(w, &apiError{503, "ServiceUnavailable", "runtime core not ready", nil})
		return
	}
	if err := skew(r.Header.Get("k3s-Node-Version")); err != nil {
		writeError(w, &apiError{403, "Forbidden", err.Error(), nil})
		return
	}
	if err := s.checkNodePassword(name, password); err != nil {
		writeError(w, err)
		return
	}
	k, err := s.pki.cas["client-ca"].leaf("system:node:"+name, []string{"system:nodes"}, nil)
	if err != nil {
		writeError(w, err)
		return
	}
	w.Write(append(append([]byte{}, k.certPEM...), k.keyPEM...))
}

// checkNodePassword compares with the hash kept in the cluster, or keeps the first one.
func (s *server) checkNodePassword(name, password string) error {
	hash := func(salt string) string {
		sum := sha256.Sum256([]byte(salt + password))
		return "$1:" + salt + ":" + hex.EncodeToString(sum[:])
	}
	secrets := builtin("secrets")
	o, err := s.api.get(secrets, "kube-system", name+".node-password.k3s")
	if isCode(err, 404) {
		_, err = s.api.create(secrets, "kube-system", obj{"metadata": obj{"name": name + ".node-password.k3s"}, "immutable": true, "stringData": obj{"hash": hash(randomHex(8))}})
		return err
	}
	if err != nil {
		return err
	}
	want := secretText(o, "hash")
	if parts := strings.Split(want, ":"); len(parts) == 3 && hash(parts[1]) == want {
		return nil
	}
	errorf("unable to verify password for node %s: hash does not match", name)
	return &apiError{403, "Forbidden", nodePasswordRejected, nil}
}

// skew refuses kubelets that Kubernetes does not support beside this API
// server: newer by a minor, or older by more than three.
func skew(kubelet string) error {
	mine, theirs := minor(version), minor(kubelet)
	switch {
	case kubelet == "" || theirs < 0 || mine < 0:
		return nil
	case theirs > mine:
		return fmt.Errorf("stand-in: kubelet %s is newer than the API server %s: not supported", kubelet, version)
	case mine-theirs > 3:
		return fmt.Errorf("stand-in: kubelet %s is more than three minors older than the API server %s: not supported", kubelet, version)
	}
	return nil
}

// minor is the M of v1.M.P; -1 when there is none.
func minor(v string) int {
	parts := strings.SplitN(strings.TrimPrefix(v, "v"), ".", 3)
	if len(parts) < 2 {
		return -1
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return -1
	}
	return n
}
