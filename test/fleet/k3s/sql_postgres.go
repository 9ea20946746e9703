package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

// pgConn is a PostgreSQL connection that knows simple queries and the
// passwords "trust", "password", md5 and SCRAM-SHA-256.
type pgConn struct {
	conn net.Conn
	r    *bufio.Reader
}

func dialPostgres(endpoint string, files databaseTLS) (*pgConn, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	host, port := u.Hostname(), u.Port()
	if host == "" {
		host = "localhost"
	}
	if port == "" {
		port = "5432"
	}
	user := u.User.Username()
	if user == "" {
		user = "postgres"
	}
	password, _ := u.User.Password()
	database := strings.TrimPrefix(u.Path, "/")
	if database == "" {
		database = "kubernetes"
	}
	c, err := pgConnect(host, port, user, password, database, u.Query().Get("sslmode"), files)
	var reported *sqlError
	if errors.As(err, &reported) && reported.code == "3D000" {
		// kine makes its database where there is none.
		admin, err2 := pgConnect(host, port, user, password, "postgres", u.Query().Get("sslmode"), files)
		if err2 != nil {
			return nil, err
		}
		defer admin.close()
		if _, err2 := admin.query(`CREATE DATABASE "` + strings.ReplaceAll(database, `"`, `""`) + `"`); err2 != nil && !strings.Contains(err2.Error(), "exists") {
			return nil, err2
		}
		return pgConnect(host, port, user, password, database, u.Query().Get("sslmode"), files)
	}
	return c, err
}

func pgConnect(host, port, user, password, database, sslmode string, files databaseTLS) (*pgConn, error) {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), 3*time.Second)
	if err != nil {
		return nil, err
	}
	if conn, err = pgTLS(conn, host, sslmode, files); err != nil {
		return nil, err
	}
	c := &pgConn{conn, bufio.NewReader(conn)}
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	hello := binary.BigEndian.AppendUint32(nil, 196608)
	hello = append(hello, "user\x00"+user+"\x00database\x00"+database+"\x00\x00"...)
	if err = c.send(0, hello); err == nil {
		err = c.authenticate(user, password)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// pgTLS asks for TLS and goes on without where the server has none and the mode allows it.
func pgTLS(conn net.Conn, host, mode string, files databaseTLS) (net.Conn, error) {
	if mode == "disable" {
		return conn, nil
	}
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		return nil, err
	}
	answer := make([]byte, 1)
	conn.SetDeadline(time.Now().Add(3 * time.Second))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	if answer[0] != 'S' {
		if mode == "" || mode == "prefer" || mode == "allow" {
			return conn, nil
		}
		return nil, errors.New("pq: SSL is not enabled on the server")
	}
	cfg, err := files.config()
	if err != nil {
		return nil, err
	}
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg.ServerName = host
	cfg.InsecureSkipVerify = mode != "verify-full" && mode != "verify-ca"
	return tls.Client(conn, cfg), nil
}

func (c *pgConn) send(kind byte, body []byte) error {
	var msg []byte
	if kind != 0 {
		msg = append(msg, kind)
	}
	msg = binary.BigEndian.AppendUint32(msg, uint32(len(body)+4))
	_, err := c.conn.Write(append(msg, body...))
	return err
}

