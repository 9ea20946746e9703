package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"
	"time"
)

// subcommandFlags are the flags of the small commands.
type subcommandFlags map[string]string

// parse reads flags that are known with their defaults ("bool" marks a switch);
// words are given back in order.
func (f subcommandFlags) parse(args []string, known map[string]string) (words []string, err error) {
	for name, def := range known {
		if def != "bool" {
			f[name] = def
		}
	}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			words = append(words, args[i])
			continue
		}
		name, value, has := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		def, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("flag provided but not defined: -%s", name)
		}
		if !has && def == "bool" {
			value = "true"
		} else if !has {
			if i++; i >= len(args) {
				return nil, fmt.Errorf("flag needs an argument: -%s", name)
			}
			value = args[i]
		}
		f[name] = value
	}
	return words, nil
}

// serverClient asks the server on this host, by its token.
type serverClient struct{ sup *supervisorClient }

func localServer(dataDir string) *serverClient {
	if dataDir == "" {
		dataDir = rooted("/var/lib/rancher/k3s")
	}
	text := readTrim(filepath.Join(dataDir, "server", "token"))
	if text == "" {
		fatalf("Error: see server log for details: no server token in %s", dataDir)
	}
	t, err := parseToken(text, "server")
	if err != nil {
		fatalf("Error: %v", err)
	}
	url := "https://127.0.0.1:6443"
	if o, err := loadOptions("server", nil); err == nil {
		url = fmt.Sprintf("https://127.0.0.1:%d", o.int("https-listen-port", 6443))
	}
	return &serverClient{&supervisorClient{base: url, token: t}}
}

func (c *serverClient) ask(method, path string, in, out any) error {
	if err := c.sup.trust(); err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	data, err := c.sup.do(method, path, nil, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if out == nil || len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, out)
}

// tokenAsk is what "k3s token" sends.
type tokenAsk struct {
	Operation, ID, Secret, Description, NewToken string
	TTL                                          time.Duration
}

func tokenCommand(args []string) int {
	if len(args) == 0 {
		fmt.Println("NAME:\n   k3s token - Manage tokens\n\nCOMMANDS:\n   create delete generate list rotate")
		return 0
	}
	f := subcommandFlags{}
	words, err := f.parse(args[1:], map[string]string{"data-dir": "", "d": "", "kubeconfig": "", "description": "", "groups": "", "ttl": "24h", "usages": "", "output": "text", "o": "", "server": "", "s": "", "token": "", "t": "", "new-token": ""})
	if err != nil {
		fatalf("Error: %v", err)
	}
	fresh := randomHex(3) + "." + randomHex(8)
	ask := tokenAsk{Operation: args[0], Description: f["description"], NewToken: f["new-token"]}
	switch args[0] {
	case "generate":
		fmt.Println(fresh)
		return 0
	case "create":
		if len(words) > 0 {
			fresh = words[0]
		}
		if !bootstrapToken.MatchString(fresh) {
			fatalf("Error: the bootstrap token %q was not of the form %q", fresh, bootstrapToken.String())
		}
		ask.ID, ask.Secret, _ = strings.Cut(fresh, ".")
		if ask.TTL, err = time.ParseDuration(f["ttl"]); err != nil {
			fatalf("Error: %v", err)
		}
	case "delete":
		if len(words) == 0 {
			fatalf("Error: missing argument; 'token delete' is missing token")
		}
		ask.ID, _, _ = strings.Cut(words[0], ".")
	case "rotate":
		if ask.NewToken == "" {
			ask.NewToken = randomHex(16)
		}
	case "list":
	default:
		fatalf("Error: no such token command: %s", args[0])
	}
	c := localServer(f["data-dir"])
	if args[0] == "rotate" && f["token"] != "" {
		t, err := parseToken(f["token"], "server")
		if err != nil {
			fatalf("Error: %v", err)
		}
		c.sup.token = t
	}
	var out []obj
	if err := c.ask("PUT", "/v1-k3s/token", ask, &out); err != nil {
		fatalf("Error: %v", err)
	}
	switch args[0] {
	case "create":
		fmt.Printf("K10%s::%s\n", caHash(c.sup.caPEM), fresh)
	case "delete":
		fmt.Printf("bootstrap token %q deleted\n", ask.ID)
	case "rotate":
		fmt.Println("Token rotated, restart k3s nodes with new token")
	case "list":
		if f["output"] == "json" || f["o"] == "json" {
			json.NewEncoder(os.Stdout).Encode(out)
			return 0
		}
		w := tabwriter.NewWriter(os.Stdout, 10, 4, 3, ' ', 0)
		fmt.Fprintln(w, "TOKEN\tTTL\tEXPIRES\tUSAGES\tDESCRIPTION\tEXTRA GROUPS")
		for _, t := range out {
			fmt.Fprintf(w, "%s\t%s\t%s\tauthentication,signing\t%s\tsystem:bootstrappers:k3s:default-node-token\n", t["token"], t["ttl"], t["expires"], t["description"])
		}
		w.Flush()
	}
	return 0
}

