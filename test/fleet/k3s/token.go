package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// token is what joins a node to a cluster: K10<hash of the CA>::<user>:<password>,
// the password alone, or a bootstrap token abcdef.0123456789abcdef.
type token struct {
	caHash   string // "" in the short form: any CA is trusted
	user     string
	password string
	bearer   string // a bootstrap token, instead of user and password
}

var bootstrapToken = regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`)

// parseToken reads any form; defaultUser is who a bare password speaks for.
func parseToken(s, defaultUser string) (token, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return token{}, errors.New("token must not be empty")
	}
	t := token{user: defaultUser}
	if strings.HasPrefix(s, "K10") {
		hash, credentials, ok := strings.Cut(s[3:], "::")
		if !ok || len(hash) != 64 {
			return token{}, errors.New("invalid token format")
		}
		t.caHash, s = hash, credentials
		if user, password, ok := strings.Cut(s, ":"); ok {
			t.user, s = user, password
		}
	}
	if bootstrapToken.MatchString(s) {
		t.bearer, t.user = s, ""
		return t, nil
	}
	if s == "" {
		return token{}, errors.New("invalid token format")
	}
	t.password = s
	return t, nil
}

func formatToken(hash, user, password string) string {
	return fmt.Sprintf("K10%s::%s:%s\n", hash, user, password)
}

// readTokenOption takes a token from a flag, or from the file another flag names.
func readTokenOption(o *options, name string) (string, error) {
	if v := o.str(name); v != "" {
		return strings.TrimSpace(v), nil
	}
	if file := o.str(name + "-file"); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		return strings.TrimSpace(string(data)), nil
	}
	return "", nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return hex.EncodeToString(b)
}
