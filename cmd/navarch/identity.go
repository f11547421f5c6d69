package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
)

// rotateCluster is the command that exchanges the key of one agent.
var rotateCluster = membersCommand{
	verb: enrol.VerbRotate, short: "Have a cluster's agent exchange its key",
	long: `Have the agent of a cluster make another key, and take the old one back.

The agent's connection is cut and comes back within seconds. The old key is good
until the agent has come back with the new one. An agent that is away is told when
it asks the next time.`,
	done: "cluster %q: its agent is told to exchange its key\n",
}

// agentKey is since when a member has the key that it has.
func agentKey(m enrol.Member) string {
	since := m.Joined
	if !m.Since.IsZero() {
		since = m.Since
	}
	said := since.UTC().Format(time.DateOnly)
	if m.Exchange || m.Next != "" {
		said += ", to be exchanged"
	}
	return said
}

type identityCommand struct {
	clustersCommand
	force bool
}

func newIdentity() *cobra.Command {
	var o identityCommand
	cmd := &cobra.Command{
		Use:     "identity",
		GroupID: "other",
		Short:   "Show and exchange the hub's keys",
		Long: `Show and exchange the hub's keys, in its identity folder.

The old key vouches for the new one, so agents follow by themselves, also those that
were away during several exchanges. A hub that runs takes the new key in within
seconds. What an exchange replaces stays in force until it is retired.`,
		Example: `  # which keys there are, and who obeys which
  navarch identity show --identity ./identity

  # another key that signs what is announced
  navarch identity rotate signing --identity ./identity

  # once every cluster obeys it
  navarch identity retire signing --identity ./identity`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&o.identity, "identity", "", "identity folder of the hub (required)")
	cmd.AddCommand(o.show(), o.rotate(), o.retire())
	return cmd
}

func (o *identityCommand) show() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the keys of an identity that can be exchanged",
		Long: `Show the keys of an identity that can be exchanged, with those of before.

Nothing secret is shown. The ids are those that "navarch clusters list" goes by.`,
		Example: `  # the keys of an identity
  navarch identity show --identity ./identity

  # on the hub's machine
  navarch identity show --identity /etc/navarch/identity

  # which clusters obey the newest
  navarch clusters list --identity ./identity`,
		Args: noArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.identity == "" {
				return needFlag(cmd, "identity", "./identity")
			}
			identity, err := existingIdentity(o.identity)
			if err != nil {
				return err
			}
			// What cannot be written, Flush tells of.
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(table, "KEY\tID\tSINCE\tSTATE")
			for _, key := range identity.Keys() {
				since := "the beginning"
				if !key.Since.IsZero() {
					since = key.Since.UTC().Format(time.DateTime)
				}
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", key.What, key.ID, since, key.State)
			}
			return table.Flush()
		},
	}
}

func (o *identityCommand) rotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate (signing | ca)", Short: "Exchange a key, with the old one vouching for the new",
		Long: `Exchange a key of the hub, with the old one vouching for the new one.

signing is the key that signs announcements, tokens and commands; ca signs the
certificate of the hub's server. The file in the identity folder is replaced as a
whole, and the one before it stays beside it until the key is retired. A hub that
runs on this folder takes the new key in within seconds. Where the hub's identity is
a copy, as in Kubernetes, bring the new file there: agents hear of the new key then.`,
		Example: `  # another signing key
  navarch identity rotate signing --identity ./identity

  # another certificate authority
  navarch identity rotate ca --identity ./identity

  # see what became of it
  navarch identity show --identity ./identity`,
		Args: oneKey, ValidArgs: []string{enrol.SigningKey, enrol.Authority},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.identity == "" {
				return needFlag(cmd, "identity", "./identity")
			}
			before, err := enrol.Exchange(o.identity, args[0], time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the key %q was exchanged; the identity of before is in %s\n"+
				"Back the folder up, and keep copies of it up to date: a copy from before commands nothing any more.\n", args[0], before)
			return err
		},
	}
}

func (o *identityCommand) retire() *cobra.Command {
	cmd := &cobra.Command{
		Use: "retire (signing | ca)", Short: "End what an earlier key is still good for",
		Long: `End what the earlier keys are still good for, once every cluster obeys the newest.

Of signing: tokens that were made by an earlier key. Agents that were away follow to
the newest key as before. Of ca: agents that only know an earlier authority are shut
out for good. So the running hub is asked first whether there are such clusters;
--force retires the key whatever it says, and without asking. The copies of the
identity from before exchanges are deleted.`,
		Example: `  # once "navarch clusters list" shows nobody who obeys an old one
  navarch identity retire ca --identity ./identity

  # the key was stolen: at once, whoever is away
  navarch identity retire signing --identity ./identity --force

  # with a hub elsewhere
  navarch identity retire ca --identity ./identity --hub https://hub.example.com`,
		Args: oneKey, ValidArgs: []string{enrol.SigningKey, enrol.Authority},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !o.force {
				if err := o.nobodyBehind(cmd); err != nil {
					return err
				}
			}
			if o.identity == "" {
				return needFlag(cmd, "identity", "./identity")
			}
			if err := enrol.Retire(o.identity, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "the earlier keys of %q are retired\n", args[0])
			return err
		},
	}
	hubFlag(cmd.Flags(), &o.hub)
	cmd.Flags().BoolVar(&o.force, "force", false, "do not ask the hub whether clusters still obey an earlier key")
	return cmd
}

// nobodyBehind is an error while a member obeys a key that is not the newest.
func (o *identityCommand) nobodyBehind(cmd *cobra.Command) error {
	members, err := o.tell(cmd, enrol.VerbList, "")
	if err != nil {
		return err
	}
	identity, err := existingIdentity(o.identity)
	if err != nil {
		return err
	}
	if behind := behind(identity, members); len(behind) > 0 {
		return fmt.Errorf("these clusters have not said that they obey the newest keys: %s (wait until they are connected, or say --force)",
			strings.Join(behind, ", "))
	}
	return nil
}

func behind(identity *enrol.Identity, members map[fleet.ClusterName]enrol.Member) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m := members[name]
		if _, newest := identity.Pinned(m.Pins); !newest && m.Revoked.IsZero() && !m.Waiting {
			names = append(names, string(name))
		}
	}
	return names
}

// oneKey admits the name of a key that can be exchanged.
func oneKey(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) != 1:
		return usageError{cmd.CommandPath(), fmt.Errorf("want one key, %s or %s, got %d arguments", enrol.SigningKey, enrol.Authority, len(args))}
	case args[0] != enrol.SigningKey && args[0] != enrol.Authority:
		return usageError{cmd.CommandPath(), fmt.Errorf("key %q: want %s or %s", args[0], enrol.SigningKey, enrol.Authority)}
	}
	return nil
}