func (c *pgConn) receive() (byte, []byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(c.r, head); err != nil {
		return 0, nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err := io.ReadFull(c.r, body)
	return head[0], body, err
}

// pgError reads an ErrorResponse.
func pgError(body []byte) error {
	e := &sqlError{}
	for _, f := range bytes.Split(body, []byte{0}) {
		if len(f) > 1 && f[0] == 'C' {
			e.code = string(f[1:])
		} else if len(f) > 1 && f[0] == 'M' {
			e.message = "pq: " + string(f[1:])
		}
	}
	if e.code == "23505" {
		return errDuplicateRow
	}
	return e
}

func (c *pgConn) authenticate(user, password string) error {
	var scram *scramClient
	for {
		kind, body, err := c.receive()
		if err != nil {
			return err
		}
		switch kind {
		case 'E':
			return pgError(body)
		case 'Z':
			return nil
		case 'R':
			switch binary.BigEndian.Uint32(body) {
			case 0:
			case 3:
				err = c.send('p', append([]byte(password), 0))
			case 5:
				inner := md5.Sum([]byte(password + user))
				outer := md5.Sum(append([]byte(hex.EncodeToString(inner[:])), body[4:8]...))
				err = c.send('p', append([]byte("md5"+hex.EncodeToString(outer[:])), 0))
			case 10:
				scram = &scramClient{password: password, nonce: randomHex(12)}
				first := []byte("n,," + scram.first())
				msg := append([]byte("SCRAM-SHA-256\x00"), binary.BigEndian.AppendUint32(nil, uint32(len(first)))...)
				err = c.send('p', append(msg, first...))
			case 11:
				var final string
				if final, err = scram.final(string(body[4:])); err == nil {
					err = c.send('p', []byte(final))
				}
			case 12:
			default:
				err = errors.New("postgres: this way to authenticate is not known to the stand-in")
			}
			if err != nil {
				return err
			}
		}
	}
}

// scramClient is the client's part of SCRAM-SHA-256.
type scramClient struct{ password, nonce string }

func (s *scramClient) first() string { return "n=,r=" + s.nonce }

func (s *scramClient) final(challenge string) (string, error) {
	f := map[string]string{}
	for _, part := range strings.Split(challenge, ",") {
		if k, v, ok := strings.Cut(part, "="); ok {
			f[k] = v
		}
	}
	salt, err := base64.StdEncoding.DecodeString(f["s"])
	if err != nil || !strings.HasPrefix(f["r"], s.nonce) {
		return "", errors.New("postgres: bad SCRAM challenge")
	}
	rounds := 0
	fmt.Sscan(f["i"], &rounds)
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	salted := pbkdf2(s.password, salt, rounds)
	clientKey := mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	withoutProof := "c=biws,r=" + f["r"]
	signature := mac(stored[:], s.first()+","+challenge+","+withoutProof)
	for i := range clientKey {
		clientKey[i] ^= signature[i]
	}
	return withoutProof + ",p=" + base64.StdEncoding.EncodeToString(clientKey), nil
}

func (c *pgConn) query(sql string) (rows [][]string, err error) {
	c.conn.SetDeadline(time.Now().Add(5 * time.Second))
	if err := c.send('Q', append([]byte(sql), 0)); err != nil {
		return nil, err
	}
	var failed error
	for {
		kind, body, err := c.receive()
		if err != nil {
			return nil, err
		}
		switch kind {
		case 'D':
			n := int(binary.BigEndian.Uint16(body))
			body = body[2:]
			row := make([]string, n)
			for i := range row {
				size := int32(binary.BigEndian.Uint32(body))
				body = body[4:]
				if size > 0 {
					row[i] = string(body[:size])
					body = body[size:]
				}
			}
			rows = append(rows, row)
		case 'E':
			failed = pgError(body)
		case 'Z':
			return rows, failed
		}
	}
}

func (c *pgConn) quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// insert holds the table for the length of one implicit transaction.
func (c *pgConn) insert(sql string) (id int64, err error) {
	rows, err := c.query("LOCK TABLE kine IN EXCLUSIVE MODE; " + sql + " RETURNING id")
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 {
		return 0, errors.New("postgres: no id came back")
	}
	_, err = fmt.Sscan(rows[0][0], &id)
	return id, err
}

func (c *pgConn) schema() []string {
	return []string{
		"SET standard_conforming_strings = on",
		"CREATE TABLE IF NOT EXISTS kine (id BIGSERIAL PRIMARY KEY, name TEXT, created INTEGER, deleted INTEGER, create_revision BIGINT, prev_revision BIGINT, lease INTEGER, value TEXT, old_value TEXT)",
		"CREATE INDEX IF NOT EXISTS kine_name_index ON kine (name)",
		"CREATE UNIQUE INDEX IF NOT EXISTS kine_name_prev_revision_uindex ON kine (name, prev_revision)",
	}
}

func (c *pgConn) close() { c.conn.Close() }
