package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// supervisorClient speaks with a server before there is a client certificate.
type supervisorClient struct {
	base   string // https://host:6443
	token  token
	caPEM  []byte
	dial   func(ctx context.Context, network, addr string) (net.Conn, error) // nil: directly
	client *http.Client
	warned bool
}

// trust fetches the CA and checks it against the token; then checks the token.
func (c *supervisorClient) trust() error {
	insecure := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: c.dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := insecure.Get(c.base + "/cacerts")
	if err != nil {
		return fmt.Errorf("failed to get CA certs: %w", err)
	}
	defer resp.Body.Close()
	ca, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("failed to get CA certs: %w", err)
	}
	if resp.StatusCode != 200 {
		return fmt.Errorf("failed to get CA certs: %s", resp.Status)
	}
	if c.token.caHash == "" {
		if !c.warned {
			warnf("Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. Use the full token from the server's node-token file to enable Cluster CA validation.")
			c.warned = true
		}
	} else if hash := caHash(ca); hash != c.token.caHash {
		return fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", c.token.caHash, hash)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return errors.New("failed to get CA certs: no certificates in the answer")
	}
	c.caPEM = ca
	c.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: c.dial, IdleConnTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: verifyChain(pool)}}}
	_, err = c.get("/v1-k3s/config", nil)
	return err
}

// verifyChain checks who signed a certificate and not its name: agents reach
// servers through names and addresses the certificate need not carry.
func verifyChain(pool *x509.CertPool) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		others := x509.NewCertPool()
		for _, cert := range cs.PeerCertificates[1:] {
			others.AddCert(cert)
		}
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: others, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err
	}
}

func (c *supervisorClient) get(path string, header map[string]string) ([]byte, error) {
	return c.do("GET", path, header, nil)
}

func (c *supervisorClient) do(method, path string, header map[string]string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequest(method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.token.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.token.bearer)
	} else if c.token.password != "" {
		req.SetBasicAuth(c.token.user, c.token.password)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == 401:
		return nil, errors.New("not authorized")
	case resp.StatusCode >= 300:
		var status struct{ Message string }
		if json.Unmarshal(data, &status) == nil && status.Message != "" && resp.StatusCode != 400 {
			return nil, errors.New(status.Message)
		}
		return nil, fmt.Errorf("%s%s: %s", c.base, strings.Split(path, "?")[0], resp.Status)
	}
	return data, nil
}

func (c *supervisorClient) getJSON(path string, out any) error {
	data, err := c.get(path, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}
