package main

import (
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (o *clustersCommand) keys() *cobra.Command {
	return &cobra.Command{
		Use: "keys [CLUSTER...]", Short: "Show the age keys to encrypt Secrets for",
		Long: `Show the age keys of clusters: what SOPS has encrypted for one of them, only that
cluster can decrypt. Agents make the keys and tell the public half.

Where what is encrypted matters more than the way between hub and you is trusted,
compare a key once with what the cluster itself says:

  kubectl -n navarch-system get secret navarch-age-key -o jsonpath='{.data.recipient}' | base64 -d`,
		Example: `  # of every cluster
  navarch clusters keys

  # of two, at a hub elsewhere
  navarch clusters keys eu-1 eu-2 --hub https://hub.example.com

  # encrypt for one
  sops encrypt --age "$(navarch clusters keys eu-1 | awk 'NR == 2 { print $2 }')" --encrypted-regex '^(data|stringData)$' -i secret.yaml`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, names []string) error {
			hub, err := parseHub(cmd, o.hub)
			if err != nil {
				return err
			}
			clusters, err := hub.clusters(cmd.Context())
			if err != nil {
				return err
			}
			for _, name := range names {
				if !slices.ContainsFunc(clusters, func(c clusterAnswer) bool { return string(c.Name) == name }) {
					return fmt.Errorf("the hub knows no cluster %q (see `navarch clusters keys`)", name)
				}
			}
			// What cannot be written, Flush tells of.
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(table, "CLUSTER\tAGE KEY")
			for _, c := range clusters {
				if len(names) > 0 && !slices.Contains(names, string(c.Name)) {
					continue
				}
				key := "-"
				if c.Agent != nil && c.Agent.Recipient != "" {
					key = c.Agent.Recipient
				}
				_, _ = fmt.Fprintf(table, "%s\t%s\n", c.Name, key)
			}
			return table.Flush()
		},
	}
}
