package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
)

type clustersCommand struct {
	hub, identity string
}

func newClusters() *cobra.Command {
	var o clustersCommand
	cmd := &cobra.Command{
		Use:     "clusters",
		GroupID: "hub",
		Short:   "List, approve and revoke the clusters that have joined",
		Long: `List, approve and revoke the clusters that have joined.

These commands ask the running hub, and sign what they ask with the hub's
identity: who has that folder may do it.`,
		Example: `  # who has joined, and until when their credentials are good
  navarch clusters list --identity ./identity

  # let in a cluster whose token asked for a person
  navarch clusters approve eu-3 --identity ./identity

  # cut off a cluster at once
  navarch clusters revoke eu-3 --identity ./identity`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	hubFlag(flags, &o.hub)
	flags.StringVar(&o.identity, "identity", "", "identity folder of the hub (required)")
	cmd.AddCommand(
		o.list(),
		o.keys(),
		o.about(membersCommand{
			verb: enrol.VerbApprove, short: "Let a cluster in that waits for it",
			long: "Let a cluster in whose token was made with --approve manual. It waits until then.",
			done: "cluster %q is approved: its agent comes in within seconds\n",
		}),
		o.about(membersCommand{
			verb: enrol.VerbRevoke, short: "Cut a cluster off at once; what runs there stays",
			long: `Take a cluster's credentials away, and cut its connection at once.

What runs in the cluster stays as it is. With a NATS server of your own, give it
what "navarch nats init --members" prints then, and have it reload.`,
			done: "cluster %q is cut off: what runs there stays\n",
		}),
		o.about(membersCommand{
			verb: enrol.VerbAllowRejoin, short: "Let another agent take a cluster's place, once, with a token",
			long: `Let another agent take the place of a cluster's, once, with a new token.

A cluster that was rebuilt has an agent with another key, which is refused until
then: it could be anybody's. A revoked cluster comes back the same way.`,
			done: "cluster %q may join again, with a new token\n",
		}),
		o.about(rotateCluster),
	)
	return cmd
}

func (o *clustersCommand) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the clusters that have joined",
		Long: `List the clusters that have joined, with those that wait and those that were
revoked.

OBEYS says whether a cluster's agent has heard of the newest keys of the hub, as
its agent said last; see "navarch identity". AGENT KEY is since when the agent has
the key that it has.`,
		Example: `  # who has joined
  navarch clusters list --identity ./identity

  # of a hub elsewhere
  navarch clusters list --identity ./identity --hub https://hub.example.com

  # who waits for a person
  navarch clusters list --identity ./identity | grep waits`,
		Args: noArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			members, err := o.tell(cmd, enrol.VerbList, "")
			if err != nil {
				return err
			}
			identity, err := existingIdentity(o.identity)
			if err != nil {
				return err
			}
			return writeMembers(cmd.OutOrStdout(), identity, members)
		},
	}
}

// membersCommand is what a command about one cluster says of itself, and when done.
type membersCommand struct {
	verb, short, long, done string
}

// about is a command about one cluster.
func (o *clustersCommand) about(c membersCommand) *cobra.Command {
	return &cobra.Command{
		Use: c.verb + " CLUSTER", Short: c.short, Long: c.long,
		Example: fmt.Sprintf(`  # with the hub's identity at hand
  navarch clusters %[1]s eu-3 --identity ./identity

  # at a hub elsewhere
  navarch clusters %[1]s eu-3 --identity ./identity --hub https://hub.example.com

  # see what became of it
  navarch clusters list --identity ./identity`, c.verb),
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{cmd.CommandPath(), fmt.Errorf("want one cluster, got %d arguments", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, err := fleet.ParseClusterName(args[0])
			if err != nil {
				return usageError{cmd.CommandPath(), err}
			}
			if _, err := o.tell(cmd, c.verb, cluster); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), c.done, cluster)
			return err
		},
	}
}

func (o *clustersCommand) tell(cmd *cobra.Command, verb string, cluster fleet.ClusterName) (map[fleet.ClusterName]enrol.Member, error) {
	if o.identity == "" {
		return nil, needFlag(cmd, "identity", "./identity")
	}
	hub, err := parseHub(cmd, o.hub)
	if err != nil {
		return nil, err
	}
	identity, err := existingIdentity(o.identity)
	if err != nil {
		return nil, err
	}
	sealed, err := identity.SealCommand(verb, cluster, time.Now())
	if err != nil {
		return nil, err
	}
	var members map[fleet.ClusterName]enrol.Member
	return members, hub.call(cmd.Context(), http.MethodPost, "/api/v1/members", sealed, &members)
}

func writeMembers(out io.Writer, identity *enrol.Identity, members map[fleet.ClusterName]enrol.Member) error {
	// What cannot be written, Flush tells of.
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CLUSTER\tSTATE\tJOINED\tGOOD UNTIL\tAGENT KEY\tOBEYS\tLABELS")
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m := members[name]
		state := "member"
		switch {
		case m.Rejoin:
			state = "may join again"
		case !m.Revoked.IsZero():
			state = "revoked"
		case m.Waiting:
			state = "waits for approval"
		}
		until := "-"
		if !m.Expires.IsZero() && m.Revoked.IsZero() {
			until = m.Expires.UTC().Format(time.DateOnly)
		}
		obeys, _ := identity.Pinned(m.Pins)
		var labels []string
		for _, key := range slices.Sorted(maps.Keys(m.Labels)) {
			labels = append(labels, key+"="+m.Labels[key])
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, state, m.Joined.UTC().Format(time.DateOnly), until, agentKey(m), obeys, cmp.Or(strings.Join(labels, ","), "-"))
	}
	return table.Flush()
}
