package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lab runs nodes as processes in network namespaces of one switch. It needs
// root, ip(8) and a real kubectl; where one is missing its tests are skipped.
type lab struct {
	t      *testing.T
	dir    string
	bin    string
	prefix string
	procs  map[int]*exec.Cmd
}

func newLab(t *testing.T, nodes int) *lab {
	if os.Getuid() != 0 || realKubectl() == "" {
		t.Skip("needs root and a real kubectl")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip(8)")
	}
	l := &lab{t: t, dir: t.TempDir(), prefix: fmt.Sprintf("k3st%d-", os.Getpid()%10000), procs: map[int]*exec.Cmd{}}
	l.bin = filepath.Join(l.dir, "k3s")
	build := exec.Command("go", "build", "-trimpath", "-o", l.bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The switch lives in a namespace of its own: the host's firewall has no say there.
	sw := l.prefix + "sw"
	l.ip("netns add " + sw)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", sw).Run() })
	l.ip("-n " + sw + " link add br0 type bridge")
	l.ip("-n " + sw + " link set br0 up")
	for i := 1; i <= nodes; i++ {
		ns := l.ns(i)
		l.ip("netns add " + ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		l.ip(fmt.Sprintf("link add p%d netns %s type veth peer name eth0 netns %s", i, sw, ns))
		l.ip(fmt.Sprintf("-n %s link set p%d master br0 up", sw, i))
		l.ip(fmt.Sprintf("-n %s addr add 10.99.1.%d/24 dev eth0", ns, i))
		l.ip("-n " + ns + " link set eth0 up")
		l.ip("-n " + ns + " link set lo up")
	}
	t.Cleanup(func() {
		for i := range l.procs {
			l.stop(i, syscall.SIGKILL)
		}
		if t.Failed() {
			for i := 1; i <= nodes; i++ {
				log, _ := os.ReadFile(l.log(i))
				t.Logf("log of node %d:\n%s", i, log)
			}
		}
	})
	return l
}

func (l *lab) ns(i int) string     { return fmt.Sprintf("%sn%d", l.prefix, i) }
func (l *lab) root(i int) string   { return filepath.Join(l.dir, fmt.Sprint("n", i)) }
func (l *lab) log(i int) string    { return l.root(i) + ".log" }
func (l *lab) server(i int) string { return l.root(i) + "/var/lib/rancher/k3s/server" }

func (l *lab) ip(args string) {
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		l.t.Fatalf("ip %s: %v %s", args, err, out)
	}
}

// start runs "k3s ARGS" on a node; what it logs is kept.
func (l *lab) start(i int, args string) {
	l.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.ns(i), l.bin}, strings.Fields(args+fmt.Sprintf(" --node-name n%d", i))...)...)
	cmd.Env = append(os.Environ(), "K3S_STANDIN_ROOT="+l.root(i), "K3S_STANDIN_PROMOTE_SECONDS=1", "K3S_STANDIN_NODE_GRACE_SECONDS=4")
	out, err := os.OpenFile(l.log(i), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		l.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.procs[i] = cmd
}

func (l *lab) stop(i int, sig syscall.Signal) {
	l.procs[i].Process.Signal(syscall.SIGCONT)
	l.procs[i].Process.Signal(sig)
	l.procs[i].Wait()
	delete(l.procs, i)
}

func (l *lab) kubectl(i int, args string) (string, error) {
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.ns(i), l.bin, "kubectl", "--request-timeout=6s"}, strings.Fields(args)...)...)
	cmd.Env = append(os.Environ(), "K3S_STANDIN_ROOT="+l.root(i), "KUBECONFIG=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// within waits until something holds.
func (l *lab) within(d time.Duration, what string, holds func() bool) {
	l.t.Helper()
	for end := time.Now().Add(d); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("not within %v: %s", d, what)
		}
	}
}

func (l *lab) ready(i int) bool {
	out, err := l.kubectl(i, "get --raw /readyz")
	return err == nil && strings.TrimSpace(out) == "ok"
}

func (l *lab) voter(asked, i int) bool {
	out, _ := l.kubectl(asked, fmt.Sprintf(`get node n%d -o jsonpath={.status.conditions[?(@.type=="EtcdIsVoter")].status}`, i))
	return out == "True"
}

func (l *lab) logged(i int, text string) bool {
	data, _ := os.ReadFile(l.log(i))
	return bytes.Contains(data, []byte(text))
}

