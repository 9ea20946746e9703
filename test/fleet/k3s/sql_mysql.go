package main

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// myConn is a MySQL or MariaDB connection that knows text queries and
// mysql_native_password.
type myConn struct {
	conn net.Conn
	r    *bufio.Reader
	seq  byte
}

// dialMySQL reads mysql://user:password@tcp(host:3306)/database, as k3s takes it.
func dialMySQL(endpoint string, files databaseTLS) (*myConn, error) {
	dsn := strings.TrimPrefix(endpoint, "mysql://")
	dsn, params, _ := strings.Cut(dsn, "?")
	at := strings.LastIndex(dsn, "@")
	user, password := "root", ""
	if at >= 0 {
		user, password, _ = strings.Cut(dsn[:at], ":")
	}
	rest := dsn[at+1:]
	address, database, _ := strings.Cut(rest, "/")
	network := "tcp"
	if i := strings.IndexByte(address, '('); i >= 0 && strings.HasSuffix(address, ")") {
		network, address = address[:i], address[i+1:len(address)-1]
	} else if strings.HasPrefix(rest, "unix(") {
		network = "unix"
		path, db, _ := strings.Cut(rest[5:], ")/")
		address, database = path, db
	} else if address != "" {
		return nil, fmt.Errorf("default addr for network '%s' unknown", address)
	}
	if address == "" {
		address = "127.0.0.1:3306"
	}
	if network == "tcp" && !strings.Contains(address, ":") {
		address += ":3306"
	}
	if database == "" {
		database = "kubernetes"
	}
	conn, err := net.DialTimeout(network, address, 3*time.Second)
	if err != nil {
		return nil, err
	}
	c := &myConn{conn: conn, r: bufio.NewReader(conn)}
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	cfg, err := files.config()
	if err == nil && cfg == nil && strings.Contains(params, "tls=") && !strings.Contains(params, "tls=false") {
		cfg = &tls.Config{InsecureSkipVerify: true}
	}
	if err == nil {
		if cfg != nil {
			cfg.ServerName, _, _ = net.SplitHostPort(address)
		}
		err = c.handshake(user, password, cfg)
	}
	if err == nil {
		_, err = c.query("CREATE DATABASE IF NOT EXISTS `" + database + "`")
		// A user without that right may still use a database that is there.
		if _, err2 := c.query("USE `" + database + "`"); err2 == nil {
			err = nil
		} else if err == nil {
			err = err2
		}
	}
	if err == nil {
		_, err = c.query("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', NAMES utf8mb4")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *myConn) readPacket() ([]byte, error) {
	var out []byte
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c.r, head); err != nil {
			return nil, err
		}
		size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
		c.seq = head[3] + 1
		part := make([]byte, size)
		if _, err := io.ReadFull(c.r, part); err != nil {
			return nil, err
		}
		if out = append(out, part...); size < 0xffffff {
			return out, nil
		}
	}
}

func (c *myConn) writePacket(body []byte) error {
	head := []byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), c.seq}
	c.seq++
	_, err := c.conn.Write(append(head, body...))
	return err
}

func myError(p []byte) error {
	if len(p) < 9 {
		return errors.New("mysql: malformed error")
	}
	code := binary.LittleEndian.Uint16(p[1:])
	if code == 1062 {
		return errDuplicateRow
	}
	return &sqlError{fmt.Sprint(code), fmt.Sprintf("Error %d: %s", code, p[9:])}
}

const (
	myLongPassword = 1 << 0
	myProtocol41   = 1 << 9
	mySSL          = 1 << 11
	myTransactions = 1 << 13
	mySecure       = 1 << 15
	myPluginAuth   = 1 << 19
)

