package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

func newInstallNATS() *cobra.Command {
	var identityDir, members string
	cmd := &cobra.Command{
		Use:   "nats --identity DIR",
		Short: "Print what a NATS server of your own needs to serve a hub",
		Long: `Print the part of a nats-server configuration that makes a NATS server of your
own serve a hub: whom it trusts, and the accounts of the hub and of the agents.

A hub has a NATS server in itself and needs no other. With one of your own, or a
cluster of them, start the hub with --nats-url. Include what this prints in the
server's configuration, which also needs a "jetstream" and a "tls" block.
Everything printed is public: keys stay in the identity folder.`,
		Example: `  # for the configuration of a server: include navarch.conf
  navarch install nats --identity ./identity > navarch.conf

  # the hub then uses it
  navarch-hub --nats-url tls://nats.example.com:4222 --nats-ca ca.pem --identity ./identity --repo https://git.example.com/fleet.git

  # and so does an agent
  navarch install agent --cluster eu-1 --hub tls://nats.example.com:4222 --hub-ca ca.pem --identity ./identity`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if identityDir == "" {
				return needFlag(cmd, "identity", "./identity")
			}
			identity, err := existingIdentity(identityDir)
			if err != nil {
				return err
			}
			roll, err := enrol.ReadRoll(cmp.Or(members, filepath.Join(identityDir, enrol.RollName)))
			if err != nil {
				return err
			}
			config, err := natsConfig(identity, roll.Revoked)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write([]byte(config))
			return err
		},
	}
	cmd.Flags().StringVar(&members, "members", "", "file of which clusters have joined, to shut out those that were revoked; default members.json in the identity folder")
	cmd.Flags().StringVar(&identityDir, "identity", "", "identity folder of the hub (required)")
	return cmd
}

// existingIdentity opens the identity of a hub. A new one made here would be one
// that no hub has.
func existingIdentity(dir string) (*enrol.Identity, error) {
	if !hasIdentity(dir) {
		return nil, fmt.Errorf("there is no identity in %q: name the folder that `navarch install hub --identity` made, or that of the hub's machine", dir)
	}
	return enrol.Open(dir)
}

// natsConfig is the part of a server's configuration that concerns Navarch.
func natsConfig(identity *enrol.Identity, revoked map[string]time.Time) (string, error) {
	operator, err := identity.OperatorJWT()
	if err != nil {
		return "", err
	}
	accounts, err := identity.AccountJWTsWithout(revoked)
	if err != nil {
		return "", err
	}
	system := identity.SystemAccount()
	if accounts[system] == "" {
		return "", errors.New("the identity has no system account")
	}
	var b strings.Builder
	b.WriteString("# Made by `navarch install nats`. Beside it the server needs:\n")
	b.WriteString("#   jetstream { store_dir: \"/data\" }\n")
	b.WriteString("#   tls { cert_file: \"server.pem\", key_file: \"server.key\" }\n")
	fmt.Fprintf(&b, "operator: %s\n", operator)
	fmt.Fprintf(&b, "system_account: %s\n", system)
	fmt.Fprintf(&b, "max_payload: %d\n", wire.MaxMessage)
	b.WriteString("resolver: MEMORY\nresolver_preload {\n")
	for _, key := range slices.Sorted(maps.Keys(accounts)) {
		fmt.Fprintf(&b, "  %s: %s\n", key, accounts[key])
	}
	b.WriteString("}\n")
	return b.String(), nil
}
