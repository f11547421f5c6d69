package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const about = `Localcluster runs Kubernetes clusters as ordinary processes of this machine:
etcd, kube-apiserver, kube-controller-manager and kube-scheduler as they are in
any cluster, and KWOK for nodes and pods. Pods are scheduled and become Ready;
nothing runs in them. No container runtime and no root is needed, and nothing
listens beyond loopback.

All of a cluster lies in one folder below --dir:

  cluster.json      its name, port and number of nodes
  kubeconfig/       admin.yaml is the one for you
  log/              a log for each part
  run/              a file for each part, locked by the part while it lives
  pki/, etcd/       keys and data

The parts outlive the command that started them; "down" ends them.`

func main() {
	if err := newCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "localcluster:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	l := &launcher{stderr: os.Stderr}
	root := &cobra.Command{
		Use:           "localcluster",
		Short:         "Run real Kubernetes clusters as processes of this machine",
		Long:          about,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			if l.self, err = os.Executable(); err != nil {
				return err
			}
			l.root, err = filepath.Abs(l.root)
			return err
		},
	}
	// The components register a global --version, which is theirs and not ours.
	if version := pflag.CommandLine.Lookup("version"); version != nil {
		version.Hidden = true
	}
	root.PersistentFlags().StringVar(&l.root, "dir", defaultRoot(), "folder of the clusters' folders")
	root.AddCommand(upCommand(l), downCommand(l), kubeconfigCommand(l), listCommand(l), startCommand(l), stopCommand(l), partCommand())
	return root
}

// defaultRoot is a folder in the user's cache.
func defaultRoot() string {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			home = os.TempDir()
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "navarch", "clusters")
}
