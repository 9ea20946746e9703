package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// caAsk is what "k3s certificate rotate-ca" sends: the files that are to be
// the cluster's authorities, by their names below tls.
type caAsk struct {
	Files map[string]string
	Force bool
}

func rotateCACommand(f subcommandFlags) int {
	if f["path"] == "" {
		fatalf("Error: Required flag \"path\" not set")
	}
	if info, err := os.Stat(f["path"]); err != nil || !info.IsDir() {
		fatalf("Error: stat %s: no such file or directory", f["path"])
	}
	ask := caAsk{Files: map[string]string{}, Force: f["force"] == "true"}
	for _, name := range append(append([]string{}, caNames...), "service") {
		for _, ext := range []string{".crt", ".key"} {
			if data, err := os.ReadFile(filepath.Join(f["path"], "tls", name+ext)); err == nil {
				ask.Files[name+ext] = string(data)
			}
		}
	}
	if err := localServer(f["data-dir"]).ask("PUT", "/v1-k3s/cert/cacerts", ask, nil); err != nil {
		fatalf("Error: see server log for details: %v", err)
	}
	fmt.Println("certificates saved to datastore")
	return 0
}

// rotateCA puts new authorities into the datastore. They are used by servers
// that are started afterwards, and by nobody before.
func (s *server) rotateCA(w http.ResponseWriter, r *http.Request) {
	var ask caAsk
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || !s.up.Load() {
		writeError(w, &apiError{503, "ServiceUnavailable", "runtime core not ready", nil})
		return
	}
	if err := s.checkCAs(ask.Files); err != nil && !ask.Force {
		errorf("%v", err)
		writeError(w, &apiError{400, "BadRequest", err.Error(), nil})
		return
	}
	staged := &pki{dir: s.pki.dir}
	files := staged.bootstrapFiles()
	for name, text := range ask.Files {
		files[name] = text
	}
	sealed, err := sealFiles(files, s.password)
	if err == nil {
		_, err = s.store.write(context.Background(), op{bootstrapKey(s.password), sealed, -1})
	}
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, 200, obj{})
}

// checkCAs refuses what the nodes of today would not trust, as k3s does.
func (s *server) checkCAs(files map[string]string) error {
	var all []string
	for _, name := range caNames {
		if err := checkCA(string(s.pki.cas[name].certPEM), files[name+".crt"], files[name+".key"]); err != nil {
			all = append(all, fmt.Sprintf("%s.crt: %v", name, err))
		}
	}
	if old, err := os.ReadFile(s.pki.path("service", ".key")); err == nil && !strings.Contains(files["service.key"], strings.TrimSpace(string(old))) {
		all = append(all, "service.key: old service-account signing key not in new service-account signing key list")
	}
	if len(all) > 0 {
		return errors.New("failed to validate new CA certificates and keys: " + strings.Join(all, "; "))
	}
	return nil
}

func checkCA(oldPEM, newPEM, keyPEM string) error {
	fresh := allCerts([]byte(newPEM))
	if len(fresh) < 2 {
		return errors.New("new CA bundle contains only a single certificate but should include root or intermediate CA certificates")
	}
	pair, err := parseKeyPair([]byte(newPEM), []byte(keyPEM))
	if err != nil {
		return err
	}
	if public, _ := x509.MarshalPKIXPublicKey(&pair.key.PublicKey); !bytes.Equal(public, fresh[0].RawSubjectPublicKeyInfo) {
		return errors.New("new CA cert and key do not match")
	}
	// Only the old roots count; intermediates of the new bundle may lead to them.
	roots, others := rootsAndOthers(allCerts([]byte(oldPEM)))
	for _, cert := range fresh[1:] {
		if len(cert.AuthorityKeyId) > 0 {
			others.AddCert(cert)
		}
	}
	if _, err := fresh[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: others}); err != nil {
		return fmt.Errorf("new CA cert cannot be verified using old CA chain: %w", err)
	}
	return nil
}
