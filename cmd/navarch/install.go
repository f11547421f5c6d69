package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

func newInstall() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "install",
		GroupID: "other",
		Short:   "Print what installs a hub, an agent or a NATS server",
		Long: `Print what installs a hub or the agent of a member cluster.

Nothing is installed by this command itself: it prints manifests, which you read
and apply. The hub comes first, because it has the identity that every agent
is bound to.`,
		Example: `  # a hub in a cluster
  navarch install hub --repo https://git.example.com/fleet.git --host hub.example.com --identity ./identity | kubectl apply --server-side -f -

  # a hub on a machine without Kubernetes
  navarch install hub --systemd --repo https://git.example.com/fleet.git --host hub.example.com > navarch-hub.service

  # the agent of one member cluster
  navarch install agent --cluster eu-1 --hub tls://hub.example.com:4222 --identity ./identity | kubectl --context eu-1 apply --server-side -f -`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newInstallHub(), newInstallAgent(), newInstallNATS())
	return cmd
}

// checkNamespace checks the flag --namespace.
func checkNamespace(cmd *cobra.Command, namespace string) error {
	if _, err := fleet.ParseClusterName(namespace); err != nil { // the same rule
		return usageError{cmd.CommandPath(), fmt.Errorf("--namespace %q is not a DNS label", namespace)}
	}
	return nil
}

// checkHubURL checks one URL under which agents reach a hub.
func checkHubURL(cmd *cobra.Command, raw string) error {
	if _, err := wire.ParseURL(raw); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	return nil
}

// hasIdentity tells whether there is the identity of a hub in dir.
func hasIdentity(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, enrol.FileName))
	return !errors.Is(err, os.ErrNotExist)
}
