package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"sort"
	"strconv"
	"strings"
	"time"
)

// s3Config is where snapshots are replicated to: the etcd-s3-* settings.
type s3Config struct {
	Endpoint, EndpointCA, AccessKey, SecretKey, Bucket, Region, Folder, ConfigSecret string
	Insecure, SkipVerify                                                             bool
}

// s3Settings are the names that flags, config.yaml and the config Secret share.
var s3Settings = []string{"endpoint", "endpoint-ca", "access-key", "secret-key", "bucket", "region", "folder", "insecure", "skip-ssl-verify", "config-secret"}

// s3From reads the settings by name; nil where S3 is off.
func s3From(setting func(name string) string) *s3Config {
	if on, _ := strconv.ParseBool(setting("etcd-s3")); !on {
		return nil
	}
	of := func(name string) string { return setting("etcd-s3-" + name) }
	c := &s3Config{Endpoint: of("endpoint"), EndpointCA: of("endpoint-ca"), AccessKey: of("access-key"), SecretKey: of("secret-key"),
		Bucket: of("bucket"), Region: of("region"), Folder: of("folder"), ConfigSecret: of("config-secret")}
	c.Insecure, _ = strconv.ParseBool(of("insecure"))
	c.SkipVerify, _ = strconv.ParseBool(of("skip-ssl-verify"))
	return c
}

func (c s3Config) withDefaults() s3Config {
	if c.Endpoint == "" {
		c.Endpoint = "s3.amazonaws.com"
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	return c
}

// resolved is the configuration that counts: the Secret's only where nothing
// else is set, as in k3s.
func (c s3Config) resolved(s *server) (s3Config, error) {
	bare := s3Config{ConfigSecret: c.ConfigSecret}
	if c.ConfigSecret == "" || c != bare {
		if c == bare {
			return c, errors.New("s3 configuration was not set")
		}
		if c.ConfigSecret != "" {
			warnf("Ignoring s3 configuration from etcd-s3-config-secret %q due to existing configuration from CLI or config file", c.ConfigSecret)
		}
		return c.withDefaults(), nil
	}
	if s.api == nil {
		return c, errors.New("cannot use S3 config secret when restoring snapshot; configuration must be set in CLI or config file")
	}
	secret, err := s.api.get(builtin("secrets"), "kube-system", c.ConfigSecret)
	if err != nil {
		return c, fmt.Errorf("failed to get config from etcd-s3-config-secret %q: %w", c.ConfigSecret, err)
	}
	found := s3From(func(name string) string {
		if name == "etcd-s3" {
			return "true"
		}
		return secretText(secret, name)
	})
	found.ConfigSecret = ""
	return found.withDefaults(), nil
}

func (c s3Config) key(name string) string { return strings.TrimPrefix(path.Join(c.Folder, name), "/") }

func (c s3Config) location(name string) string {
	return "s3://" + path.Join(c.Bucket, c.Folder, name)
}

func (c s3Config) client() (*http.Client, error) {
	conf := &tls.Config{InsecureSkipVerify: c.SkipVerify}
	if c.EndpointCA != "" {
		pem, err := os.ReadFile(c.EndpointCA)
		if err != nil {
			if pem, err = base64.StdEncoding.DecodeString(c.EndpointCA); err != nil {
				pem = []byte(c.EndpointCA)
			}
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("no certificates found in etcd-s3-endpoint-ca")
		}
	}
	return &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}, nil
}

// do sends one request, signed (AWS Signature Version 4, path style).
func (c s3Config) do(method, key string, query url.Values, body []byte) ([]byte, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	scheme := "https"
	if c.Insecure {
		scheme = "http"
	}
	u := &url.URL{Scheme: scheme, Host: c.Endpoint, Path: "/" + c.Bucket + "/" + key, RawQuery: strings.ReplaceAll(query.Encode(), "+", "%20")}
	req, err := http.NewRequest(method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	c.sign(req, body, time.Now().UTC())
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		var e struct{ Code, Message string }
		xml.Unmarshal(data, &e)
		return nil, fmt.Errorf("%s %s", res.Status, strings.TrimSpace(e.Code+" "+e.Message))
	}
	return data, nil
}

func (c s3Config) sign(req *http.Request, body []byte, at time.Time) {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	stamp, day := at.Format("20060102T150405Z"), at.Format("20060102")
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("X-Amz-Content-Sha256", hash)
	canonical := strings.Join([]string{req.Method, req.URL.EscapedPath(), req.URL.RawQuery,
		"host:" + req.URL.Host, "x-amz-content-sha256:" + hash, "x-amz-date:" + stamp, "", "host;x-amz-content-sha256;x-amz-date", hash}, "\n")
	scope := day + "/" + c.Region + "/s3/aws4_request"
	hashed := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + c.SecretKey)
	for _, part := range []string{day, c.Region, "s3", "aws4_request", "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hex.EncodeToString(hashed[:])} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=%s", c.AccessKey, scope, hex.EncodeToString(key)))
}

// list names the snapshots in the bucket, oldest first.
func (c s3Config) list() ([]snapshotEntry, error) {
	prefix := ""
	if c.Folder != "" {
		prefix = strings.Trim(c.Folder, "/") + "/"
	}
	data, err := c.do("GET", "", url.Values{"list-type": {"2"}, "prefix": {prefix}}, nil)
	if err != nil {
		return nil, fmt.Errorf("failed to list snapshots in S3: %w", err)
	}
	var found struct {
		Contents []struct {
			Key          string
			Size         int64
			LastModified time.Time
		}
	}
	if err := xml.Unmarshal(data, &found); err != nil {
		return nil, err
	}
	out := []snapshotEntry{}
	for _, o := range found.Contents {
		name := strings.TrimPrefix(o.Key, prefix)
		if strings.Contains(name, "/") {
			continue // k3s keeps metadata of snapshots in a folder beside them
		}
		out = append(out, snapshotEntry{name, c.location(name), o.Size, o.LastModified.UTC()})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Created.Before(out[j].Created) })
	return out, nil
}

func (c s3Config) upload(name string, data []byte) error {
	if _, err := c.do("PUT", c.key(name), nil, data); err != nil {
		return fmt.Errorf("failed to upload snapshot %s to S3: %w", name, err)
	}
	return nil
}

// fetch gets the snapshot of a restore into a folder.
func (c s3Config) fetch(name, dir string) (string, error) {
	data, err := c.do("GET", c.key(name), nil, nil)
	if err != nil {
		return "", fmt.Errorf("failed to download snapshot from S3: %w", err)
	}
	file := path.Join(dir, name)
	return file, writeFile(file, data, 0o600)
}