// TestThreeServers: joining one by one, quorum lost and found, wrong token,
// a wiped server, removal of a member.
func TestThreeServers(t *testing.T) {
	l := newLab(t, 4)
	join := "server --token secret --server https://10.99.1.1:6443"
	l.start(1, "server --token secret --cluster-init")
	l.within(15*time.Second, "n1 ready", func() bool { return l.ready(1) })
	l.start(2, join)
	l.start(3, join)
	l.within(30*time.Second, "both others are voters", func() bool { return l.voter(1, 2) && l.voter(1, 3) })
	if !l.logged(2, "too many learner members in cluster") && !l.logged(3, "too many learner members in cluster") {
		t.Error("two learners at once")
	}
	l.start(4, "agent --token wrong --server https://10.99.1.1:6443")
	l.within(10*time.Second, "n4 refused", func() bool { return l.logged(4, "Failed to validate connection to cluster at https://10.99.1.1:6443") })

	// Two of three gone: nothing may be written.
	l.stop(1, syscall.SIGKILL)
	l.stop(2, syscall.SIGKILL)
	l.within(10*time.Second, "n3 not ready", func() bool { return !l.ready(3) })
	if out, err := l.kubectl(3, "create namespace lost"); err == nil {
		t.Errorf("written without a quorum: %s", out)
	}
	l.start(2, join)
	l.within(15*time.Second, "quorum back", func() bool { return l.ready(3) && l.ready(2) })
	l.start(1, "server --token secret --cluster-init")
	l.within(15*time.Second, "n1 back in the same cluster", func() bool { return l.ready(1) && l.voter(1, 3) })

	// Another token, and a wiped disk.
	l.stop(2, syscall.SIGTERM)
	l.start(2, "server --token other --server https://10.99.1.1:6443")
	l.within(5*time.Second, "n2 refused", func() bool { return l.logged(2, "bootstrap data already found and encrypted with different token") })
	os.RemoveAll(l.root(2))
	l.start(2, join)
	l.within(5*time.Second, "n2 refused", func() bool { return l.logged(2, "duplicate node name found") })
	if out, err := l.kubectl(1, "delete node n2"); err != nil {
		t.Fatal(out)
	}
	l.start(2, join)
	l.within(20*time.Second, "n2 is a voter again", func() bool { return l.voter(1, 2) })

	// A removed member that runs stops and drops its data.
	if out, err := l.kubectl(1, "delete node n3"); err != nil {
		t.Fatal(out)
	}
	l.within(10*time.Second, "n3 stopped", func() bool { return l.logged(3, "removed from the cluster") && !exists(l.server(3)+"/db/etcd/member") })
}

// TestSingleServer: an agent, a drain that a budget blocks, the migration to etcd.
func TestSingleServer(t *testing.T) {
	l := newLab(t, 2)
	l.start(1, "server --token secret")
	l.within(15*time.Second, "n1 ready", func() bool { return l.ready(1) })
	l.start(2, "agent --token secret --server https://10.99.1.1:6443 --node-label tier=web")
	manifest := `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: default}, spec: {replicas: 2, selector: {matchLabels: {app: web}},
  template: {metadata: {labels: {app: web}}, spec: {nodeSelector: {tier: web}, containers: [{name: c, image: i}]}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web, namespace: default}, spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}}
`
	if err := os.WriteFile(l.server(1)+"/manifests/web.yaml", []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	l.within(20*time.Second, "both pods run", func() bool {
		out, _ := l.kubectl(1, "get deployment web -o jsonpath={.status.readyReplicas}")
		return out == "2"
	})
	if out, err := l.kubectl(1, "drain n2 --ignore-daemonsets --timeout=3s"); err == nil || !strings.Contains(out, "violate the pod's disruption budget") {
		t.Errorf("the budget did not block: %s", out)
	}
	l.kubectl(1, "delete pdb web")
	if out, err := l.kubectl(1, "drain n2 --ignore-daemonsets --timeout=15s"); err != nil {
		t.Errorf("drain: %s", out)
	}
	l.stop(1, syscall.SIGTERM)
	l.start(1, "server --token secret --cluster-init")
	l.within(15*time.Second, "etcd with the old data", func() bool {
		out, _ := l.kubectl(1, "get nodes")
		return strings.Contains(out, "SchedulingDisabled") && strings.Contains(out, "control-plane,etcd")
	})
	l.stop(2, syscall.SIGKILL)
	l.within(15*time.Second, "n2 NotReady", func() bool {
		out, _ := l.kubectl(1, "get node n2")
		return strings.Contains(out, "NotReady")
	})
}
