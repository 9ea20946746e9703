package main

import (
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// The stand-in's own knobs. None of them exists in k3s; README.md lists them.
var (
	// rootPrefix moves every absolute path (/etc/rancher, /var/lib/rancher …)
	// below a folder, so that several nodes can run on one machine.
	rootPrefix = os.Getenv("K3S_STANDIN_ROOT")
	// promoteAfter is how long a learner stays one before it becomes a voter.
	promoteAfter = knob("K3S_STANDIN_PROMOTE_SECONDS", 2.5)
	// quorumGrace is how long a running server outlives a lost quorum.
	quorumGrace = knob("K3S_STANDIN_QUORUM_GRACE_SECONDS", 60)
	// nodeGrace is how long a silent kubelet's node stays Ready.
	nodeGrace = knob("K3S_STANDIN_NODE_GRACE_SECONDS", 10)
	// heartbeatEvery is the pace of a kubelet's heartbeats.
	heartbeatEvery = knob("K3S_STANDIN_HEARTBEAT_SECONDS", 2.5)
	// startDelay is added before a server or agent does anything: slow hardware.
	startDelay = knob("K3S_STANDIN_START_DELAY_SECONDS", 0)
	// podStopAfter is how long an evicted pod takes to end.
	podStopAfter = knob("K3S_STANDIN_POD_STOP_SECONDS", 1)
)

func knob(name string, seconds float64) time.Duration {
	if v, err := strconv.ParseFloat(os.Getenv(name), 64); err == nil && v >= 0 {
		seconds = v
	}
	return time.Duration(seconds * float64(time.Second))
}

// rooted puts an absolute path below K3S_STANDIN_ROOT.
func rooted(path string) string {
	if rootPrefix == "" || path == "" || path[0] != '/' {
		return path
	}
	return filepath.Join(rootPrefix, path)
}

// writeFile writes a file whole or not at all, and makes its folder.
func writeFile(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp := path + ".tmp" + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(tmp, data, mode); err != nil {
		return err
	}
	if err := os.Chmod(tmp, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
