package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestYAML(t *testing.T) {
	good := map[string]any{
		"a: 1\nb: two # c\n":                     obj{"a": 1.0, "b": "two"},
		"l:\n- x\n- y: 1\n  z: 'it''s'\n":        obj{"l": []any{"x", obj{"y": 1.0, "z": "it's"}}},
		"l:\n  - \"a: b\"\n  - [1, {k: v}]\n":    obj{"l": []any{"a: b", []any{1.0, obj{"k": "v"}}}},
		"t: |\n  one\n   two\n\nu: >-\n  a\n  b": obj{"t": "one\n two\n", "u": "a b"},
		"e:\nf: ~\ng: \"\"\n":                    obj{"e": nil, "f": nil, "g": ""},
		"a:\n  b:\n    c: true\n":                obj{"a": obj{"b": obj{"c": true}}},
		"url: https://10.0.0.1:6443\n":           obj{"url": "https://10.0.0.1:6443"},
		"token: 0123\nmode: \"0644\"\n":          obj{"token": 83.0, "mode": "0644"},
	}
	for text, want := range good {
		docs, err := parseYAML(text)
		if err != nil || len(docs) != 1 || !reflect.DeepEqual(toPlain(docs[0]), want) {
			t.Errorf("%q: got %v, %v; want %v", text, docs, err, want)
		}
	}
	for _, bad := range []string{"a: b: c\n", "a: [1, 2\n", "a: 1\n b: 2\n", "a\nb: 1\n", "- a\nb: 1\n", "\tx: 1\n", "a: 1\na: 2\n"} {
		if docs, err := parseYAML(bad); err == nil {
			t.Errorf("%q was read as %v", bad, docs)
		}
	}
}

