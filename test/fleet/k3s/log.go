package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	logMu    sync.Mutex
	debugLog bool
)

// logLine writes one line in the form k3s logs in when it is not on a terminal.
func logLine(level, format string, a ...any) {
	msg := format
	if len(a) > 0 {
		msg = fmt.Sprintf(format, a...)
	}
	logMu.Lock()
	defer logMu.Unlock()
	fmt.Fprintf(os.Stderr, "time=%q level=%s msg=%s\n", time.Now().UTC().Format(time.RFC3339), level, quoteMsg(msg))
}

// quoteMsg quotes a message as logrus does: only when it needs quotes.
func quoteMsg(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._/@^+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return strconv.Quote(s)
}

func infof(format string, a ...any)  { logLine("info", format, a...) }
func warnf(format string, a ...any)  { logLine("warning", format, a...) }
func errorf(format string, a ...any) { logLine("error", format, a...) }

func debugf(format string, a ...any) {
	if debugLog {
		logLine("debug", format, a...)
	}
}

// fatalf logs and ends the process: most errors of k3s end that way, and systemd restarts it.
func fatalf(format string, a ...any) {
	logLine("fatal", format, a...)
	os.Exit(1)
}

// etcdLog writes a line as the embedded etcd of k3s does: JSON, not logrus.
func etcdLog(level, msg, errText string) {
	logMu.Lock()
	defer logMu.Unlock()
	fmt.Fprintf(os.Stderr, "{\"level\":%q,\"ts\":%q,\"caller\":\"etcdserver/server.go:1150\",\"msg\":%q", level, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z0700"), msg)
	if errText != "" {
		fmt.Fprintf(os.Stderr, ",\"error\":%q", errText)
	}
	fmt.Fprintln(os.Stderr, "}")
}