func (c *myConn) handshake(user, password string, cfg *tls.Config) error {
	p, err := c.readPacket()
	if err != nil {
		return err
	}
	if p[0] == 0xff {
		return myError(p)
	}
	i := 1
	for p[i] != 0 { // the server's version
		i++
	}
	i += 5 // and its thread id
	salt := append([]byte{}, p[i:i+8]...)
	serverCaps := uint32(binary.LittleEndian.Uint16(p[i+9:]))
	salt = append(salt, p[i+27:i+39]...)
	caps := uint32(myLongPassword | myProtocol41 | myTransactions | mySecure | myPluginAuth)
	head := func() []byte {
		b := binary.LittleEndian.AppendUint32(nil, caps)
		b = binary.LittleEndian.AppendUint32(b, 1<<24)
		return append(append(b, 45), make([]byte, 23)...)
	}
	if cfg != nil {
		if serverCaps&mySSL == 0 {
			return errors.New("TLS requested but server does not support TLS")
		}
		caps |= mySSL
		if err := c.writePacket(head()); err != nil {
			return err
		}
		secure := tls.Client(c.conn, cfg)
		c.conn, c.r = secure, bufio.NewReader(secure)
	}
	auth := nativePassword(password, salt)
	b := append(head(), user...)
	b = append(b, 0, byte(len(auth)))
	b = append(b, auth...)
	b = append(b, "mysql_native_password\x00"...)
	if err := c.writePacket(b); err != nil {
		return err
	}
	for {
		p, err := c.readPacket()
		if err != nil {
			return err
		}
		switch p[0] {
		case 0:
			return nil
		case 0xff:
			return myError(p)
		case 0xfe:
			parts := strings.SplitN(string(p[1:]), "\x00", 2)
			if parts[0] != "mysql_native_password" || len(parts) < 2 {
				return fmt.Errorf("mysql: the stand-in does not know %s", parts[0])
			}
			if err := c.writePacket(nativePassword(password, []byte(parts[1])[:20])); err != nil {
				return err
			}
		default:
			return errors.New("mysql: unexpected answer to the handshake")
		}
	}
}

func nativePassword(password string, salt []byte) []byte {
	if password == "" {
		return nil
	}
	one := sha1.Sum([]byte(password))
	two := sha1.Sum(one[:])
	three := sha1.Sum(append(append([]byte{}, salt[:20]...), two[:]...))
	for i := range three {
		three[i] ^= one[i]
	}
	return three[:]
}

func (c *myConn) query(sql string) (rows [][]string, err error) {
	c.conn.SetDeadline(time.Now().Add(5 * time.Second))
	c.seq = 0
	if err := c.writePacket(append([]byte{3}, sql...)); err != nil {
		return nil, err
	}
	p, err := c.readPacket()
	if err != nil {
		return nil, err
	}
	switch p[0] {
	case 0:
		return nil, nil
	case 0xff:
		return nil, myError(p)
	}
	// Column definitions, an end mark, rows, an end mark.
	for marks := 0; marks < 2; {
		p, err := c.readPacket()
		switch {
		case err != nil:
			return nil, err
		case p[0] == 0xff:
			return nil, myError(p)
		case p[0] == 0xfe && len(p) < 9:
			marks++
		case marks == 1:
			var row []string
			for len(p) > 0 {
				var field string
				field, p = lengthString(p)
				row = append(row, field)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// lengthString reads one text that is led by its length; NULL reads as "".
func lengthString(p []byte) (string, []byte) {
	n, skip := uint64(p[0]), 1
	switch p[0] {
	case 0xfb:
		return "", p[1:]
	case 0xfc:
		n, skip = uint64(binary.LittleEndian.Uint16(p[1:])), 3
	case 0xfd:
		n, skip = uint64(p[1])|uint64(p[2])<<8|uint64(p[3])<<16, 4
	case 0xfe:
		n, skip = binary.LittleEndian.Uint64(p[1:]), 9
	}
	return string(p[skip : skip+int(n)]), p[skip+int(n):]
}

// quote relies on NO_BACKSLASH_ESCAPES, set when the connection was made.
func (c *myConn) quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// insert holds a named lock while its row becomes visible.
func (c *myConn) insert(sql string) (id int64, err error) {
	if _, err := c.query("SELECT GET_LOCK('k3s-stand-in', 4)"); err != nil {
		return 0, err
	}
	defer func() {
		if _, err2 := c.query("SELECT RELEASE_LOCK('k3s-stand-in')"); err == nil {
			err = err2
		}
	}()
	if _, err := c.query(sql); err != nil {
		return 0, err
	}
	rows, err := c.query("SELECT LAST_INSERT_ID()")
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(rows[0][0], &id)
	return id, err
}

func (c *myConn) schema() []string {
	return []string{
		"CREATE TABLE IF NOT EXISTS kine (id BIGINT UNSIGNED AUTO_INCREMENT, name VARCHAR(630) CHARACTER SET ascii, created INTEGER, deleted INTEGER, create_revision BIGINT UNSIGNED, prev_revision BIGINT UNSIGNED, lease INTEGER, value MEDIUMBLOB, old_value MEDIUMBLOB, PRIMARY KEY (id))",
		"CREATE INDEX kine_name_index ON kine (name)",
		"CREATE UNIQUE INDEX kine_name_prev_revision_uindex ON kine (name, prev_revision)",
	}
}

func (c *myConn) close() { c.conn.Close() }
