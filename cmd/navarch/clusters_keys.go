package main

import (
	"fmt"
	"net/http"
	"net/url"
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
		Args: cobra.ArbitraryArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, names []string) error {
			hub, err := parseHub(cmd, o.hub)
			if err != nil {
				return err
			}
			var clusters []clusterAnswer
			for _, name := range names {
				var one clusterAnswer
				if err := hub.call(cmd.Context(), http.MethodGet, "/api/v1/clusters/"+url.PathEscape(name), nil, &one); err != nil {
					return err
				}
				clusters = append(clusters, one)
			}
			if len(names) == 0 {
				if clusters, err = hub.clusters(cmd.Context()); err != nil {
					return err
				}
			}
			// What cannot be written, Flush tells of.
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(table, "CLUSTER\tAGE KEY")
			for _, c := range clusters {
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
