package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// nodeName is --node-name or the host's name, in lower case.
func nodeName(o *options) string {
	name := o.str("node-name")
	if name == "" {
		name, _ = os.Hostname()
	}
	name = strings.ToLower(strings.TrimSpace(name))
	if o.bool("with-node-id") {
		path := rooted("/etc/rancher/node/id")
		id, err := os.ReadFile(path)
		if err != nil {
			id = []byte(randomHex(4))
			writeFile(path, id, 0o600)
		}
		name += "-" + strings.TrimSpace(string(id))
	}
	return name
}

// nodeIP is --node-ip or the address of the interface with the default route.
func nodeIP(o *options) string {
	if ips := o.list("node-ip"); len(ips) > 0 {
		return ips[0]
	}
	if conn, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer conn.Close()
		return conn.LocalAddr().(*net.UDPAddr).IP.String()
	}
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}

func osRelease(key string) string {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), "="); ok && k == key {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}

func readTrim(path string) string {
	data, _ := os.ReadFile(path)
	return strings.TrimSpace(string(data))
}

func kernelRelease() string {
	var u syscall.Utsname
	if syscall.Uname(&u) != nil {
		return ""
	}
	var b strings.Builder
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}

func memoryText() string {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return "1048576Ki"
	}
	return fmt.Sprintf("%dKi", uint64(info.Totalram)*uint64(info.Unit)/1024)
}

func nodeInfo() obj {
	return obj{
		"machineID": readTrim("/etc/machine-id"), "systemUUID": readTrim("/sys/class/dmi/id/product_uuid"), "bootID": readTrim("/proc/sys/kernel/random/boot_id"),
		"kernelVersion": kernelRelease(), "osImage": osRelease("PRETTY_NAME"), "operatingSystem": "linux", "architecture": runtime.GOARCH,
		"containerRuntimeVersion": "containerd://2.0.5-k3s2", "kubeletVersion": version, "kubeProxyVersion": version,
	}
}

// runtimeArch is the architecture as Kubernetes names it.
func runtimeArch() string { return runtime.GOARCH }
