package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/compile"
	"github.com/navarch/navarch/hub/repo"
)

// errDeletes ends a command whose exit code says that something would be deleted.
var errDeletes = errors.New("something would be deleted")

type planOptions struct {
	base, hub, observed, output string
}

func newPlan() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:     "plan [DIR] --base REVISION",
		GroupID: "repository",
		Short:   "Say what a change would do to every cluster, before it is pushed",
		Long: `Say what the checkout in DIR would do to clusters that run another revision:
per app and cluster what would be added, changed and removed, which replicas
would move, and whether the deletion budget would hold it. Values of Secrets are
not shown.

It needs no cluster. Divisions that depend on what clusters can take, or on what
they run now, use what is observed: ask a hub with --hub, or give what one said
before with --observed. Without, every cluster can take everything, and what the
base decides counts as running.

The exit code is 0 when nothing would be deleted, 2 when something would, and 1
when the checkout has an error.`,
		Example: `  # what these edits would do
  navarch plan --base HEAD

  # for a merge request, in CI
  navarch plan --base origin/main -o markdown > plan.md

  # with the capacity and the placements that the hub knows
  navarch plan --base origin/main --hub https://hub.example.com`,
		Args: folderArg,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, folder(args)) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.base, "base", "", "revision to compare with, as for git: what clusters run now (required)")
	observedFlags(flags, &o.hub, &o.observed)
	flags.StringVarP(&o.output, "output", "o", "text", "text, markdown or json")
	complete(cmd, "text", "markdown", "json")
	return cmd
}

func (o planOptions) run(cmd *cobra.Command, dir string) error {
	if o.base == "" {
		return needFlag(cmd, "base", "origin/main")
	}
	if err := oneOf(cmd, o.output, "text", "markdown", "json"); err != nil {
		return err
	}
	state, err := readState(cmd, o.hub, o.observed)
	if err != nil {
		return err
	}
	commit, inside, err := repo.Checkout(dir, o.base)
	if err != nil {
		return err
	}
	base, err := fs.Sub(commit.Tree, inside)
	if err != nil {
		return fmt.Errorf("find %q in revision %q: %w", inside, o.base, err)
	}
	before, problems := compileFiles(base, state)
	if problems.Err() != nil {
		_ = printProblems(cmd.ErrOrStderr(), problems) // the error says it too
		return fmt.Errorf("revision %q has errors of its own, so nothing runs as it says: name one that was deployed", o.base)
	}
	now, err := readCheckout(dir, after(state, before))
	if err != nil {
		return err
	}
	if now.problems.Err() != nil {
		if err := printProblems(cmd.OutOrStdout(), now.problems); err != nil {
			return err
		}
		return errSaid
	}
	preview, err := compile.Compare(before, now.Result, "")
	if err != nil {
		return err
	}
	if err := o.print(cmd.OutOrStdout(), preview); err != nil {
		return err
	}
	if preview.Objects.Deleted > 0 {
		return errDeletes
	}
	return nil
}

func (o planOptions) print(w io.Writer, p compile.Preview) error {
	switch o.output {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(p)
	case "markdown":
		_, err := io.WriteString(w, planMarkdown(p))
		return err
	}
	_, err := io.WriteString(w, planText(p))
	return err
}

// holdLine says why a person would have to agree.
func holdLine(h fleet.Hold) string {
	if h.Cluster == "" {
		return h.Message
	}
	return fmt.Sprintf("%s: %s", h.Cluster, h.Message)
}
