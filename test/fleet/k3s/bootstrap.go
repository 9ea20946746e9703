package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Bootstrap data: the authorities of a cluster, kept in the datastore and
// encrypted with the server token. A server with another token cannot read it,
// and must not start.

var errOtherToken = errors.New("bootstrap data already found and encrypted with different token")

const bootstrapPrefix = "/bootstrap/"

// bootstrapKey names the entry by a fingerprint of the password.
func bootstrapKey(password string) string {
	sum := sha256.Sum256([]byte(password))
	return bootstrapPrefix + hex.EncodeToString(sum[:])[:12]
}

// bootstrapFiles are the files below server/ that all servers share.
func (p *pki) bootstrapFiles() map[string]string {
	files := map[string]string{}
	for _, name := range append(append([]string{}, caNames...), "service") {
		for _, ext := range []string{".crt", ".key"} {
			if data, err := os.ReadFile(p.path(name, ext)); err == nil {
				files[name+ext] = string(data)
			}
		}
	}
	for _, shared := range sharedFiles {
		if data, err := os.ReadFile(filepath.Join(p.dir, "..", shared)); err == nil {
			files["../"+shared] = string(data)
		}
	}
	return files
}

// sharedFiles belong to the cluster too, beside the authorities.
var sharedFiles = []string{"cred/encryption-config.json", "cred/encryption-state.json", "cred/ipsec.psk"}

func (p *pki) writeBootstrapFiles(files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(p.dir, name)
		old, err := os.ReadFile(path)
		if err == nil && string(old) == text {
			continue
		}
		if err == nil {
			warnf("Updating %s from datastore", path)
		}
		mode := os.FileMode(0o600)
		if strings.HasSuffix(name, ".crt") {
			mode = 0o644
		}
		if err := writeFile(path, []byte(text), mode); err != nil {
			return err
		}
	}
	return nil
}

func (p *pki) seal(password string) (json.RawMessage, error) {
	return sealFiles(p.bootstrapFiles(), password)
}

func sealFiles(files map[string]string, password string) (json.RawMessage, error) {
	plain, err := json.Marshal(files)
	if err != nil {
		return nil, err
	}
	salt := make([]byte, 12)
	rand.Read(salt)
	gcm, err := passwordCipher(password, salt)
	if err != nil {
		return nil, err
	}
	return json.Marshal(append(salt, gcm.Seal(nil, salt, plain, nil)...))
}

func unseal(password string, value json.RawMessage) (map[string]string, error) {
	var data []byte
	if err := json.Unmarshal(value, &data); err != nil || len(data) < 12 {
		return nil, errOtherToken
	}
	gcm, err := passwordCipher(password, data[:12])
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, data[:12], data[12:], nil)
	if err != nil {
		return nil, errOtherToken
	}
	var files map[string]string
	return files, json.Unmarshal(plain, &files)
}

func passwordCipher(password string, salt []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(pbkdf2(password, salt, 4096))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// pbkdf2 is PBKDF2-HMAC-SHA256 with one block of output: the standard library has none.
func pbkdf2(password string, salt []byte, rounds int) []byte {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write(salt)
	mac.Write(binary.BigEndian.AppendUint32(nil, 1))
	u := mac.Sum(nil)
	out := append([]byte(nil), u...)
	for i := 1; i < rounds; i++ {
		mac.Reset()
		mac.Write(u)
		u = mac.Sum(u[:0])
		for j := range out {
			out[j] ^= u[j]
		}
	}
	return out
}

// findBootstrap looks for the cluster's data among datastore keys. found is
// false in a datastore that no cluster uses yet.
func findBootstrap(keys []record, password string) (files map[string]string, found bool, err error) {
	mine := bootstrapKey(password)
	other := false
	for _, rec := range keys {
		if rec.Key == mine {
			files, err = unseal(password, rec.Value)
			return files, true, err
		}
		other = other || strings.HasPrefix(rec.Key, bootstrapPrefix)
	}
	if other {
		return nil, true, errOtherToken
	}
	return nil, false, nil
}
