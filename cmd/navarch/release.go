package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newRelease() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:     "release REVISION",
		GroupID: "hub",
		Short:   "Agree to what a held commit deletes",
		Long: `Agree to what a held commit deletes, so that the hub announces it.

A hub holds a commit that would take away more than the deletion budget in
fleet.yaml, or a namespace, a volume claim or a definition of custom resources.
'navarch status' and the dashboard say what would be deleted. The revision has
to be named, whole or by at least seven digits of its hash: if a newer commit
has come in between, you have not agreed to that one.`,
		Example: `  # what waits, and why?
  navarch status

  # agree to it
  navarch release main@sha1:4f0c2a17b3d6e5f4c3b2a1908f7e6d5c4b3a2918

  # the short form, at a hub elsewhere
  navarch release 4f0c2a1 --hub https://hub.example.com`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{cmd.CommandPath(), fmt.Errorf("want one revision, got %d arguments: `navarch status` names what is held", len(args))}
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return heldRevisions(cmd, address, args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error { return release(cmd, address, args[0]) },
	}
	hubFlag(cmd.Flags(), &address)
	tokenFlag(cmd.Flags())
	return cmd
}

func release(cmd *cobra.Command, address, typed string) error {
	h, err := parseHub(cmd, address)
	if err != nil {
		return err
	}
	known, err := h.fleet(cmd.Context())
	if err != nil {
		return err
	}
	if known.Hold == nil {
		return fmt.Errorf("nothing is held: there is no need to release %q", typed)
	}
	if !names(typed, known.Hold.Revision) {
		return fmt.Errorf("revision %q is not held, %s is: look at what it deletes before you release it", typed, known.Hold.Revision)
	}
	if err := h.release(cmd.Context(), known.Hold.Revision); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "released %s, which deletes %s\n", known.Hold.Revision, plural(known.Hold.Deleted, "object"))
	return err
}

// names tells whether a person who typed this means the revision: all of it, its
// hash or at least seven digits of that, with or without the branch.
func names(typed, revision string) bool {
	if typed == revision {
		return true
	}
	branch, hash, _ := strings.Cut(revision, "@")
	hash = hash[strings.LastIndexByte(hash, ':')+1:]
	if typedBranch, rest, ok := strings.Cut(typed, "@"); ok {
		if typedBranch != branch {
			return false
		}
		typed = rest
	}
	typed = typed[strings.LastIndexByte(typed, ':')+1:]
	return len(typed) >= 7 && strings.HasPrefix(hash, strings.ToLower(typed))
}

// heldRevisions completes the argument from what the hub holds.
func heldRevisions(cmd *cobra.Command, address string, args []string) []string {
	h, err := parseHub(cmd, address)
	if err != nil || len(args) > 0 {
		return nil
	}
	known, err := h.fleet(cmd.Context())
	if err != nil || known.Hold == nil {
		return nil
	}
	return []string{known.Hold.Revision}
}
