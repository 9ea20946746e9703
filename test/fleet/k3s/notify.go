package main

import (
	"net"
	"os"
	"sync"
)

var notifyOnce sync.Once

// notifyReady tells systemd (Type=notify) that the service is up. k3s sends it
// once, when it is really ready; until then "systemctl start" waits.
func notifyReady() {
	notifyOnce.Do(func() {
		addr := os.Getenv("NOTIFY_SOCKET")
		if addr == "" {
			return
		}
		if addr[0] == '@' {
			addr = "\x00" + addr[1:]
		}
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: addr, Net: "unixgram"})
		if err != nil {
			warnf("failed to notify systemd: %v", err)
			return
		}
		defer conn.Close()
		conn.Write([]byte("READY=1\n"))
	})
}
