package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func contextTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// runTool is "k3s kubectl", "k3s crictl" and "k3s ctr". kubectl is a real one.
func runTool(name string, args []string) int {
	if name != "kubectl" {
		return runtimeTool(name, args)
	}
	if os.Getenv("KUBECONFIG") == "" && !hasFlag(args, "--kubeconfig") {
		config := rooted("/etc/rancher/k3s/k3s.yaml")
		if f, err := os.Open(config); err == nil {
			f.Close()
			os.Setenv("KUBECONFIG", config)
		} else if os.IsPermission(err) {
			logLine("warning", "Unable to read %s, please start server with --write-kubeconfig-mode or --write-kubeconfig-group to modify kube config permissions", config)
			fmt.Fprintf(os.Stderr, "error: error loading config file \"%s\": open %s: permission denied\n", config, config)
			return 1
		}
	}
	path := realKubectl()
	if path == "" {
		fmt.Fprintln(os.Stderr, "k3s stand-in: no real kubectl found: put one at /opt/k3s-stand-in/kubectl")
		return 127
	}
	err := syscall.Exec(path, append([]string{"kubectl"}, args...), os.Environ())
	fmt.Fprintln(os.Stderr, "k3s stand-in:", err)
	return 126
}

func hasFlag(args []string, name string) bool {
	for _, a := range args {
		if a == name || strings.HasPrefix(a, name+"=") {
			return true
		}
	}
	return false
}

// realKubectl finds a kubectl that is not this very program.
func realKubectl() string {
	self, _ := os.Executable()
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	candidates := []string{"/opt/k3s-stand-in/kubectl"}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		candidates = append(candidates, filepath.Join(dir, "kubectl"))
	}
	for _, c := range append(candidates, "/usr/bin/kubectl") {
		target, err := filepath.EvalSymlinks(c)
		if err != nil || filepath.Base(target) == "k3s" || target == self {
			continue
		}
		if path, err := exec.LookPath(c); err == nil {
			return path
		}
	}
	return ""
}

// runtimeTool answers the few crictl and ctr lines an installer may use.
func runtimeTool(name string, args []string) int {
	line := strings.Join(args, " ")
	switch {
	case strings.Contains(line, "images"):
		fmt.Println("IMAGE   TAG   IMAGE ID   SIZE")
	case strings.Contains(line, "version"):
		fmt.Println("Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  2.0.5-k3s2\nRuntimeApiVersion:  v1")
	default:
		fmt.Printf("CONTAINER   IMAGE   CREATED   STATE   NAME\n")
	}
	return 0
}
