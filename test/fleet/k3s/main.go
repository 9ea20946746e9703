// Command k3s is a stand-in for k3s: it behaves like k3s as far as an
// installer, an orchestrator and kubectl can see, and runs no containers.
// README.md says what it models and what it does not.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
)

// Set by build.sh through -ldflags.
var (
	version = "v1.33.4+k3s1"
	commit  = "abcdef12"
)

func main() {
	// Many of these run on one small machine: trade CPU for memory.
	debug.SetGCPercent(60)
	debug.SetMemoryLimit(24 << 20)
	runtime.GOMAXPROCS(2)

	args := os.Args
	// Like k3s, the binary is also kubectl, crictl and ctr, by the name it is called.
	switch name := filepath.Base(args[0]); name {
	case "kubectl", "crictl", "ctr":
		os.Exit(runTool(name, args[1:]))
	}
	os.Exit(run(args[1:]))
}

// run dispatches a k3s command line and returns the exit status.
func run(args []string) int {
	if len(args) == 0 {
		printHelp()
		return 0
	}
	switch args[0] {
	case "--version", "-v", "-version":
		printVersion()
		return 0
	case "--help", "-h", "help", "h":
		printHelp()
		return 0
	case "kubectl", "crictl", "ctr":
		return runTool(args[0], args[1:])
	case "server":
		return serverCommand(args[1:])
	case "agent":
		return agentCommand(args[1:])
	case "token":
		return tokenCommand(args[1:])
	case "certificate":
		return certificateCommand(args[1:])
	case "secrets-encrypt":
		return secretsEncryptCommand(args[1:])
	case "etcd-snapshot":
		return etcdSnapshotCommand(args[1:])
	case "check-config":
		fmt.Println("\nSTATUS: pass")
		return 0
	case "completion":
		return 0
	}
	fmt.Printf("No help topic for '%s'\n", args[0])
	return 3
}

func printVersion() {
	fmt.Printf("k3s version %s (%s)\ngo version %s\n", version, commit, runtime.Version())
}

func printHelp() {
	fmt.Println(`NAME:
   k3s - Kubernetes, but small and simple (a stand-in for tests)

USAGE:
   k3s [global options] command [command options]

COMMANDS:
   server           Run management server
   agent            Run node agent
   kubectl          Run kubectl
   crictl           Run crictl
   ctr              Run ctr
   token            Manage tokens
   certificate      Manage K3s certificates
   secrets-encrypt  Control secrets encryption and keys rotation
   etcd-snapshot    Manage etcd snapshots
   check-config     Run config check

GLOBAL OPTIONS:
   --help, -h     show help
   --version, -v  print the version`)
}