func TestOptions(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	os.MkdirAll(config+".d", 0o700)
	os.WriteFile(config, []byte("token: from-config\nnode-label: [a=1]\nwrite-kubeconfig-mode: \"0644\"\nno-such-key: x\ntls-san: old\n"), 0o600)
	os.WriteFile(config+".d/10.yaml", []byte("node-label+:\n  - b=2\ntls-san: new\n"), 0o600)
	t.Setenv("K3S_CONFIG_FILE", config)
	t.Setenv("K3S_TOKEN", "from-env")
	t.Setenv("K3S_NODE_NAME", "env-name")
	o, err := loadOptions("server", []string{"--node-name", "flag-name", "--node-label=c=3", "--cluster-init"})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{o.str("token"), o.str("node-name"), strings.Join(o.list("node-label"), " "), o.str("write-kubeconfig-mode"), o.str("tls-san")}
	want := []string{"from-env", "flag-name", "a=1 b=2 c=3", "0644", "new"}
	if !reflect.DeepEqual(got, want) || !o.bool("cluster-init") {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := loadOptions("server", []string{"--no-such-flag"}); err == nil || err.Error() != "flag provided but not defined: -no-such-flag" {
		t.Errorf("unknown flag: %v", err)
	}
	// What a server skips, an agent dies of.
	if _, err := loadOptions("agent", nil); err == nil {
		t.Error("an agent took an unknown key")
	}
}

func TestToken(t *testing.T) {
	hash := strings.Repeat("a", 64)
	for text, want := range map[string]token{
		"K10" + hash + "::server:pw": {caHash: hash, user: "server", password: "pw"},
		"plain":                      {user: "node", password: "plain"},
		"abcdef.0123456789abcdef":    {bearer: "abcdef.0123456789abcdef"},
	} {
		if got, err := parseToken(text, "node"); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "K10abc::server:pw"} {
		if _, err := parseToken(bad, "node"); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestBootstrapSeal(t *testing.T) {
	p := &pki{dir: filepath.Join(t.TempDir(), "tls")}
	if err := p.ensureCAs(); err != nil {
		t.Fatal(err)
	}
	sealed, err := p.seal("right")
	if err != nil {
		t.Fatal(err)
	}
	keys := []record{{Key: bootstrapKey("right"), Value: sealed}}
	if files, found, err := findBootstrap(keys, "right"); err != nil || !found || files["server-ca.crt"] == "" {
		t.Errorf("right token: %v %v", found, err)
	}
	if _, _, err := findBootstrap(keys, "wrong"); err != errOtherToken {
		t.Errorf("wrong token: %v", err)
	}
}

func TestPatches(t *testing.T) {
	node := obj{"metadata": obj{"labels": obj{"a": "1", "b": "2"}, "finalizers": []any{"x"}},
		"spec": obj{"taints": []any{obj{"key": "t", "effect": "NoSchedule"}}}, "status": obj{"conditions": []any{obj{"type": "Ready", "status": "True"}, obj{"type": "Disk", "status": "False"}}}}
	got, err := applyPatch(node, "application/strategic-merge-patch+json", []byte(`{"metadata":{"labels":{"a":null,"c":"3"},"finalizers":["y"]},
		"spec":{"taints":[],"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}`))
	want := obj{"metadata": obj{"labels": obj{"b": "2", "c": "3"}, "finalizers": []any{"x", "y"}}, "spec": obj{"taints": []any{}, "unschedulable": true},
		"status": obj{"conditions": []any{obj{"type": "Ready", "status": "Unknown"}, obj{"type": "Disk", "status": "False"}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("strategic: %v %v", got, err)
	}
	got, err = applyPatch(node, "application/json-patch+json", []byte(`[{"op":"test","path":"/metadata/labels/a","value":"1"},{"op":"remove","path":"/spec/taints/0"},{"op":"add","path":"/metadata/labels/x~1y","value":"z"}]`))
	if err != nil || len(listAt(got, "spec", "taints")) != 0 || strAt(got, "metadata", "labels", "x/y") != "z" {
		t.Errorf("json patch: %v %v", got, err)
	}
	if _, err = applyPatch(node, "application/json-patch+json", []byte(`[{"op":"test","path":"/metadata/labels/a","value":"9"}]`)); err == nil {
		t.Error("a failed test let the patch pass")
	}
	if len(listAt(node, "spec", "taints")) != 1 {
		t.Error("a patch changed its input")
	}
}

// New authorities are taken only where the old ones lead to them, and the hash
// in tokens is then that of the new root.
func TestRotatedCAs(t *testing.T) {
	old, err := newCA("server-ca")
	if err != nil {
		t.Fatal(err)
	}
	root, _ := newCA("server-root")
	template := *root.cert
	template.AuthorityKeyId = old.cert.SubjectKeyId
	crossDER, err := x509.CreateCertificate(rand.Reader, &template, old.cert, &root.key.PublicKey, old.key)
	if err != nil {
		t.Fatal(err)
	}
	cross := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: crossDER})
	lower, err := newKeyPair(&x509.Certificate{Subject: pkix.Name{CommonName: "lower"}, NotAfter: root.cert.NotAfter, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, root)
	if err != nil {
		t.Fatal(err)
	}
	join := func(parts ...[]byte) string { return string(bytes.Join(parts, nil)) }
	signed := join(lower.certPEM, root.certPEM, cross, old.certPEM)
	if err := checkCA(string(old.certPEM), signed, string(lower.keyPEM)); err != nil {
		t.Error(err)
	}
	for name, files := range map[string][2]string{
		"not signed by the old one": {join(lower.certPEM, root.certPEM), string(lower.keyPEM)},
		"a single certificate":      {string(root.certPEM), string(root.keyPEM)},
		"another key":               {signed, string(root.keyPEM)},
	} {
		if checkCA(string(old.certPEM), files[0], files[1]) == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if sum := sha256.Sum256(root.cert.Raw); caHash([]byte(signed)) != hex.EncodeToString(sum[:]) {
		t.Error("the hash is not that of the new root")
	}
}
