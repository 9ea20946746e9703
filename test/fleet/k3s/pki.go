package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// caNames are the certificate authorities of a k3s server, by file name below server/tls.
var caNames = []string{"server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"}

// renewWithin is how near its end a certificate is renewed at a restart.
const renewWithin = 120 * 24 * time.Hour

// keyPair is a certificate with its key.
type keyPair struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	certPEM []byte
	keyPEM  []byte
}

func newKeyPair(template *x509.Certificate, parent *keyPair) (*keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Minute)
	signer, signerKey := template, key
	if parent != nil {
		signer, signerKey = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signerKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return parseKeyPair(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

func parseKeyPair(certPEM, keyPEM []byte) (*keyPair, error) {
	c, k := firstBlock(certPEM), firstBlock(keyPEM)
	if c == nil || k == nil {
		return nil, errors.New("no PEM data is found")
	}
	cert, err := x509.ParseCertificate(c)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(k)
	if err != nil {
		any, err8 := x509.ParsePKCS8PrivateKey(k)
		if err8 != nil {
			return nil, err
		}
		var ok bool
		if key, ok = any.(*ecdsa.PrivateKey); !ok {
			return nil, errors.New("the stand-in reads ECDSA keys only")
		}
	}
	return &keyPair{cert, key, certPEM, keyPEM}, nil
}

func firstBlock(data []byte) []byte {
	if b, _ := pem.Decode(data); b != nil {
		return b.Bytes
	}
	return nil
}

func newCA(name string) (*keyPair, error) {
	return newKeyPair(&x509.Certificate{
		Subject:               pkix.Name{CommonName: fmt.Sprintf("k3s-%s@%d", strings.ReplaceAll(name, "/", "-"), time.Now().Unix())},
		NotAfter:              time.Now().AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}, nil)
}

// leaf makes a certificate good for one year, as k3s does.
func (ca *keyPair) leaf(cn string, orgs, sans []string) (*keyPair, error) {
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: cn, Organization: orgs},
		NotAfter:    time.Now().AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, san := range sans {
		if ip := net.ParseIP(san); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else if san != "" {
			t.DNSNames = append(t.DNSNames, san)
		}
	}
	k, err := newKeyPair(t, ca)
	// Who trusts an older root needs the way there.
	if err == nil && len(allCerts(ca.certPEM)) > 1 {
		k.certPEM = append(k.certPEM, ca.certPEM...)
	}
	return k, err
}

func (k *keyPair) tls() tls.Certificate {
	chain := [][]byte{}
	for _, cert := range allCerts(k.certPEM) {
		chain = append(chain, cert.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: k.key, Leaf: k.cert}
}

func (k *keyPair) pool() *x509.CertPool {
	p := x509.NewCertPool()
	for _, cert := range allCerts(k.certPEM) {
		p.AddCert(cert)
	}
	return p
}

// allCerts are the certificates of a bundle, in order.
func allCerts(data []byte) (out []*x509.Certificate) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			out = append(out, cert)
		}
	}
	return
}

// rootsAndOthers sorts a bundle as k3s does: who signed itself is a root.
func rootsAndOthers(certs []*x509.Certificate) (roots, others *x509.CertPool) {
	roots, others = x509.NewCertPool(), x509.NewCertPool()
	for _, cert := range certs {
		if len(cert.AuthorityKeyId) == 0 || bytes.Equal(cert.AuthorityKeyId, cert.SubjectKeyId) {
			roots.AddCert(cert)
		} else {
			others.AddCert(cert)
		}
	}
	return
}

// pki is the folder server/tls of one server.
type pki struct {
	dir string
	cas map[string]*keyPair
}

func (p *pki) path(name, ext string) string { return filepath.Join(p.dir, name+ext) }

func (p *pki) read(name string) (*keyPair, error) {
	cert, err := os.ReadFile(p.path(name, ".crt"))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(p.path(name, ".key"))
	if err != nil {
		return nil, err
	}
	return parseKeyPair(cert, key)
}

func (p *pki) write(name string, k *keyPair) error {
	if err := writeFile(p.path(name, ".crt"), k.certPEM, 0o644); err != nil {
		return err
	}
	return writeFile(p.path(name, ".key"), k.keyPEM, 0o600)
}

// ensureCAs loads the authorities from disk, making those that are missing.
func (p *pki) ensureCAs() error {
	p.cas = map[string]*keyPair{}
	for _, name := range caNames {
		k, err := p.read(name)
		if err != nil {
			if exists(p.path(name, ".crt")) {
				return fmt.Errorf("failed to load %s: %v", p.path(name, ".crt"), err)
			}
			if k, err = newCA(name); err != nil {
				return err
			}
			if err = p.write(name, k); err != nil {
				return err
			}
		}
		p.cas[name] = k
	}
	return nil
}

// ensureLeaf loads or renews one certificate: when it is missing, of another
// authority, lacks a name, or ends soon.
func (p *pki) ensureLeaf(name, ca, cn string, orgs, sans []string) (*keyPair, error) {
	old, err := p.read(name)
	if err == nil && old.cert.CheckSignatureFrom(p.cas[ca].cert) == nil && time.Until(old.cert.NotAfter) > renewWithin && covers(old.cert, sans) {
		return old, nil
	}
	if err == nil {
		// Names once signed stay: other servers may still use them.
		sans = append(sans, old.cert.DNSNames...)
		for _, ip := range old.cert.IPAddresses {
			sans = append(sans, ip.String())
		}
		infof("certificate CN=%s,O=%s signed by CN=%s: notBefore=%s notAfter=%s", cn, strings.Join(orgs, ","), p.cas[ca].cert.Subject.CommonName,
			time.Now().UTC().Format("2006-01-02 15:04:05 +0000 UTC"), time.Now().AddDate(1, 0, 0).UTC().Format("2006-01-02 15:04:05 +0000 UTC"))
	}
	k, err := p.cas[ca].leaf(cn, orgs, uniqueSorted(sans))
	if err != nil {
		return nil, err
	}
	return k, p.write(name, k)
}

func covers(cert *x509.Certificate, sans []string) bool {
	for _, san := range sans {
		if san != "" && cert.VerifyHostname(san) != nil {
			return false
		}
	}
	return true
}

func uniqueSorted(in []string) []string {
	seen, out := map[string]bool{}, []string{}
	for _, s := range in {
		if s != "" && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	sort.Strings(out)
	return out
}

// caHash is the hash in a K10 token: of the server CA's file as it is on disk,
// or, where that is a bundle, of the root that its first certificate leads to.
func caHash(caPEM []byte) string {
	if certs := allCerts(caPEM); len(certs) > 1 {
		roots, others := rootsAndOthers(certs[1:])
		if chains, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: others}); err == nil {
			caPEM = chains[0][len(chains[0])-1].Raw
		}
	}
	sum := sha256.Sum256(caPEM)
	return hex.EncodeToString(sum[:])
}

func parseCert(data []byte) (*x509.Certificate, error) {
	block := firstBlock(data)
	if block == nil {
		return nil, errors.New("no PEM data is found")
	}
	return x509.ParseCertificate(block)
}