// rotateToken serves "k3s token": bootstrap tokens are Secrets, the server
// token is the key of the bootstrap data.
func (s *server) rotateToken(w http.ResponseWriter, r *http.Request) {
	var ask tokenAsk
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || !s.up.Load() {
		writeError(w, &apiError{503, "ServiceUnavailable", "runtime core not ready", nil})
		return
	}
	secrets := builtin("secrets")
	var err error
	out := []obj{}
	switch ask.Operation {
	case "create":
		data := obj{"token-id": ask.ID, "token-secret": ask.Secret, "description": ask.Description, "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true", "auth-extra-groups": "system:bootstrappers:k3s:default-node-token"}
		if ask.TTL > 0 {
			data["expiration"] = time.Now().Add(ask.TTL).UTC().Format(time.RFC3339)
		}
		_, err = s.api.create(secrets, "kube-system", obj{"metadata": obj{"name": "bootstrap-token-" + ask.ID}, "type": "bootstrap.kubernetes.io/token", "stringData": data})
	case "delete":
		_, err = s.api.delete(secrets, "kube-system", "bootstrap-token-"+ask.ID, deleteOptions{})
	case "list":
		all, _ := s.api.list(secrets, "kube-system")
		for _, o := range all {
			if strAt(o, "type") == "bootstrap.kubernetes.io/token" {
				expires := secretText(o, "expiration")
				ttl := "<forever>"
				if t, err := time.Parse(time.RFC3339, expires); err == nil {
					ttl = time.Until(t).Round(time.Minute).String()
				} else {
					expires = "<never>"
				}
				out = append(out, obj{"token": secretText(o, "token-id") + "." + secretText(o, "token-secret"), "ttl": ttl, "expires": expires, "description": secretText(o, "description")})
			}
		}
	case "rotate":
		err = s.rotateServerToken(ask.NewToken)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, 200, out)
}

// rotateServerToken encrypts the bootstrap data with a new token. The old one
// opens nothing any more: every server must be restarted with the new one.
func (s *server) rotateServerToken(text string) error {
	t, err := parseToken(text, "server")
	if err != nil {
		return err
	}
	sealed, err := s.pki.seal(t.password)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if _, err := s.store.write(ctx, op{bootstrapKey(t.password), sealed, -1}); err != nil {
		return err
	}
	if t.password != s.password {
		if _, err := s.store.write(ctx, op{Key: bootstrapKey(s.password), Expect: -1}); err != nil && !errors.Is(err, errNoKey) {
			return err
		}
	}
	if s.agentPass == s.password {
		s.agentPass = t.password
	}
	s.password = t.password
	infof("certificate and token rotation: wrote the new server token")
	return writeFile(filepath.Join(s.dir, "token"), []byte(formatToken(caHash(s.pki.cas["server-ca"].certPEM), "server", t.password)), 0o600)
}

func bootstrapExpired(o obj) bool {
	t, err := time.Parse(time.RFC3339, secretText(o, "expiration"))
	return err == nil && time.Now().After(t)
}

// certificateCommand is "k3s certificate check|rotate|rotate-ca".
func certificateCommand(args []string) int {
	if len(args) == 0 {
		fmt.Println("NAME:\n   k3s certificate - Manage K3s certificates\n\nCOMMANDS:\n   check rotate rotate-ca")
		return 0
	}
	f := subcommandFlags{}
	if _, err := f.parse(args[1:], map[string]string{"data-dir": "", "d": "", "service": "", "output": "text", "o": "", "path": "", "force": "bool", "debug": "bool", "server": "", "config": ""}); err != nil {
		fatalf("Error: %v", err)
	}
	dir := f["data-dir"]
	if dir == "" {
		dir = rooted("/var/lib/rancher/k3s")
	}
	p := &pki{dir: filepath.Join(dir, "server", "tls")}
	leaves, _ := filepath.Glob(filepath.Join(p.dir, "*.crt"))
	more, _ := filepath.Glob(filepath.Join(p.dir, "etcd", "*.crt"))
	leaves = append(leaves, more...)
	sort.Strings(leaves)
	switch args[0] {
	case "check":
		return checkCertificates(leaves, f["output"])
	case "rotate":
		infof("Rotating certificates for services %s", f["service"])
		backup := filepath.Join(dir, "server", fmt.Sprintf("tls-%d", time.Now().Unix()))
		for _, path := range leaves {
			name := strings.TrimSuffix(strings.TrimPrefix(path, p.dir+"/"), ".crt")
			if strings.HasSuffix(name, "-ca") {
				continue
			}
			for _, ext := range []string{".crt", ".key"} {
				if data, err := os.ReadFile(p.path(name, ext)); err == nil {
					writeFile(filepath.Join(backup, name+ext), data, 0o600)
					os.Remove(p.path(name, ext))
				}
			}
		}
		infof("Successfully backed up certificates to %s, please restart k3s server or agent to rotate certificates", backup)
		return 0
	case "rotate-ca":
		return rotateCACommand(f)
	}
	fatalf("Error: no such certificate command: %s", args[0])
	return 1
}

func checkCertificates(paths []string, output string) int {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	if output == "table" {
		fmt.Fprintln(w, "FILENAME\tSUBJECT\tUSAGES\tEXPIRES\tRESIDUAL TIME\tSTATUS")
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		cert, err := parseCert(data)
		if err != nil {
			continue
		}
		left, status := time.Until(cert.NotAfter), "OK"
		switch {
		case left < 0:
			status = "EXPIRED"
		case left < renewWithin:
			status = "WARNING"
		}
		if output == "table" {
			fmt.Fprintf(w, "%s\t%s\tClientAuth,ServerAuth\t%s\t%d days\t%s\n", filepath.Base(path), cert.Subject.CommonName, cert.NotAfter.Format("Jan 02, 2006 15:04 MST"), int(left.Hours()/24), status)
		} else if status == "OK" {
			infof("%s: certificate %s is ok, expires at %s", path, cert.Subject, cert.NotAfter.Format(time.RFC3339))
		} else {
			warnf("%s: certificate %s will expire within %d days at %s", path, cert.Subject, int(renewWithin.Hours()/24), cert.NotAfter.Format(time.RFC3339))
		}
	}
	w.Flush()
	return 0
}

// encryptionState is the state of secrets encryption; the stand-in tracks its
// stages and hashes and encrypts nothing.
type encryptionState struct {
	Enabled bool
	Stage   string
	Key     string
	Hash    string
}

func writeEncryptionState(serverDir, stage string) encryptionState {
	e := encryptionState{Enabled: true, Stage: stage, Key: "aescbckey-" + time.Now().UTC().Format(time.RFC3339)}
	e.Hash = caHash([]byte(e.Key))[:16]
	data, _ := json.Marshal(e)
	writeFile(filepath.Join(serverDir, "cred", "encryption-state.json"), data, 0o600)
	return e
}

func (s *server) encryptionNow() (e encryptionState) {
	e.Stage = "start"
	if data, err := os.ReadFile(filepath.Join(s.dir, "cred", "encryption-state.json")); err == nil {
		json.Unmarshal(data, &e)
	}
	return
}

func (s *server) encryption(w http.ResponseWriter, r *http.Request) {
	e := s.encryptionNow()
	if r.Method != "GET" {
		var ask struct{ Operation string }
		body, _ := io.ReadAll(r.Body)
		json.Unmarshal(body, &ask)
		if !s.opt.bool("secrets-encryption") && ask.Operation != "disable" {
			writeError(w, &apiError{400, "", "secrets-encryption is not configured on this server: start it with --secrets-encryption", nil})
			return
		}
		switch ask.Operation {
		case "enable":
			e = writeEncryptionState(s.dir, "start")
		case "disable":
			e.Enabled = false
			data, _ := json.Marshal(e)
			writeFile(filepath.Join(s.dir, "cred", "encryption-state.json"), data, 0o600)
		case "rotate-keys", "rotate", "prepare", "reencrypt":
			stage := map[string]string{"rotate-keys": "reencrypt_finished", "rotate": "rotate", "prepare": "prepare", "reencrypt": "reencrypt_finished"}[ask.Operation]
			e = writeEncryptionState(s.dir, stage)
		}
		if sealed, err := s.pki.seal(s.password); err == nil {
			s.store.write(context.Background(), op{bootstrapKey(s.password), sealed, -1})
		}
	}
	writeJSON(w, 200, e)
}

// secretsEncryptCommand is "k3s secrets-encrypt status|enable|disable|rotate-keys|prepare|rotate|reencrypt".
func secretsEncryptCommand(args []string) int {
	if len(args) == 0 {
		fmt.Println("NAME:\n   k3s secrets-encrypt - Control secrets encryption and keys rotation\n\nCOMMANDS:\n   status enable disable rotate-keys prepare rotate reencrypt")
		return 0
	}
	f := subcommandFlags{}
	if _, err := f.parse(args[1:], map[string]string{"data-dir": "", "d": "", "output": "text", "o": "", "server": "", "token": "", "force": "bool", "skip": "bool"}); err != nil {
		fatalf("Error: %v", err)
	}
	method, path := "PUT", "/v1-k3s/encrypt/config"
	if args[0] == "status" {
		method, path = "GET", "/v1-k3s/encrypt/status"
	}
	var e encryptionState
	if err := localServer(f["data-dir"]).ask(method, path, obj{"Operation": args[0]}, &e); err != nil {
		fatalf("Error: see server log for details: %v", err)
	}
	if args[0] != "status" {
		fmt.Printf("secrets-encryption: %s done\n", args[0])
		return 0
	}
	if f["output"] == "json" || f["o"] == "json" {
		json.NewEncoder(os.Stdout).Encode(obj{"enable": e.Enabled, "activekey": e.Key, "stage": e.Stage, "hashmatch": true})
		return 0
	}
	if !e.Enabled {
		fmt.Println("Encryption Status: Disabled, no configuration file found")
		return 0
	}
	fmt.Printf("Encryption Status: Enabled\nCurrent Rotation Stage: %s\nServer Encryption Hashes: All hashes match\n\nActive  Key Type  Name\n------  --------  ----\n *      AES-CBC   %s\n", e.Stage, e.Key)
	return 0
}
